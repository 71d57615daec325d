//! Formatter `single_value`: one field of the record as text.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::{FieldPath, RawEvent, Tag},
    formatter::{FormatError, Formatter},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::text;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "single_value",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes one field as text",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The field: a key, or a path such as `$.kubernetes.log`. A list or table is written as JSON, and a field that is
    /// missing as nothing. By default `message`.
    pub message_key: Option<FieldPath>,
    /// End each value with a line feed.
    #[serde(default = "yes")]
    pub add_newline: bool,
}

fn yes() -> bool {
    true
}

struct SingleValue {
    message_key: FieldPath,
    add_newline: bool,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    Ok(Arc::new(SingleValue {
        message_key: config
            .message_key
            .unwrap_or_else(|| FieldPath::key("message")),
        add_newline: config.add_newline,
    }))
}

impl Formatter for SingleValue {
    fn format(
        &self,
        _tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        if let Some(value) = self.message_key.find(event.record) {
            text::value(out, value);
        }
        if self.add_newline {
            out.push(b'\n');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::check;

    #[test]
    fn one_field_is_written() {
        let plain = || json!({ "type": "single_value" });
        check(plain(), &json!({ "message": "a\tb", "x": 1 }), "a\tb\n");
        check(plain(), &json!({ "message": 1.0 }), "1.0\n");
        check(plain(), &json!({ "message": [1, "a"] }), "[1,\"a\"]\n");
        check(plain(), &json!({ "x": 1 }), "\n");
        check(
            json!({ "type": "single_value", "message_key": "$.k.log", "add_newline": false }),
            &json!({ "k": { "log": "x" } }),
            "x",
        );
        check(
            json!({ "type": "single_value", "message_key": "log" }),
            &json!({ "log": null }),
            "\n",
        );
    }
}
