//! Parser `multi_format`: several parsers, of which the first that can read a text makes its record.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany, ParserTable},
    event::Time,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "multi_format",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Tries several parsers in order",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The parsers, each a table with its `type` and parameters. They are tried in order.
    pub pattern: OneOrMany<ParserTable>,
}

struct First(Vec<Arc<dyn Parser>>);

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    let mut parsers = Vec::new();
    for (index, table) in config.pattern.0.iter().enumerate() {
        match cx.parser(&format!("/pattern/{index}"), table) {
            Ok(parser) => parsers.push(parser),
            Err(found) => errors.extend(found),
        }
    }
    if parsers.is_empty() && errors.is_empty() {
        let error = ConfigError::at("/pattern", "there is no parser to try");
        errors.push(error.help("write pattern = [{ type = \"json\" }, { type = \"none\" }]"));
    }
    if errors.is_empty() {
        Ok(Arc::new(First(parsers)))
    } else {
        Err(errors)
    }
}

impl Parser for First {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let start = record.len();
        for parser in &self.0 {
            match parser.parse(text, record) {
                Ok(time) => return Ok(time),
                Err(_) => record.truncate(start),
            }
        }
        Err(ParseError::new("none of the patterns can read the text"))
    }

    /// A line begins a record when one of the parsers that know says so.
    fn begins(&self, line: &[u8]) -> Option<bool> {
        let answers = self.0.iter().filter_map(|parser| parser.begins(line));
        answers.reduce(|before, begins| before || begins)
    }
}
