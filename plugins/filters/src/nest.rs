//! Filter `nest`: moves fields into a table, or the fields of a table out of it.

use std::{collections::HashSet, sync::Arc};

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany},
    event::Edit,
    filter::Filter,
    msgpack::{RawValue, write},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "nest",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Moves fields into a table, or the fields of a table out of it",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `nest` moves fields into a table, `lift` moves the fields of a table to the top level.
    pub operation: Operation,
    /// `nest`: the fields to move, by name, or by the beginning of the name as in `mem_*`.
    #[serde(default)]
    pub wildcard: OneOrMany<String>,
    /// `nest`: the table to move them into. It is made where there is none.
    pub nest_under: Option<String>,
    /// `lift`: the table whose fields are moved.
    pub nested_under: Option<String>,
    /// This is put in front of the names of the fields that are moved.
    #[serde(default)]
    pub add_prefix: String,
    /// This is taken from the front of the names of the fields that are moved, before `add_prefix`.
    #[serde(default)]
    pub remove_prefix: String,
}

/// The direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Into a table.
    Nest,
    /// Out of a table.
    Lift,
}

#[derive(Debug)]
struct Nest {
    operation: Operation,
    wildcard: Vec<String>,
    /// The table: what fields are moved into, or out of.
    under: String,
    add_prefix: String,
    remove_prefix: String,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    let nests = config.operation == Operation::Nest;
    let (name, under, other, unused) = if nests {
        (
            "nest_under",
            config.nest_under,
            "nested_under",
            config.nested_under,
        )
    } else {
        (
            "nested_under",
            config.nested_under,
            "nest_under",
            config.nest_under,
        )
    };
    if under.is_none() {
        let error = ConfigError::at("", format!("`{name}` is missing"));
        errors.push(error.help(format!(
            "write the name of the table, as in {name} = \"memory\""
        )));
    }
    if unused.is_some() {
        let error = ConfigError::at(
            format!("/{other}"),
            format!("`{other}` belongs to the other operation"),
        );
        errors.push(error.help(format!("write `{name}`")));
    }
    if nests == config.wildcard.0.is_empty() {
        let (path, message, help) = if nests {
            (
                "",
                "`wildcard` is missing",
                "write which fields to move, as in wildcard = [\"mem_*\"]",
            )
        } else {
            (
                "/wildcard",
                "`lift` moves all fields of the table",
                "leave `wildcard` out",
            )
        };
        errors.push(ConfigError::at(path, message).help(help));
    }
    match under {
        Some(under) if errors.is_empty() => Ok(Arc::new(Nest {
            operation: config.operation,
            wildcard: config.wildcard.0,
            under,
            add_prefix: config.add_prefix,
            remove_prefix: config.remove_prefix,
        })),
        _ => Err(errors),
    }
}

impl Filter for Nest {
    fn filter(&self, edit: &mut Edit<'_>) {
        let mut too_deep = false;
        edit.set_record(|record, out| {
            let changed = match self.operation {
                Operation::Nest => self.nest(record, out),
                Operation::Lift => self.lift(record, out),
            };
            too_deep = changed && RawValue::parse(out).is_err();
            changed && !too_deep
        });
        if too_deep {
            edit.fail("the record would be nested too deep");
        }
    }
}

/// Fields in their order, the last of equal names.
#[derive(Debug, Default)]
struct Fields<'a> {
    pairs: Vec<(Vec<u8>, RawValue<'a>)>,
}

impl<'a> Fields<'a> {
    fn add(&mut self, name: Vec<u8>, value: RawValue<'a>) {
        self.pairs.push((name, value));
    }

    /// Writes them as a map. Of equal names the last one stays.
    fn write(&self, out: &mut Vec<u8>) {
        let mut seen = HashSet::new();
        let pairs = self.pairs.iter().rev();
        let mut kept: Vec<_> = pairs.filter(|(name, _)| seen.insert(name)).collect();
        kept.reverse();
        write::map(out, u32::try_from(kept.len()).unwrap_or(u32::MAX));
        for (name, value) in kept {
            out.extend_from_slice(name);
            out.extend_from_slice(value.bytes());
        }
    }
}

impl Nest {
    fn nest(&self, record: RawValue<'_>, out: &mut Vec<u8>) -> bool {
        let (mut inside, mut outside) = (Fields::default(), Fields::default());
        let old = record.get(self.under.as_bytes());
        if old.is_some_and(|old| old.pairs().is_none()) {
            return false;
        }
        for (name, value) in old.and_then(RawValue::pairs).into_iter().flatten() {
            inside.add(name.bytes().to_vec(), value);
        }
        let before = inside.pairs.len();
        for (name, value) in record.pairs().into_iter().flatten() {
            let text = name.as_bytes();
            if text == Some(self.under.as_bytes()) {
                continue;
            }
            match text.filter(|text| self.moves(text)) {
                Some(text) => inside.add(self.rename(text), value),
                None => outside.add(name.bytes().to_vec(), value),
            }
        }
        if inside.pairs.len() == before {
            return false;
        }
        let mut table = Vec::new();
        inside.write(&mut table);
        let mut name = Vec::new();
        write::str(&mut name, &self.under);
        let Ok(value) = RawValue::parse(&table) else {
            // Only depth can be wrong, and then the whole is too deep as well.
            out.append(&mut table);
            return true;
        };
        outside.add(name, value);
        outside.write(out);
        true
    }

