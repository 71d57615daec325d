//! Problems that a builder finds in its configuration.

use serde::de::DeserializeOwned;

/// One problem, at a place in the plugin's table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// JSON pointer from the plugin's table: `/index`, `/record/host`; empty for the table itself.
    pub path: String,
    /// What is wrong, a lower-case fragment that names the value.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// All problems of one component. Never empty.
pub type ConfigErrors = Vec<ConfigError>;

impl ConfigError {
    /// A problem at `path`.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            help: None,
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Turns a checked table into the plugin's `Config`.
///
/// # Errors
/// One [`ConfigError`]; the schema has found everything else before.
pub fn parse<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, ConfigErrors> {
    serde_json::from_value(value).map_err(|error| vec![ConfigError::at("", error.to_string())])
}
