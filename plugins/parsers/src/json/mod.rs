//! Parser `json`: one object per text.

mod scan;
mod string;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::Time,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Fields,
    rules::{Common, Defaults, Rules},
};
pub(crate) use scan::Scan;
pub(crate) use string::write as write_string;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "json",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads one JSON object",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Has no use here: there is one reader of JSON.
    pub json_parser: Option<String>,
    /// Has no use here: a text is read as a whole.
    pub stream_buffer_size: Option<u32>,
    /// Those of every parser. `time_key` is `time` by default; a field of this name that is no time stays as it is,
    /// unless `time_key` is written.
    #[serde(flatten)]
    pub common: Common,
}

/// What JSON has by default.
pub(crate) const DEFAULTS: Defaults = Defaults {
    time_key: Some("time"),
    ..Defaults::NONE
};

#[derive(Debug)]
struct Json {
    rules: Rules,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let rules = Rules::compile(&config.common, &DEFAULTS, cx)?;
    Ok(Arc::new(Json { rules }))
}

impl Parser for Json {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        object(&self.rules, text, record)
    }
}

/// Reads one object with the common rules applied to its fields.
pub(crate) fn object(
    rules: &Rules,
    text: &[u8],
    record: &mut Vec<u8>,
) -> Result<Option<Time>, ParseError> {
    let mut scan = Scan::new(text);
    scan.begin_object()?;
    let mut fields = Fields::begin(rules, record);
    let mut is_first = true;
    while scan.next_pair(is_first)? {
        is_first = false;
        fields.scanned(&mut scan)?;
    }
    scan.end()?;
    Ok(fields.end())
}
