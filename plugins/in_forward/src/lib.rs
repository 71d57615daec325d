//! Input `forward`: takes messages of the Fluentd forward protocol over TCP and answers when they are stored.

mod answer;
mod connection;
mod intake;
mod listener;
mod report;
mod room;
mod settings;
mod source;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use sdk::{
    Fut, RunError,
    config::{self, ConfigErrors, Interval, Listen, Size},
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};
use serde::Deserialize;

use settings::Settings;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "forward",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes records over the Fluentd forward protocol",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address and port to listen on, such as `"0.0.0.0:24224"`, which is the default. In place of `bind` and
    /// `port`.
    pub listen: Option<Listen>,
    /// The IP address to listen on. `"0.0.0.0"` by default.
    pub bind: Option<String>,
    /// The port to listen on. 24224 by default.
    pub port: Option<u16>,
    /// Connections that may wait to be accepted.
    #[serde(default = "default_backlog")]
    #[schemars(range(min = 1, max = 65_535))]
    pub backlog: i32,
    /// A tag in place of the one that comes with a message.
    #[schemars(length(min = 1))]
    pub tag: Option<String>,
    /// Put in front of every tag, with a dot between.
    #[schemars(length(min = 1))]
    pub add_tag_prefix: Option<String>,
    /// What makes the ids of documents where an output writes some: `"buffer"`, the place of a record in the buffer,
    /// or `"origin"`, the sender's chunk id and the place in that chunk. With `"origin"` a message that is sent again
    /// adds nothing, even to another aggregator; but Fluent Bit gives equal chunks equal ids.
    #[serde(default)]
    pub identity: Identity,
    /// The longest message on the wire. A longer one is not taken, and its connection is closed.
    #[serde(default = "default_chunk_size_limit")]
    pub chunk_size_limit: Size,
    /// Say in the log when a message is longer than this.
    pub chunk_size_warn_limit: Option<Size>,
    /// The most that the compressed entries of one message may become.
    #[serde(default = "default_decompression_size_limit")]
    pub decompression_size_limit: Size,
    /// Connections at a time. More are closed as soon as they come.
    #[serde(default = "default_max_connections")]
    #[schemars(range(min = 1))]
    pub max_connections: usize,
    /// How long a message may stand still before its connection is closed.
    #[serde(default = "default_message_timeout")]
    pub message_timeout: Interval,
    /// How long a connection may be silent between messages before it is closed. Never by default: a logger that
    /// asks for no acknowledgement loses what it writes into a closed connection.
    pub idle_timeout: Option<Interval>,
    /// Close each connection after its first message.
    #[serde(default)]
    pub deny_keepalive: bool,
    /// Let the kernel find out whether silent senders still exist (`SO_KEEPALIVE`).
    #[serde(default = "default_send_keepalive_packet")]
    pub send_keepalive_packet: bool,
}

/// What makes the ids of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The place of a record in the buffer.
    #[default]
    Buffer,
    /// The sender's chunk id, and the place of a record in that chunk.
    Origin,
}

fn default_backlog() -> i32 {
    1024
}

fn default_chunk_size_limit() -> Size {
    Size::mib(272)
}

fn default_decompression_size_limit() -> Size {
    Size::mib(256)
}

fn default_max_connections() -> usize {
    10_000
}

fn default_message_timeout() -> Interval {
    Interval::secs(60)
}

fn default_send_keepalive_packet() -> bool {
    true
}

/// The input before it runs.
#[derive(Debug)]
struct Forward {
    settings: Settings,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let settings = Settings::new(config)?;
    Ok(Box::new(Forward { settings }))
}

impl Input for Forward {
    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(listener::run(self.settings, cx, stop))
    }
}
