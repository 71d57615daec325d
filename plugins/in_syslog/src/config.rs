//! The parameters, as they are written.

use schemars::JsonSchema;
use sdk::config::{Interval, Listen, ParserTable, Size};
use serde::Deserialize;
use tls::ServerTls;

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the tag begins with. The names of the facility and the severity follow: `system.auth.err`.
    #[schemars(length(min = 1))]
    pub tag: String,
    /// The address and port to listen on, such as `"0.0.0.0:5140"`, which is the default. In place of `bind` and
    /// `port`.
    pub listen: Option<Listen>,
    /// The IP address to listen on. `"0.0.0.0"` by default.
    pub bind: Option<String>,
    /// The port to listen on. 5140 by default.
    pub port: Option<u16>,
    /// `udp`, `tcp` or `tls`. By default `tls` when there is a table of this name, and else `udp`.
    #[schemars(extend("aliases" = ["transport"]))]
    pub protocol_type: Option<Protocol>,
    /// TLS over TCP. Fluentd's `<transport tls>`.
    pub tls: Option<ServerTls>,
    /// The form of the messages: `rfc3164`, `rfc5424`, or `auto`, which looks at each. Not with `parse`.
    #[serde(default)]
    pub message_format: MessageFormat,
    /// How a message becomes a record. By default the parser `syslog`. Another parser gets what is behind the priority.
    pub parse: Option<ParserTable>,
    /// How messages are told apart in TCP and TLS: `traditional` by `delimiter`, `octet_count` by the length before
    /// each, `auto` by the first byte of each.
    #[serde(default)]
    pub frame_type: FrameType,
    /// What stands behind each message, in TCP and TLS without octet counting.
    #[serde(default = "default_delimiter")]
    #[schemars(length(min = 1))]
    pub delimiter: String,
    /// Whether each message begins with a priority such as `<34>`. If false, one without it counts as `user.notice`, as
    /// RFC 3164 says.
    #[serde(default = "yes")]
    pub with_priority: bool,
    /// The longest message. A longer one is cut, and counted.
    #[serde(default = "default_message_length_limit")]
    pub message_length_limit: Size,
    /// Send a message that cannot be read to the tag `TAG.unmatched`, as the field `unmatched_line`. If false, it is
    /// dropped, and counted.
    #[serde(default)]
    pub emit_unmatched_lines: bool,
    /// Write the severity, such as `err`, into each record, under this key.
    #[schemars(length(min = 1), extend("aliases" = ["priority_key"]))]
    pub severity_key: Option<String>,
    /// Write the facility, such as `auth`, into each record, under this key.
    #[schemars(length(min = 1))]
    pub facility_key: Option<String>,
    /// Write the sender's IP address into each record, under this key.
    #[schemars(length(min = 1))]
    pub source_address_key: Option<String>,
    /// Write the sender's host name into each record, under this key; its address where the name cannot be found.
    #[schemars(length(min = 1))]
    pub source_hostname_key: Option<String>,
    /// Ask the DNS for the names of senders. As in Fluentd it cannot be turned off beside `source_hostname_key`.
    pub resolve_hostname: Option<bool>,
    /// UDP: the room that the kernel has for datagrams that wait. It allows at most `net.core.rmem_max`.
    pub receive_buffer_size: Option<Size>,
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

/// How messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One message per datagram.
    Udp,
    /// A stream of messages.
    Tcp,
    /// An encrypted stream of messages.
    Tls,
}

/// The form of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageFormat {
    /// `<34>Jan 10 11:59:59 host program[7]: text`
    Rfc3164,
    /// `<34>1 2026-01-10T11:59:59.123Z host program 7 id [data] text`
    Rfc5424,
    /// Each message as it looks.
    #[default]
    Auto,
}

/// How messages are told apart in a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FrameType {
    /// By the delimiter behind each.
    Traditional,
    /// By the length before each (RFC 6587).
    OctetCount,
    /// A message that begins with a digit has its length before it, any other ends with the delimiter.
    #[default]
    Auto,
}

fn default_delimiter() -> String {
    "\n".into()
}

fn default_message_length_limit() -> Size {
    Size(64 << 10)
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
