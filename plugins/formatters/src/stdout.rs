//! Formatter `stdout`: time, tag and record for people, as Fluentd prints them.

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

use crate::{
    stamp::{Stamp, Stamping},
    text,
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "stdout",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes time, tag and record for people",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// How the record is written; there is only JSON.
    #[serde(default)]
    pub output_type: OutputType,
    /// The time is `2026-01-02 03:04:05.000000000 +0000`, unless these say otherwise.
    #[serde(flatten)]
    pub stamping: Stamping,
}

/// How the record is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// As a JSON object.
    #[default]
    Json,
}

struct Stdout(Stamp);

/// The time as Fluentd prints it.
const TIME: &str = "%Y-%m-%d %H:%M:%S.%N %z";

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let OutputType::Json = config.output_type;
    let stamp = Stamp::compile(&config.stamping, TIME).map_err(|error| vec![error])?;
    Ok(Arc::new(Stdout(stamp)))
}

impl Formatter for Stdout {
    fn format(
        &self,
        tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        self.0.write(out, event.time);
        out.push(b' ');
        text::tag(out, tag);
        out.extend_from_slice(b": ");
        text::record(out, &Lead::new(), event)?;
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::check;

    #[test]
    fn lines_are_those_of_fluentd() {
        check(
            json!({ "type": "stdout", "timezone": "+09:00" }),
            &json!({ "a": "x" }),
            "2023-11-15 07:13:20.000000005 +0900 app.web: {\"a\":\"x\"}\n",
        );
        check(
            json!({ "type": "stdout", "time_format": "%H:%M", "utc": true }),
            &json!({}),
            "22:13 app.web: {}\n",
        );
    }
}
