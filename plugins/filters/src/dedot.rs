//! Filter `dedot`: replaces dots in the names of fields.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany},
    event::{Edit, FieldPath},
    filter::Filter,
    msgpack::{RawValue, Token, write},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::names::Names;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "dedot",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Replaces dots in the names of fields",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Replace dots. If false, the filter does nothing.
    #[serde(default = "default_de_dot")]
    pub de_dot: bool,
    /// Also in the names below the top level, in tables and in lists of tables.
    #[serde(default)]
    pub de_dot_nested: bool,
    /// What stands in the place of a dot.
    #[serde(default = "default_de_dot_separator")]
    pub de_dot_separator: String,
    /// Only in the tables with these names, such as `$.kubernetes.labels`. Without it, in the whole record.
    #[serde(default)]
    pub key: OneOrMany<FieldPath>,
}

fn default_de_dot() -> bool {
    true
}

fn default_de_dot_separator() -> String {
    "_".into()
}

#[derive(Debug)]
struct Dedot(Config);

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    if config.de_dot_separator.contains('.') {
        let error = ConfigError::at("/de_dot_separator", "a dot cannot stand for a dot");
        errors.push(error.help("write another letter, such as \"_\""));
    }
    for (index, path) in config.key.0.iter().enumerate() {
        if path.has_index() {
            let message = format!("{path} is an item of a list, which cannot be changed");
            let error = ConfigError::at(format!("/key/{index}"), message);
            errors
                .push(error.help("name the table that holds the list, with de_dot_nested = true"));
        }
    }
    if errors.is_empty() {
        Ok(Arc::new(Dedot(config)))
    } else {
        Err(errors)
    }
}

impl Filter for Dedot {
    fn filter(&self, edit: &mut Edit<'_>) {
        if !self.0.de_dot {
            return;
        }
        if self.0.key.0.is_empty() {
            return edit.set_record(|record, out| self.rewrite(record, out));
        }
        for path in &self.0.key.0 {
            let mut table = Vec::new();
            let changed = edit
                .get(path)
                .is_some_and(|value| self.rewrite(value, &mut table));
            if changed {
                edit.set_path(path, |_, out| out.append(&mut table));
            }
        }
    }
}

impl Dedot {
    /// Writes the table with its new names. `false`, and nothing is written, where none has a dot.
    fn rewrite(&self, table: RawValue<'_>, out: &mut Vec<u8>) -> bool {
        let changes = table.pairs().is_some() && self.has_dot(table);
        if changes {
            self.write(table, out);
        }
        changes
    }

    fn has_dot(&self, value: RawValue<'_>) -> bool {
        let below = |value| self.0.de_dot_nested && self.has_dot(value);
        match value.token() {
            Token::Map(_) => value
                .pairs()
                .into_iter()
                .flatten()
                .any(|(name, value)| dotted(name).is_some() || below(value)),
            Token::Array(_) => value.items().into_iter().flatten().any(below),
            _ => false,
        }
    }

    fn write(&self, value: RawValue<'_>, out: &mut Vec<u8>) {
        match value.token() {
            Token::Map(count) => {
                write::map(out, count);
                let pairs = || value.pairs().into_iter().flatten();
                let mut names = Names::default();
                for name in pairs().filter_map(|(name, _)| name.as_bytes()) {
                    if !name.contains(&b'.') {
                        names.take(name);
                    }
                }
                for (name, value) in pairs() {
                    match dotted(name) {
                        Some(text) => {
                            let new = self.replace(text);
                            let new = names.free(new, &self.0.de_dot_separator);
                            write::str_bytes(out, &new);
                        }
                        None => out.extend_from_slice(name.bytes()),
                    }
                    self.write_below(value, out);
                }
            }
            Token::Array(count) => {
                write::array(out, count);
                for item in value.items().into_iter().flatten() {
                    self.write(item, out);
                }
            }
            _ => out.extend_from_slice(value.bytes()),
        }
    }

    fn write_below(&self, value: RawValue<'_>, out: &mut Vec<u8>) {
        if self.0.de_dot_nested {
            self.write(value, out);
        } else {
            out.extend_from_slice(value.bytes());
        }
    }

    fn replace(&self, name: &[u8]) -> Vec<u8> {
        let parts: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
        parts.join(self.0.de_dot_separator.as_bytes())
    }
}

/// The text of a name with a dot.
fn dotted(name: RawValue<'_>) -> Option<&[u8]> {
    name.as_bytes().filter(|text| text.contains(&b'.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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
    fn dots_are_replaced_at_the_top_or_everywhere() {
        let input = json!({ "a.b": { "c.d": 1 }, "x": [{ "y.z": 2 }], "v": "1.2" });
        let top = json!({ "a_b": { "c.d": 1 }, "x": [{ "y.z": 2 }], "v": "1.2" });
        check(json!({}), &input, &top);
        let all = json!({ "a-b": { "c-d": 1 }, "x": [{ "y-z": 2 }], "v": "1.2" });
        let params = json!({ "de_dot_nested": true, "de_dot_separator": "-" });
        check(params, &input, &all);
        check(json!({ "de_dot": false }), &input, &input);
    }

    #[test]
    fn labels_are_changed_where_they_stand() {
        let labels = json!({ "app": 1, "app.kubernetes.io/name": 2 });
        let input = json!({ "k": { "labels": labels }, "a.b": 3 });
        let expected =
            json!({ "k": { "labels": { "app": 1, "app_kubernetes_io/name": 2 } }, "a.b": 3 });
        check(json!({ "key": "$.k.labels" }), &input, &expected);
        check(json!({ "key": ["$.none", "k"] }), &input, &input);
    }

    #[test]
    fn no_field_takes_the_name_of_another() {
        let input = json!({ "a.b.c": 1, "a_b_c": 2, "a_b.c": 3, "a_b_c_2": 4 });
        let expected = json!({ "a_b_c_3": 1, "a_b_c": 2, "a_b_c_4": 3, "a_b_c_2": 4 });
        check(json!({}), &input, &expected);
        check(
            json!({ "de_dot_separator": "" }),
            &json!({ "a.b": 1, "ab": 2, "ab2": 3 }),
            &json!({ "ab3": 1, "ab": 2, "ab2": 3 }),
        );
    }

    #[test]
    fn a_dot_cannot_stand_for_a_dot() {
        let refused = |params| build(params, &BuildCx::detached("test")).err().unwrap();
        let errors = refused(json!({ "de_dot_separator": "x.y", "key": "$.a[0]" }));
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["/de_dot_separator", "/key/0"]);
    }

    proptest! {
        #[test]
        fn every_value_stays_and_no_dot_does(names in prop::collection::btree_set("[ab._2]{0,6}", 0..12)) {
            let input: serde_json::Map<String, Value> = names.iter().map(|name| (name.clone(), json!(name))).collect();
            let filter = build(json!({}), &BuildCx::detached("test")).unwrap();
            let applied = apply(filter, "app", &[Value::Object(input)]);
            let got = records(&applied.batch.events).remove(0);
            let fields = got.as_object().unwrap();
            prop_assert!(fields.keys().all(|name| !name.contains('.')));
            let values: Vec<&str> = fields.values().map(|value| value.as_str().unwrap()).collect();
            let sent: Vec<&str> = names.iter().map(String::as_str).collect();
            prop_assert_eq!(values, sent);
        }
    }
}
