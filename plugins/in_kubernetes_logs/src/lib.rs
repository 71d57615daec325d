//! Input `kubernetes_logs`: what the containers of a node write.

mod choice;
mod config;
mod container;
mod decode;
mod formats;
mod layout;
mod links;
#[cfg(test)]
mod tests;
mod times;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sdk::{
    Fut, RunError,
    config::{ConfigError, ConfigErrors, Size, Zone},
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};
use tail::{Counters, Engine, Globs, Retention, Settings};

use choice::Choice;
pub use config::{Config, Fields, Over, OversizeAction, RateLimit, TagStyle};
use decode::Pods;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "kubernetes_logs",
    aliases: &[],
    stability: Stability::Beta,
    summary: "Reads what the containers of a node write",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// The longest record that may be asked for: a batch must fit into a chunk.
const RECORD_BYTES_MAX: u64 = 4 << 20;
/// What a runtime writes besides the content of a line, escapes of JSON included.
const LINE_OVERHEAD_BYTES: usize = 256 << 10;
/// Lines of one batch, at most.
const BATCH_LINES: usize = 20_000;

/// The input before it runs.
#[derive(Debug)]
struct KubernetesLogs {
    settings: Settings,
    choice: Choice,
    config: Config,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let choice = Choice::new(&config)?;
    let globs = Globs::new(
        config.path.0.clone(),
        config.exclude_path.0.clone(),
        Zone::UTC,
    )
    .map_err(|error| vec![ConfigError::at("/path", error.to_string())])?;
    let Size(bytes) = config.max_line_size;
    if !(1..=RECORD_BYTES_MAX).contains(&bytes) {
        let message = format!("{bytes} bytes is no limit for a record");
        let help = format!("write 1 to {}", Size(RECORD_BYTES_MAX));
        return Err(vec![ConfigError::at("/max_line_size", message).help(help)]);
    }
    if config.poll_interval.0 < Duration::from_millis(10) {
        let message = "files would be looked at all the time";
        return Err(vec![
            ConfigError::at("/poll_interval", message).help("write at least \"10ms\""),
        ]);
    }
    let Some(state_dir) = cx.state_dir.clone() else {
        let message = "a source that keeps positions needs a name that stays";
        return Err(vec![
            ConfigError::at("", message).help("add `id = \"...\"`"),
        ]);
    };
    Ok(Box::new(KubernetesLogs {
        settings: settings(&config, globs, state_dir),
        choice,
        config,
    }))
}

fn settings(config: &Config, globs: Globs, state_dir: PathBuf) -> Settings {
    let mut settings = Settings::new(globs, state_dir);
    settings.pos_files = config.pos_file.0.iter().map(PathBuf::from).collect();
    settings.refresh_interval = config.refresh_interval.0;
    settings.poll_interval = config.poll_interval.0;
    settings.idle_poll_interval = settings.idle_poll_interval.max(config.poll_interval.0);
    settings.read_from_head = config.read_from_head;
    settings.read_rotated = true;
    settings.rotate_wait = config.rotate_wait.0;
    settings.read_lines_limit = BATCH_LINES;
    settings.max_line_bytes = config.max_line_size.as_usize() + LINE_OVERHEAD_BYTES;
    settings.flush_interval = Some(config.partial_flush_interval.0);
    settings.retention = Some(Retention {
        file_bytes: config.container_log_max_size.0,
        files: config.container_log_max_files.into(),
    });
    settings
}

impl Input for KubernetesLogs {
    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        let counters = Arc::new(Counters::new(&cx.metrics));
        let choice = if self.config.exclude_self {
            self.choice.without_own(|name| std::env::var(name).ok())
        } else {
            self.choice
        };
        let unknown = cx.invalid_records("unknown_format");
        let pods = Pods::new(
            self.config,
            choice,
            cx.clock.clone(),
            unknown,
            Arc::clone(&counters),
        );
        let engine = Engine::new(self.settings, pods, counters);
        Box::pin(tail::run(engine, cx, stop))
    }
}
