//! Input `forward`: takes messages of the Fluentd forward protocol over TCP, TLS or a Unix socket, and answers when
//! they are stored.

mod additions;
mod answer;
mod capacity;
mod config;
mod connection;
mod gate;
mod heartbeat;
pub mod in_unix;
mod intake;
mod listener;
mod partial;
mod peer;
mod reading;
mod repeats;
mod report;
mod room;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod unix;
mod welcome;

use sdk::{
    Fut, RunError,
    config::ConfigErrors,
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};

pub use config::{Client, Config, Identity, Security, User};
use settings::Settings;
pub use tls::{ServerTls as Tls, TlsVersion};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "forward",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes records over the Fluentd forward protocol",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// The input before it runs.
#[derive(Debug)]
struct Forward {
    settings: Settings,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let settings = Settings::new(config, &cx.hostname, cx.state_dir.as_deref())?;
    Ok(Box::new(Forward { settings }))
}

impl Input for Forward {
    fn prepare<'a>(&'a self, cx: &'a InputCx) -> Fut<'a, Result<(), RunError>> {
        Box::pin(listener::prepare(&self.settings, cx))
    }

    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(listener::run(self.settings, cx, stop))
    }
}
