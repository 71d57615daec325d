//! The parameters.

use std::path::PathBuf;

use schemars::JsonSchema;
use sdk::config::{Interval, Secret};
use serde::Deserialize;
use tls::ClientTls;

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter that Fluentd has"
)]
pub struct Config {
    /// The servers, each a table `[[match.server]]`.
    #[serde(default)]
    pub server: Vec<Server>,
    /// More servers, from a file or from the DNS: `[[match.service_discovery]]`. Fluentd's `static` is `server`.
    #[serde(default)]
    pub service_discovery: Vec<ServiceDiscovery>,
    /// `tcp` in the clear, or `tls`. Default: `tls` where there is a table `tls`.
    pub transport: Option<Transport>,
    /// TLS: what to trust and what to show.
    pub tls: Option<ClientTls>,
    /// The handshake with servers that ask for a shared key.
    pub security: Option<Security>,
    /// Ask for an acknowledgement of every message, and keep records until it came. `true`, other than in Fluentd: with
    /// `false` a server that dies loses what it has not read yet.
    #[serde(default = "yes")]
    #[schemars(extend("weakens" = false))]
    pub require_ack_response: bool,
    /// How long to wait for the next acknowledgement before the server is left out and the records go to another one.
    #[serde(default = "default_ack_response_timeout")]
    pub ack_response_timeout: Interval,
    /// How long a server may take to accept a connection.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Interval,
    /// How long a server may take no bytes while something is sent.
    #[serde(default = "default_minute")]
    pub send_timeout: Interval,
    /// How a server that is idle is watched.
    #[serde(default)]
    pub heartbeat_type: HeartbeatType,
    /// Between two heartbeats. A server that has just taken records gets none.
    #[serde(default = "default_heartbeat_interval")]
    pub heartbeat_interval: Interval,
    /// Leave a server out when its heartbeats become suspiciously late, before `hard_timeout`.
    #[serde(default = "yes")]
    pub phi_failure_detector: bool,
    /// How suspicious that is: larger waits longer.
    #[serde(default = "default_phi_threshold")]
    #[schemars(range(min = 1))]
    pub phi_threshold: u32,
    /// Leave a server out when nothing was heard for so long. A handshake may take this long, too.
    #[serde(default = "default_minute")]
    pub hard_timeout: Interval,
    /// How long a server must answer heartbeats before it takes part again; without heartbeats, how long it is left out.
    /// A server that did not acknowledge stays out twice as long each time it does so again.
    #[serde(default = "default_recover_wait")]
    pub recover_wait: Interval,
    /// Keep connections for the next messages. `true`, other than in Fluentd. `false` makes a connection per message, for
    /// servers with `deny_keepalive` that are asked for no acknowledgement.
    #[serde(default = "yes")]
    pub keepalive: bool,
    /// How long an idle connection is kept. For ever by default.
    pub keepalive_timeout: Option<Interval>,
    /// Let the kernel find out whether servers still exist (`SO_KEEPALIVE`).
    #[serde(default = "yes")]
    pub send_keepalive_packet: bool,
    /// How long the addresses of a name are remembered; 0 asks each time. When no name server answers, the last ones
    /// are used.
    #[serde(default = "default_expire_dns_cache")]
    pub expire_dns_cache: Interval,
    /// Begin with any of the addresses of a name, instead of the first.
    #[serde(default)]
    pub dns_round_robin: bool,
    /// How entries are compressed.
    #[serde(default)]
    pub compress: Compress,
    /// Send times as whole seconds, for Fluentd before 0.14. This rewrites every entry.
    #[serde(default)]
    pub time_as_integer: bool,
    /// Send the metadata that Fluent Bit puts beside times. Fluentd up to 1.19 silently drops such records: write `false`
    /// for it. This rewrites entries that have any.
    #[serde(default = "yes")]
    pub retain_metadata_in_forward_mode: bool,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name in logs and metrics. Where `host` is an address, also the name that its certificate must have.
    pub name: Option<String>,
    /// Its name in DNS, or its address.
    #[schemars(length(min = 1))]
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Its share of the chunks, in proportion to the weights of the others; 0 takes none.
    #[serde(default = "default_weight")]
    pub weight: u32,
    /// Only takes part while others are left out.
    #[serde(default)]
    pub standby: bool,
    /// Its key, in place of the one in `security`.
    pub shared_key: Option<Secret>,
    /// The user to name in the handshake.
    pub username: Option<String>,
    /// The password of `username`.
    pub password: Option<Secret>,
}

/// Where servers are found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceDiscovery {
    /// `file` or `srv`.
    #[serde(rename = "type")]
    pub kind: DiscoveryKind,
    /// With `file`: a list in YAML or JSON of what stands in tables `server`, such as `- host: 10.0.0.1`. It is read
    /// again when it changes.
    pub path: Option<PathBuf>,
    /// With `srv`: the service, in `_service._proto.hostname`.
    pub service: Option<String>,
    /// With `srv`: the protocol.
    #[serde(default = "default_proto")]
    pub proto: String,
    /// With `srv`: the domain.
    pub hostname: Option<String>,
    /// With `srv`: the address of the name server, with or without a port. Default: that of this host.
    pub dns_server_host: Option<String>,
    /// With `srv`: how often to ask.
    #[serde(default = "default_minute")]
    pub interval: Interval,
    /// With `srv`: the key of the servers, in place of the one in `security`.
    pub shared_key: Option<Secret>,
    /// With `srv`: the user to name in the handshake.
    pub username: Option<String>,
    /// With `srv`: the password of `username`.
    pub password: Option<Secret>,
}

/// Kinds of service discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiscoveryKind {
    /// A file.
    File,
    /// SRV records of the DNS. Those with the smallest priority take part, the others are standbys.
    Srv,
}

/// What connections run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In the clear.
    Tcp,
    /// TLS 1.2 or 1.3.
    Tls,
}

/// The handshake.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// The name to give in the handshake. It must differ from that of the servers. Default: the name of this host.
    pub self_hostname: Option<String>,
    /// The key that both sides know. At least 22 random characters.
    pub shared_key: Secret,
}

/// Kinds of heartbeats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatType {
    /// Connects as for records, handshakes included, and closes again.
    #[default]
    Transport,
    /// Fluentd's old name of `transport`.
    Tcp,
    /// Sends a datagram to the same port and waits for the answer.
    Udp,
    /// None: a server is left out when records cannot be sent, and tried again after `recover_wait`.
    None,
}

/// Encodings of entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// As they are.
    #[default]
    Text,
    /// gzip, which every Fluentd since 0.14.7 reads.
    Gzip,
    /// zstd, which Fluentd reads since 1.19.
    Zstd,
}

impl Compress {
    /// The value of the option `compressed`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

fn yes() -> bool {
    true
}

fn default_ack_response_timeout() -> Interval {
    Interval::secs(190)
}

fn default_connect_timeout() -> Interval {
    Interval::secs(10)
}

fn default_minute() -> Interval {
    Interval::secs(60)
}

fn default_heartbeat_interval() -> Interval {
    Interval::secs(1)
}

fn default_phi_threshold() -> u32 {
    16
}

fn default_recover_wait() -> Interval {
    Interval::secs(10)
}

fn default_expire_dns_cache() -> Interval {
    Interval::secs(30)
}

fn default_port() -> u16 {
    24224
}

fn default_proto() -> String {
    "tcp".into()
}

fn default_weight() -> u32 {
    60
}
