//! Input `http`: takes records in the bodies of HTTP requests, and answers 200 when they are stored.

mod access;
mod answer;
mod body;
mod chunk;
mod config;
mod content;
mod form;
mod inflate;
mod intake;
mod json;
mod listener;
mod records;
mod report;
mod service;
mod settings;
#[cfg(test)]
mod tests;

use sdk::{
    Fut, RunError,
    config::ConfigErrors,
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};

pub use config::{Auth, Config, Identity, User};
use settings::Settings;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "http",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes records in the bodies of HTTP requests",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// The input before it runs.
#[derive(Debug)]
struct Http {
    settings: Settings,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let settings = Settings::new(config, cx)?;
    Ok(Box::new(Http { settings }))
}

impl Input for Http {
    fn prepare<'a>(&'a self, cx: &'a InputCx) -> Fut<'a, Result<(), RunError>> {
        Box::pin(listener::prepare(&self.settings, cx))
    }

    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(listener::run(self.settings, cx, stop))
    }
}
