//! Formatter `tsv`: the values of named fields with tabs between them.

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
    name: "tsv",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes values with tabs between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fields, in order: keys, or paths such as `$.kubernetes.pod_name`.
    pub keys: OneOrMany<FieldPath>,
    /// What stands between two values. Inside a value it becomes a blank, as does a line feed.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// End each event with a line feed.
    #[serde(default = "yes")]
    pub add_newline: bool,
}

fn default_delimiter() -> String {
    "\t".into()
}

fn yes() -> bool {
    true
}

struct Tsv {
    config: Config,
    delimiter: Vec<u8>,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    if config.keys.0.is_empty() {
        let message = "no field is named; write keys = [\"host\", \"message\"]";
        errors.push(ConfigError::at("/keys", message));
    }
    if config.delimiter.is_empty() {
        let message = "it is empty; write at least one character";
        errors.push(ConfigError::at("/delimiter", message));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let delimiter = text::delimiter(&config.delimiter);
    Ok(Arc::new(Tsv { config, delimiter }))
}

impl Formatter for Tsv {
    fn format(
        &self,
        _tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        for (index, key) in self.config.keys.0.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.delimiter);
            }
            text::field(out, event, key, &self.delimiter, b" ");
        }
        if self.config.add_newline {
            out.push(b'\n');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{check, try_formatter};

    #[test]
    fn the_named_values_stand_on_a_line() {
        let record = json!({ "a": 1, "b": "x\ty\r\nz", "k": { "pod": "p" }, "n": null });
        check(
            json!({ "type": "tsv", "keys": ["b", "a"] }),
            &record,
            "x y  z\t1\n",
        );
        check(
            json!({ "type": "tsv", "keys": ["n", "missing", "$.k.pod"] }),
            &record,
            "\t\tp\n",
        );
        check(
            json!({ "type": "tsv", "keys": "k", "add_newline": false }),
            &record,
            "{\"pod\":\"p\"}",
        );
        check(
            json!({ "type": "tsv", "keys": ["a", "b"], "delimiter": "|" }),
            &json!({ "a": "1|2", "b": 3 }),
            "1 2|3\n",
        );
        let errors = try_formatter(json!({ "type": "tsv", "keys": [], "delimiter": "" }))
            .err()
            .unwrap();
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["/keys", "/delimiter"]);
    }
}
