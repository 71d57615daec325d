//! A value or a list of values: `tag = "a"` and `tag = ["a", "b"]`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// One value, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Form<T>")]
#[serde(bound = "T: Deserialize<'de>")]
pub struct OneOrMany<T>(pub Vec<T>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Form<T> {
    // The list comes first: serde would read a list as a struct too, field by field.
    Many(Vec<T>),
    One(T),
}

impl<T> From<Form<T>> for OneOrMany<T> {
    fn from(form: Form<T>) -> Self {
        match form {
            Form::One(value) => Self(vec![value]),
            Form::Many(values) => Self(values),
        }
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [value] => value.serialize(to),
            values => values.serialize(to),
        }
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [item, { "type": "array", "items": item }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Named {
        a: u8,
        b: u8,
    }

    #[test]
    fn a_list_is_never_read_as_one_struct() {
        let read = |text| serde_json::from_str::<OneOrMany<Named>>(text).unwrap().0;
        assert_eq!(read("[]"), []);
        assert_eq!(read("{}"), [Named::default()]);
        assert_eq!(read(r#"[{ "a": 1 }]"#), [Named { a: 1, b: 0 }]);
    }
}
