//! Input `tail`: follows files, line by line, across rotation and restarts.

mod config;
mod lines;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sdk::{
    Fut, RunError,
    config::ConfigErrors,
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};
use tail::{Counters, Engine};

pub use config::{Config, Group, OversizeAction, Rule};
use lines::Lines;
use settings::Plan;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "tail",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Follows files, line by line",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// The input before it runs.
struct Tail(Plan);

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    Ok(Box::new(Tail(Plan::new(config, cx)?)))
}

impl Input for Tail {
    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        let Plan { settings, rules } = self.0;
        let counters = Arc::new(Counters::new(&cx.metrics));
        let lines = Lines::new(rules, &cx);
        let engine = Engine::new(settings, lines, counters);
        Box::pin(tail::run(engine, cx, stop))
    }
}
