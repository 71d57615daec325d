//! Parser `none`: the whole text becomes one field.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::Time,
    msgpack::write,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::rules::Common;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "none",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Puts the whole text under one key",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The field for the text.
    #[serde(default = "default_message_key")]
    pub message_key: String,
    /// Those of every parser. There is no time in the text, so only `types` and the two about null have a use.
    #[serde(flatten)]
    pub common: Common,
}

fn default_message_key() -> String {
    "message".into()
}

struct Whole {
    /// The header of the map and the key.
    start: Vec<u8>,
    rules: Option<(crate::rules::Rules, crate::rules::Column)>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let rules = crate::rules::Rules::compile(&config.common, &crate::rules::Defaults::NONE, cx)?;
    let column = rules.column(&config.message_key);
    let mut start = Vec::new();
    write::map(&mut start, 1);
    write::str(&mut start, &config.message_key);
    Ok(Arc::new(Whole {
        start,
        rules: (!rules.is_plain()).then_some((rules, column)),
    }))
}

impl Parser for Whole {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        record.extend_from_slice(&self.start);
        match &self.rules {
            None => write::str_bytes(record, text),
            Some((rules, column)) => rules.write_text(record, text, column.convert),
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::check;

    #[test]
    fn the_text_is_the_message() {
        let none = || json!({ "type": "none" });
        check(none(), "GET / 200", "", json!({ "message": "GET / 200" }));
        check(none(), "", "", json!({ "message": "" }));
        let log = json!({ "type": "none", "message_key": "log" });
        check(log, "a\tb", "", json!({ "log": "a\tb" }));
        let number = json!({ "type": "none", "types": "message:integer" });
        check(number, "12 apples", "", json!({ "message": 12 }));
        let null = json!({ "type": "none", "null_empty_string": true });
        check(null, "", "", json!({ "message": null }));
    }
}
