//! Input `syslog`: messages of RFC 3164 and RFC 5424 over UDP, TCP and TLS.

mod config;
mod priority;
mod take;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lines::{
    DatagramSettings, Framing, Keys, Place, StreamSettings, prepare_datagrams, prepare_streams,
    serve_datagrams, serve_streams,
};
use sdk::{
    Fut, RunError,
    config::{ConfigError, ConfigErrors, ParserTable, Size},
    input::{Input, InputCx},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};

pub use config::{Config, FrameType, MessageFormat, Protocol};
use take::Messages;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "syslog",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes syslog messages over UDP, TCP and TLS",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// Fluentd's port.
const PORT: u16 = 5140;

/// The input before it runs.
struct Syslog {
    transport: Transport,
    messages: Messages,
}

enum Transport {
    Datagrams(DatagramSettings),
    Streams(Box<StreamSettings>),
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let mut errors = Vec::new();
    let transport = transport(&config, &mut errors);
    let format = match config.message_format {
        MessageFormat::Rfc3164 => "rfc3164",
        MessageFormat::Rfc5424 => "rfc5424",
        MessageFormat::Auto => "auto",
    };
    let by_default = serde_json::json!({ "type": "syslog", "message_format": format });
    let table = match &config.parse {
        Some(table) => table.clone(),
        None => serde_json::from_value(by_default).unwrap_or_else(|_| ParserTable::of("syslog")),
    };
    let parser = cx
        .parser("/parse", &table)
        .map_err(|found| errors.extend(found));
    let Some(parser) = parser.ok().filter(|_| errors.is_empty()) else {
        return Err(errors);
    };
    let keys = Keys {
        address: config.source_address_key.clone(),
        hostname: config.source_hostname_key.clone(),
    };
    let messages = Messages::new(&config, parser, table.type_name() == "syslog", keys);
    Ok(Box::new(Syslog {
        transport,
        messages,
    }))
}

fn transport(config: &Config, errors: &mut ConfigErrors) -> Transport {
    let place = Place {
        listen: config.listen,
        bind: config.bind.as_deref(),
        port: config.port,
    };
    let address = lines::place(place, PORT, errors);
    let limit_bytes = lines::message_limit(config.message_length_limit, errors);
    let resolve_hostname = config.source_hostname_key.is_some();
    let by_default = match config.tls {
        Some(_) => Protocol::Tls,
        None => Protocol::Udp,
    };
    let protocol = config.protocol_type.unwrap_or(by_default);
    if (protocol == Protocol::Tls) != config.tls.is_some() {
        let (place, what, help) = match protocol {
            Protocol::Tls => (
                "/protocol_type",
                "TLS needs a certificate",
                "add tls = { cert_path = \"...\", private_key_path = \"...\" }",
            ),
            _ => (
                "/tls",
                "TLS is spoken over TCP alone",
                "write protocol_type = \"tls\", or leave it out",
            ),
        };
        errors.push(ConfigError::at(place, what).help(help));
    }
    if protocol == Protocol::Udp {
        return Transport::Datagrams(DatagramSettings {
            address,
            limit_bytes,
            receive_buffer_bytes: config.receive_buffer_size.map(Size::as_usize),
            resolve_hostname,
        });
    }
    Transport::Streams(Box::new(StreamSettings {
        address,
        backlog: config.backlog,
        tls: config
            .tls
            .as_ref()
            .and_then(|tls| tls.check("/tls", errors)),
        framing: framing(config, errors),
        limit_bytes,
        max_connections: config.max_connections,
        idle_timeout: config.idle_timeout.map(|interval| interval.0),
        keepalive: config.send_keepalive_packet,
        resolve_hostname,
    }))
}

fn framing(config: &Config, errors: &mut ConfigErrors) -> Framing {
    if config.delimiter.is_empty() {
        let message = "it is empty; write at least one character, such as \"\\n\"";
        errors.push(ConfigError::at("/delimiter", message));
    }
    match config.frame_type {
        FrameType::OctetCount => Framing::OctetCount,
        FrameType::Auto if config.delimiter == "\n" => Framing::Auto,
        FrameType::Auto | FrameType::Traditional => {
            Framing::Delimiter(config.delimiter.clone().into())
        }
    }
}

impl Input for Syslog {
    fn prepare<'a>(&'a self, cx: &'a InputCx) -> Fut<'a, Result<(), RunError>> {
        Box::pin(async move {
            match &self.transport {
                Transport::Datagrams(settings) => prepare_datagrams(settings, cx),
                Transport::Streams(settings) => prepare_streams(settings, cx).await,
            }
        })
    }

    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        let messages = Arc::new(self.messages);
        match self.transport {
            Transport::Datagrams(settings) => {
                Box::pin(serve_datagrams(settings, messages, cx, stop))
            }
            Transport::Streams(settings) => Box::pin(serve_streams(*settings, messages, cx, stop)),
        }
    }
}
