//! Formatter `ltsv`: labels and values with tabs between the pairs.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors},
    event::{RawEvent, Tag},
    formatter::{FormatError, Formatter},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::text;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "ltsv",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes labelled values with tabs between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What stands between two pairs.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// What stands between a label and its value.
    #[serde(default = "default_label_delimiter")]
    pub label_delimiter: String,
    /// What takes the place of a delimiter inside a value. A line feed becomes a blank.
    #[serde(default = "default_replacement")]
    pub replacement: String,
    /// End each event with a line feed.
    #[serde(default = "yes")]
    pub add_newline: bool,
}

fn default_delimiter() -> String {
    "\t".into()
}

fn default_label_delimiter() -> String {
    ":".into()
}

fn default_replacement() -> String {
    " ".into()
}

fn yes() -> bool {
    true
}

struct Ltsv {
    config: Config,
    delimiter: Vec<u8>,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    if config.delimiter.is_empty() {
        let message = "it is empty; write at least one character";
        return Err(vec![ConfigError::at("/delimiter", message)]);
    }
    let delimiter = text::delimiter(&config.delimiter);
    Ok(Arc::new(Ltsv { config, delimiter }))
}

impl Formatter for Ltsv {
    fn format(
        &self,
        _tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let replacement = self.config.replacement.as_bytes();
        for (index, (key, value)) in event.record.pairs().into_iter().flatten().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.delimiter);
            }
            let start = out.len();
            text::value(out, key);
            text::replace(out, start, &self.delimiter, replacement);
            out.extend_from_slice(self.config.label_delimiter.as_bytes());
            let start = out.len();
            text::value(out, value);
            text::replace(out, start, &self.delimiter, replacement);
        }
        if self.config.add_newline {
            out.push(b'\n');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::testing::{check, cx, format, try_formatter};

    #[test]
    fn pairs_stand_on_a_line() {
        let plain = || json!({ "type": "ltsv" });
        check(
            plain(),
            &json!({ "a": 1, "b": "x", "c": null }),
            "a:1\tb:x\tc:\n",
        );
        check(
            plain(),
            &json!({ "a": "x\ty\nz", "b": [1] }),
            "a:x y z\tb:[1]\n",
        );
        check(plain(), &json!({}), "\n");
        check(
            json!({ "type": "ltsv", "delimiter": ";;", "label_delimiter": "=", "replacement": "_", "add_newline": false }),
            &json!({ "a": "x;;y", "b": 2 }),
            "a=x_y;;b=2",
        );
        check(
            json!({ "type": "ltsv", "delimiter": "COMMA" }),
            &json!({ "a": "1,2", "b": true }),
            "a:1 2,b:true\n",
        );
        assert_eq!(
            try_formatter(json!({ "type": "ltsv", "delimiter": "" }))
                .err()
                .unwrap()[0]
                .path,
            "/delimiter"
        );
    }

    proptest! {
        #[test]
        fn the_parser_reads_what_is_written(record in prop::collection::btree_map("[a-z]{1,4}", "[ -~]{0,8}", 1..6)) {
            let record: Value = json!(record);
            let line = format(json!({ "type": "ltsv", "add_newline": false }), &record);
            let table = serde_json::from_value(json!({ "type": "ltsv", "time_key": "-" })).unwrap();
            let mut parsed = Vec::new();
            cx().parser("", &table).unwrap().parse(&line, &mut parsed).unwrap();
            let parsed = sdk::msgpack::RawValue::parse(&parsed).unwrap();
            prop_assert_eq!(sdk::testing::to_json(parsed), record);
        }
    }
}
