//! Formatter `csv`: the values of named fields with commas between them (RFC 4180).

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany},
    event::{FieldPath, RawEvent, Tag},
    formatter::{FormatError, Formatter},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::text;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "csv",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes values with commas between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fields, in order: keys, or paths such as `$.kubernetes.pod_name`.
    pub fields: OneOrMany<FieldPath>,
    /// What stands between two values.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// Quote every value; if false, only those that need it.
    #[serde(default = "yes")]
    pub force_quotes: bool,
    /// End each event with a line feed.
    #[serde(default = "yes")]
    pub add_newline: bool,
}

fn default_delimiter() -> String {
    ",".into()
}

fn yes() -> bool {
    true
}

struct Csv {
    config: Config,
    delimiter: Vec<u8>,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    if config.fields.0.is_empty() {
        let message = "no field is named; write fields = [\"host\", \"message\"]";
        errors.push(ConfigError::at("/fields", message));
    }
    if config.delimiter.is_empty() || config.delimiter.contains('"') {
        let message = "it must be at least one character, and no quote; write \",\" or \"TAB\"";
        errors.push(ConfigError::at("/delimiter", message));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let delimiter = text::delimiter(&config.delimiter);
    Ok(Arc::new(Csv { config, delimiter }))
}

impl Formatter for Csv {
    fn format(
        &self,
        _tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let mut value = Vec::new();
        for (index, field) in self.config.fields.0.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.delimiter);
            }
            value.clear();
            if let Some(found) = field.find(event.record) {
                text::value(&mut value, found);
            }
            self.write(out, &value);
        }
        if self.config.add_newline {
            out.push(b'\n');
        }
        Ok(())
    }
}

impl Csv {
    fn write(&self, out: &mut Vec<u8>, value: &[u8]) {
        let needs_quotes = memchr::memchr3(b'"', b'\n', b'\r', value).is_some()
            || memchr::memmem::find(value, &self.delimiter).is_some();
        if !self.config.force_quotes && !needs_quotes {
            return out.extend_from_slice(value);
        }
        out.push(b'"');
        for part in value.split_inclusive(|byte| *byte == b'"') {
            out.extend_from_slice(part);
            if part.ends_with(b"\"") {
                out.push(b'"');
            }
        }
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::testing::{check, cx, format, try_formatter};

    #[test]
    fn the_named_values_stand_on_a_line() {
        let record = json!({ "a": 1, "b": "say \"hi\", you", "k": { "pod": "p" }, "n": null });
        check(
            json!({ "type": "csv", "fields": ["a", "b"] }),
            &record,
            "\"1\",\"say \"\"hi\"\", you\"\n",
        );
        check(
            json!({ "type": "csv", "fields": ["n", "missing", "$.k.pod"] }),
            &record,
            "\"\",\"\",\"p\"\n",
        );
        let bare = json!({ "type": "csv", "fields": ["a", "b", "n"], "force_quotes": false, "add_newline": false });
        check(bare, &record, "1,\"say \"\"hi\"\", you\",");
        check(
            json!({ "type": "csv", "fields": ["a", "k"], "delimiter": "TAB", "force_quotes": false }),
            &record,
            "1\t\"{\"\"pod\"\":\"\"p\"\"}\"\n",
        );
        let errors = try_formatter(json!({ "type": "csv", "fields": [], "delimiter": "\"" }))
            .err()
            .unwrap();
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["/fields", "/delimiter"]);
    }

    proptest! {
        #[test]
        fn the_parser_reads_what_is_written(values in prop::collection::vec(".{0,8}", 1..6)) {
            let record: Value = values.iter().enumerate().map(|(index, value)| (index.to_string(), json!(value))).collect();
            let keys: Vec<_> = (0..values.len()).map(|index| index.to_string()).collect();
            let line = format(json!({ "type": "csv", "fields": keys, "add_newline": false }), &record);
            let table = serde_json::from_value(json!({ "type": "csv", "keys": keys })).unwrap();
            let mut parsed = Vec::new();
            cx().parser("", &table).unwrap().parse(&line, &mut parsed).unwrap();
            let parsed = sdk::msgpack::RawValue::parse(&parsed).unwrap();
            prop_assert_eq!(sdk::testing::to_json(parsed), record);
        }
    }
}
