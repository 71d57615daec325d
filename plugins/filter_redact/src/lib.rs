//! Filter `redact`: takes personal data and secrets out of records before anything is stored.
//!
//! One pass over the encoded record looks for places where a value may stand; a record without one is left as it is,
//! to the byte. The detectors validate what stands at the places, and what they confirm is replaced.

mod action;
mod compile;
mod detectors;
mod filter;
mod finds;
mod keys;
mod numbers;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod words;

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors, OneOrMany, Pattern, Secret},
    event::FieldPath,
    filter::Filter,
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

pub use action::Action;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "redact",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes personal data and secrets out of records before anything is stored",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("protects" = true))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The detectors that look into every text: names from the list above; `default` stands for those that are on by
    /// default, `all` for all.
    #[serde(default = "default_detect")]
    pub detect: OneOrMany<String>,
    /// Detectors that `detect` shall not include.
    #[serde(default)]
    pub skip: OneOrMany<String>,
    /// Names of fields whose values are redacted whatever they are, at any depth, in any case: `api_key` means
    /// `apiKey` and `API-KEY` too, and `*` at either end stands for anything. An empty list turns this off.
    #[serde(default = "default_keys")]
    #[schemars(extend("aliases" = ["fields"]))]
    pub keys: OneOrMany<String>,
    /// Fields that are left alone with all that is below them: keys, or paths such as `$.kubernetes.labels`.
    #[serde(default)]
    #[schemars(extend("aliases" = ["except"]))]
    pub allow: OneOrMany<FieldPath>,
    /// What is done with a value.
    #[serde(default)]
    pub action: Action,
    /// So many characters at the end of a masked value stay, at most a third of it.
    #[serde(default)]
    pub keep_last: u8,
    /// Other actions for single detectors, by name: `credit_card = { keep_last = 4 }`. `field` is what `keys` finds.
    #[serde(default)]
    pub actions: BTreeMap<String, Deviation>,
    /// Patterns of your own.
    #[serde(default)]
    #[schemars(extend("aliases" = ["patterns"]))]
    pub pattern: OneOrMany<Custom>,
    /// The key of hashes and tokens, at least 16 characters. The same value and key give the same hash everywhere.
    pub key: Option<Secret>,
    /// A name of the key that is written into hashes and tokens, so that it can be changed.
    pub key_id: Option<String>,
}

/// What one detector does otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// As above.
    pub action: Option<Action>,
    /// As above.
    pub keep_last: Option<u8>,
}

/// A detector of your own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// Its name in the metric and in what stands for a value: lower-case letters, digits and `_`.
    pub name: String,
    /// What it finds. Such a pattern is tried on every text of every record.
    pub pattern: Pattern,
    /// As above.
    pub action: Option<Action>,
    /// As above.
    pub keep_last: Option<u8>,
}

/// The detectors: name, whether it is on by default, and what it finds and validates.
pub fn detectors() -> impl Iterator<Item = (&'static str, bool, &'static str)> {
    let detectors = detectors::DETECTORS.iter();
    detectors.map(|one| (one.name, one.by_default, one.about))
}

fn default_detect() -> OneOrMany<String> {
    OneOrMany(vec!["default".to_owned()])
}

fn default_keys() -> OneOrMany<String> {
    let names = [
        "*password",
        "*passwd",
        "pwd",
        "*passphrase",
        "*secret",
        "secret_key",
        "*access_key",
        "token",
        "*_token",
        "*api_key",
        "*apikey",
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "*private_key",
        "credential",
        "credentials",
        "session_id",
        "ssn",
    ];
    OneOrMany(names.map(str::to_owned).to_vec())
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let filter = compile::compile(config::parse(params)?, &cx.metrics)?;
    Ok(Arc::new(filter))
}
