//! Formatter `json`: one JSON object per event.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::{RawEvent, Tag},
    formatter::{FormatError, Formatter},
    json::Lead,
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::text;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "json",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes the record as a JSON object",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// End each object with a line feed.
    #[serde(default = "yes")]
    pub add_newline: bool,
    /// Put the time of the event in the object, in UTC with nanoseconds.
    #[serde(default)]
    pub include_time_key: bool,
    /// The name of the field with the time. A field of the record with this name gets `_` at its end.
    #[serde(default = "default_time_key")]
    pub time_key: String,
    /// Put the tag in the object.
    #[serde(default)]
    pub include_tag_key: bool,
    /// The name of the field with the tag. A field of the record with this name gets `_` at its end.
    #[serde(default = "default_tag_key")]
    pub tag_key: String,
    /// Has no use here: there is one writer of JSON.
    pub json_parser: Option<String>,
}

fn default_time_key() -> String {
    "time".into()
}

fn default_tag_key() -> String {
    "tag".into()
}

fn yes() -> bool {
    true
}

struct Json(Config);

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    Ok(Arc::new(Json(config::parse(params)?)))
}

impl Formatter for Json {
    fn format(
        &self,
        tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let mut lead = Lead::new();
        if self.0.include_time_key {
            lead = lead.time(&self.0.time_key);
            lead.set_time(event.time);
        }
        if self.0.include_tag_key {
            lead = lead.string(&self.0.tag_key, tag.as_str());
        }
        text::record(out, &lead, event)?;
        if self.0.add_newline {
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
    fn the_record_is_an_object_on_a_line() {
        let plain = || json!({ "type": "json" });
        for (record, expected) in [
            (json!({}), "{}\n"),
            (
                json!({ "a": 1, "b": [true, null, 1.5] }),
                "{\"a\":1,\"b\":[true,null,1.5]}\n",
            ),
            (
                json!({ "a": "x\ny\"\u{e9}" }),
                "{\"a\":\"x\\ny\\\"\u{e9}\"}\n",
            ),
        ] {
            check(plain(), &record, expected);
        }
        check(
            json!({ "type": "json", "add_newline": false }),
            &json!({ "a": { "b": 2 } }),
            "{\"a\":{\"b\":2}}",
        );
    }

    #[test]
    fn time_and_tag_stand_in_front() {
        let both = json!({ "type": "json", "include_time_key": true, "include_tag_key": true });
        check(
            both,
            &json!({ "tag": 1 }),
            "{\"time\":\"2023-11-14T22:13:20.000000005Z\",\"tag\":\"app.web\",\"tag_\":1}\n",
        );
        let renamed = json!({ "type": "json", "include_time_key": true, "time_key": "@timestamp" });
        check(
            renamed,
            &json!({}),
            "{\"@timestamp\":\"2023-11-14T22:13:20.000000005Z\"}\n",
        );
    }
}