    fn lift(&self, record: RawValue<'_>, out: &mut Vec<u8>) -> bool {
        let table = record.get(self.under.as_bytes());
        let Some(inside) = table.and_then(RawValue::pairs) else {
            return false;
        };
        let mut fields = Fields::default();
        for (name, value) in record.pairs().into_iter().flatten() {
            if name.as_bytes() != Some(self.under.as_bytes()) {
                fields.add(name.bytes().to_vec(), value);
            }
        }
        for (name, value) in inside {
            let renamed = name.as_bytes().map(|text| self.rename(text));
            fields.add(renamed.unwrap_or_else(|| name.bytes().to_vec()), value);
        }
        fields.write(out);
        true
    }

    fn moves(&self, name: &[u8]) -> bool {
        self.wildcard
            .iter()
            .any(|wildcard| match wildcard.strip_suffix('*') {
                Some(start) => name.starts_with(start.as_bytes()),
                None => name == wildcard.as_bytes(),
            })
    }

    /// The new name, encoded.
    fn rename(&self, name: &[u8]) -> Vec<u8> {
        let rest = name.strip_prefix(self.remove_prefix.as_bytes());
        let text = [self.add_prefix.as_bytes(), rest.unwrap_or(name)].concat();
        let mut encoded = Vec::with_capacity(text.len() + 5);
        write::str_bytes(&mut encoded, &text);
        encoded
    }
}

#[cfg(test)]
mod tests {
    use sdk::testing::{apply, records};
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(params: Value, input: &Value, expected: &Value) {
        let filter = build(params, &BuildCx::detached("test")).unwrap();
        let applied = apply(filter, "app", std::slice::from_ref(input));
        let got = records(&applied.batch.events).remove(0);
        assert_eq!(got.to_string(), expected.to_string());
    }

    #[test]
    fn fields_are_moved_into_a_table() {
        let input = json!({ "mem_free": 1, "host": "a", "mem_used": 2, "swap": 3 });
        let params = json!({
            "operation": "nest", "wildcard": ["mem_*", "swap"], "nest_under": "memory", "remove_prefix": "mem_",
        });
        let nested = json!({ "host": "a", "memory": { "free": 1, "used": 2, "swap": 3 } });
        check(params.clone(), &input, &nested);
        let more = json!({ "memory": { "free": 0, "x": 9 }, "mem_free": 1 });
        check(
            params.clone(),
            &more,
            &json!({ "memory": { "x": 9, "free": 1 } }),
        );
        let other = json!({ "memory": 7, "mem_free": 1 });
        check(params.clone(), &other, &other);
        let none = json!({ "host": "a" });
        check(params, &none, &none);
    }

    #[test]
    fn the_fields_of_a_table_are_lifted() {
        let input = json!({ "memory": { "free": 1, "used": 2 }, "host": "a", "m_free": 0 });
        let params = json!({ "operation": "lift", "nested_under": "memory", "add_prefix": "m_" });
        check(
            params.clone(),
            &input,
            &json!({ "host": "a", "m_free": 1, "m_used": 2 }),
        );
        let other = json!({ "memory": [1] });
        check(params, &other, &other);
    }

    #[test]
    fn a_record_that_becomes_too_deep_fails_unchanged() {
        let mut deep = json!(1);
        for _ in 0..63 {
            deep = json!({ "a": deep });
        }
        let params = json!({ "operation": "nest", "wildcard": "a", "nest_under": "b" });
        let filter = build(params, &BuildCx::detached("test")).unwrap();
        let applied = apply(Arc::clone(&filter), "app", std::slice::from_ref(&deep));
        assert_eq!(applied.batch.count, 1);
        let deeper = json!({ "a": deep });
        let applied = apply(filter, "app", std::slice::from_ref(&deeper));
        assert_eq!(records(&applied.failed.unwrap().events), [deeper]);
    }

    #[test]
    fn parameters_of_the_other_operation_are_refused() {
        let refused = |params| -> Vec<String> {
            let errors = build(params, &BuildCx::detached("test")).err().unwrap();
            errors.into_iter().map(|error| error.path).collect()
        };
        assert_eq!(refused(json!({ "operation": "nest" })), ["", ""]);
        let lift = json!({ "operation": "lift", "nest_under": "a", "wildcard": "*" });
        assert_eq!(refused(lift), ["", "/nest_under", "/wildcard"]);
    }
}
