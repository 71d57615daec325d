//! The parameters, as they are written.

use schemars::JsonSchema;
use sdk::config::{Interval, Listen, Secret, Size};
use serde::Deserialize;
use tls::ServerTls;

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "parameters are switches where Fluentd has switches"
)]
pub struct Config {
    /// The address and port to listen on, such as `"0.0.0.0:24224"`, which is the default. In place of `bind` and
    /// `port`.
    pub listen: Option<Listen>,
    /// The IP address to listen on. `"0.0.0.0"` by default.
    pub bind: Option<String>,
    /// The port to listen on. 24224 by default.
    pub port: Option<u16>,
    /// A Unix socket to listen on, in place of an address: `"/var/run/fluent/fluent.sock"`, for example.
    #[schemars(length(min = 1), extend("exclusive" = true))]
    pub path: Option<String>,
    /// Who may write to the Unix socket, in octal like the file mode: `"0660"`. By default what the umask leaves.
    pub unix_perm: Option<String>,
    /// Connections that may wait to be accepted.
    #[serde(default = "default_backlog")]
    #[schemars(range(min = 1, max = 65_535))]
    pub backlog: i32,
    /// Answer the heartbeats that Fluentd and Fluency send by UDP, on the same address and port.
    #[serde(default = "yes")]
    pub udp_heartbeat: bool,
    /// Speak TLS, and nothing else. Fluentd's `<transport tls>`.
    pub tls: Option<ServerTls>,
    /// Let nobody in without a key. Fluentd's `<security>`.
    pub security: Option<Security>,
    /// How long TLS and the exchange of keys may take together before a connection is closed.
    #[serde(default = "default_handshake_timeout")]
    pub handshake_timeout: Interval,
    /// A tag in place of the one that comes with a message.
    #[schemars(length(min = 1))]
    pub tag: Option<String>,
    /// Put in front of every tag, with a dot between.
    #[schemars(length(min = 1))]
    pub add_tag_prefix: Option<String>,
    /// Write the sender's IP address into each record, under this key.
    #[schemars(length(min = 1))]
    pub source_address_key: Option<String>,
    /// Write the sender's host name into each record, under this key; its address where the name cannot be found.
    #[schemars(length(min = 1))]
    pub source_hostname_key: Option<String>,
    /// Ask the DNS for the names of senders. As in Fluentd it cannot be turned off beside `source_hostname_key`.
    pub resolve_hostname: Option<bool>,
    /// Write the metadata that Fluent Bit sends with an event into the record, under this key. By default it stays
    /// beside the record, where few outputs look.
    #[schemars(length(min = 1))]
    pub metadata_key: Option<String>,
    /// Drop an event that can never be used and acknowledge the rest of its message, as Fluentd does since 1.19.
    /// `false` is for senders of before: a message that wants an acknowledgement and holds such an event is refused
    /// as a whole, its connection is closed, and a tag that is no text is taken for its text.
    #[serde(default = "yes")]
    pub skip_invalid_event: bool,
    /// Join the parts into which Docker cuts lines above 16 KiB, by their `partial_id`. Off as in Fluentd, where a
    /// `concat` filter does it. The source then needs an `id`.
    #[serde(default)]
    pub join_partial_messages: bool,
    /// How long a line waits for its next part. Then what is there goes on as larger parts. Docker waits up to a
    /// minute before it tries again.
    #[serde(default = "default_partial_timeout")]
    pub partial_timeout: Interval,
    /// The longest line that is joined. A longer one becomes several parts of about this size.
    #[serde(default = "default_partial_size_limit")]
    pub partial_size_limit: Size,
    /// What makes the ids of documents where an output writes some: `"buffer"`, the place of a record in the buffer,
    /// or `"origin"`, the sender's chunk id and the place in that chunk. With `"origin"` a message that is sent again
    /// adds nothing, even to another aggregator; but Fluent Bit gives equal chunks equal ids.
    #[serde(default)]
    pub identity: Identity,
    /// How long to remember messages that were stored and acknowledged, where the acknowledgement may not have
    /// arrived: the connection broke, or this process ended. When such a message comes again from the same sender, it
    /// is acknowledged again and not stored again, also after a restart. Longer than the sender waits for an
    /// acknowledgement, such as `"10m"`. Off by default: Fluent Bit sends equal chunks under equal ids, and after a
    /// break an equal chunk is taken for the same.
    pub duplicate_window: Option<Interval>,
    /// The longest message on the wire. A longer one is not taken, and its connection is closed.
    #[serde(default = "default_chunk_size_limit")]
    pub chunk_size_limit: Size,
    /// Say in the log when a message is longer than this.
    pub chunk_size_warn_limit: Option<Size>,
    /// The most that the compressed entries of one message may become.
    #[serde(default = "default_decompression_size_limit")]
    pub decompression_size_limit: Size,
    /// Connections at a time. More are closed as soon as they come, and so are those for which the limit on open files
    /// leaves no room: a quarter of it, 1024 at most, is kept for buffers and outputs.
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
    #[serde(default = "yes")]
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

/// Who is let in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// The name that this side gives itself. It must not be the one of the sender. The host name by default.
    #[schemars(length(min = 1))]
    pub self_hostname: Option<String>,
    /// The key that both sides know.
    pub shared_key: Secret,
    /// Ask for a user and a password, too.
    #[serde(default)]
    pub user_auth: bool,
    /// Let senders in that no `client` table names.
    #[serde(default = "yes")]
    pub allow_anonymous_source: bool,
    /// A user. Only asked for with `user_auth`.
    #[serde(default)]
    pub user: Vec<User>,
    /// A sender, or a network of senders. The first one that fits counts.
    #[serde(default)]
    pub client: Vec<Client>,
}

/// A user.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name.
    #[schemars(length(min = 1))]
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A sender, or a network of senders.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The IP address or the host name. Names are looked up at the start and again every minute.
    pub host: Option<String>,
    /// The network, such as `"10.0.0.0/8"`. In place of `host`.
    pub network: Option<String>,
    /// A key for this client, in place of the common one.
    pub shared_key: Option<Secret>,
    /// The users that may come from here. All by default.
    #[serde(default)]
    pub users: Vec<String>,
}

fn default_backlog() -> i32 {
    1024
}

fn default_handshake_timeout() -> Interval {
    Interval::secs(30)
}

fn default_chunk_size_limit() -> Size {
    Size::mib(272)
}

fn default_decompression_size_limit() -> Size {
    Size::mib(256)
}

fn default_partial_timeout() -> Interval {
    Interval::secs(60)
}

fn default_partial_size_limit() -> Size {
    Size::mib(4)
}

fn default_max_connections() -> usize {
    10_000
}

fn default_message_timeout() -> Interval {
    Interval::secs(60)
}

fn yes() -> bool {
    true
}
