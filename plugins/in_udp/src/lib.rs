//! Input `udp`: one message per datagram, each read by a parser.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use lines::{DatagramSettings, Keys, ParsedLines, Place, prepare_datagrams, serve_datagrams};
use schemars::JsonSchema;
use sdk::{
    Fut, RunError,
    config::{self, ConfigErrors, Listen, ParserTable, Size},
    event::Tag,
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};
use serde::Deserialize;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "udp",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes messages over UDP",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// Fluentd's port.
const PORT: u16 = 5160;

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tag of the events.
    #[schemars(length(min = 1))]
    pub tag: String,
    /// How a datagram becomes a record: a parser with its `type` and parameters.
    pub parse: ParserTable,
    /// The address and port to listen on, such as `"0.0.0.0:5160"`, which is the default. In place of `bind` and
    /// `port`.
    pub listen: Option<Listen>,
    /// The IP address to listen on. `"0.0.0.0"` by default.
    pub bind: Option<String>,
    /// The port to listen on. 5160 by default.
    pub port: Option<u16>,
    /// The longest message. A longer one is cut, and counted.
    #[serde(default = "default_message_length_limit")]
    #[schemars(extend("aliases" = ["body_size_limit"]))]
    pub message_length_limit: Size,
    /// Remove line feeds at the end of a message.
    #[serde(default = "yes")]
    pub remove_newline: bool,
    /// The room that the kernel has for datagrams that wait. It allows at most `net.core.rmem_max`.
    pub receive_buffer_size: Option<Size>,
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
}

fn default_message_length_limit() -> Size {
    Size(64 << 10)
}

fn yes() -> bool {
    true
}

/// The input before it runs.
struct Udp {
    settings: DatagramSettings,
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
    let parser = cx
        .parser("/parse", &config.parse)
        .map_err(|found| errors.extend(found));
    let Some(parser) = parser.ok().filter(|_| errors.is_empty()) else {
        return Err(errors);
    };
    Ok(Box::new(Udp {
        settings: DatagramSettings {
            address,
            limit_bytes,
            receive_buffer_bytes: config.receive_buffer_size.map(Size::as_usize),
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
            remove_newline: config.remove_newline,
        },
    }))
}

impl Input for Udp {
    fn prepare<'a>(&'a self, cx: &'a InputCx) -> Fut<'a, Result<(), RunError>> {
        Box::pin(async { prepare_datagrams(&self.settings, cx) })
    }

    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(serve_datagrams(
            self.settings,
            Arc::new(self.take),
            cx,
            stop,
        ))
    }
}
