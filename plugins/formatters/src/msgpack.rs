//! Formatter `msgpack`: the record as MessagePack.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::{RawEvent, Tag},
    formatter::{FormatError, Formatter},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "msgpack",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes the record as MessagePack",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

struct Msgpack;

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let Config {} = config::parse(params)?;
    Ok(Arc::new(Msgpack))
}

impl Formatter for Msgpack {
    fn format(
        &self,
        _tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        out.extend_from_slice(event.record.bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sdk::{msgpack::RawValue, testing::to_json};
    use serde_json::json;

    use crate::testing::format;

    #[test]
    fn the_record_is_written_as_it_is() {
        for record in [
            json!({}),
            json!({ "a": [1, { "b": null }] }),
            json!({ "text": "x" }),
        ] {
            let bytes = format(json!({ "type": "msgpack" }), &record);
            assert_eq!(to_json(RawValue::parse(&bytes).unwrap()), record);
        }
    }
}
