//! Input `tcp`: messages over TCP or TLS, with a delimiter between them, each read by a parser.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use lines::{Framing, Keys, ParsedLines, Place, StreamSettings, prepare_streams, serve_streams};
use schemars::JsonSchema;
use sdk::{
    Fut, RunError,
    config::{self, ConfigError, ConfigErrors, Interval, Listen, ParserTable, Size},
    event::Tag,
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};
use serde::Deserialize;
use tls::ServerTls;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "tcp",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes messages over TCP or TLS",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// Fluentd's port.
const PORT: u16 = 5170;

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tag of the events.
    #[schemars(length(min = 1))]
    pub tag: String,
    /// How a message becomes a record: a parser with its `type` and parameters.
    pub parse: ParserTable,
    /// The address and port to listen on, such as `"0.0.0.0:5170"`, which is the default. In place of `bind` and
    /// `port`.
    pub listen: Option<Listen>,
    /// The IP address to listen on. `"0.0.0.0"` by default.
    pub bind: Option<String>,
    /// The port to listen on. 5170 by default.
    pub port: Option<u16>,
    /// What stands behind each message. The last one of a connection may lack it.
    #[serde(default = "default_delimiter")]
    #[schemars(length(min = 1))]
    pub delimiter: String,
    /// The longest message. A longer one is cut, and counted.
    #[serde(default = "default_message_length_limit")]
    pub message_length_limit: Size,
    /// Make a record with the field `unmatched_line` of a message that the parser cannot read. If false, it is dropped,
    /// and counted.
    #[serde(default)]
    pub emit_unmatched_lines: bool,
    /// Write the sender's IP address into each record, under this key.
    #[schemars(length(min = 1))]
    pub source_address_key: Option<String>,
    /// Write the sender's host name into each record, under this key; its address where the name cannot be found.
    #[schemars(length(min = 1))]
    pub source_hostname_key: Option<String>,
    /// Speak TLS, and nothing else. Fluentd's `<transport tls>`.
    pub tls: Option<ServerTls>,
    /// Connections that may wait to be accepted.
    #[serde(default = "default_backlog")]
    #[schemars(range(min = 1, max = 65_535))]
    pub backlog: i32,
    /// Connections at a time. More are closed as soon as they come.
    #[serde(default = "default_max_connections")]
    #[schemars(range(min = 1))]
    pub max_connections: usize,
    /// How long a connection may be silent before it is closed. Never by default.
    pub idle_timeout: Option<Interval>,
    /// Let the kernel find out whether silent senders still exist (`SO_KEEPALIVE`).
    #[serde(default = "yes")]
    pub send_keepalive_packet: bool,
}

fn default_delimiter() -> String {
    "\n".into()
}

fn default_message_length_limit() -> Size {
    Size::mib(1)
}

fn default_backlog() -> i32 {
    1024
}

fn default_max_connections() -> usize {
    4096
}

fn yes() -> bool {
    true
}

/// The input before it runs.
struct Tcp {
    settings: StreamSettings,
    take: ParsedLines,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    let place = Place {
        listen: config.listen,
        bind: config.bind.as_deref(),
        port: config.port,
    };
    let address = lines::place(place, PORT, &mut errors);
    let limit_bytes = lines::message_limit(config.message_length_limit, &mut errors);
    if config.delimiter.is_empty() {
        let message = "it is empty; write at least one character, such as \"\\n\"";
        errors.push(ConfigError::at("/delimiter", message));
    }
    let tls = config
        .tls
        .as_ref()
        .and_then(|tls| tls.check("/tls", &mut errors));
    let parser = cx
        .parser("/parse", &config.parse)
        .map_err(|found| errors.extend(found));
    let Some(parser) = parser.ok().filter(|_| errors.is_empty()) else {
        return Err(errors);
    };
    Ok(Box::new(Tcp {
        settings: StreamSettings {
            address,
            backlog: config.backlog,
            tls,
            framing: Framing::Delimiter(config.delimiter.into()),
            limit_bytes,
            max_connections: config.max_connections,
            idle_timeout: config.idle_timeout.map(|interval| interval.0),
            keepalive: config.send_keepalive_packet,
            resolve_hostname: config.source_hostname_key.is_some(),
        },
        take: ParsedLines {
            parser,
            tag: Tag::new(&config.tag),
            keys: Keys {
                address: config.source_address_key,
                hostname: config.source_hostname_key,
            },
            emit_unmatched_lines: config.emit_unmatched_lines,
            remove_newline: false,
        },
    }))
}

impl Input for Tcp {
    fn prepare<'a>(&'a self, cx: &'a InputCx) -> Fut<'a, Result<(), RunError>> {
        Box::pin(prepare_streams(&self.settings, cx))
    }

    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(serve_streams(self.settings, Arc::new(self.take), cx, stop))
    }
}
