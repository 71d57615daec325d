//! The parameters, as they are written.

use schemars::JsonSchema;
use sdk::config::{Interval, Listen, OneOrMany, ParserTable, Secret, Size};
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
    /// The address and port to listen on, such as `"0.0.0.0:9880"`, which is the default. In place of `bind` and
    /// `port`.
    pub listen: Option<Listen>,
    /// The IP address to listen on. `"0.0.0.0"` by default.
    pub bind: Option<String>,
    /// The port to listen on. 9880 by default.
    pub port: Option<u16>,
    /// Connections that may wait to be accepted.
    #[serde(default = "default_backlog")]
    #[schemars(range(min = 1, max = 65_535))]
    pub backlog: i32,
    /// Speak TLS, and nothing else. Fluentd's `<transport tls>`.
    pub tls: Option<ServerTls>,
    /// Let nobody in without a password or a token.
    pub auth: Option<Auth>,
    /// A tag in place of the one that the path makes.
    #[schemars(length(min = 1))]
    pub tag: Option<String>,
    /// Put in front of every tag, with a dot between.
    #[schemars(length(min = 1))]
    pub add_tag_prefix: Option<String>,
    /// The largest body, as it comes and after decompression.
    #[serde(default = "default_body_size_limit")]
    pub body_size_limit: Size,
    /// The best ratio of decompression, once a body has more than 1 MiB.
    #[serde(default = "default_decompression_ratio_limit")]
    #[schemars(range(min = 1))]
    pub decompression_ratio_limit: u64,
    /// How long a connection may be silent between two requests, and how long the head of a request may take.
    #[serde(default = "default_keepalive_timeout")]
    pub keepalive_timeout: Interval,
    /// How long the body of a request may take to arrive.
    #[serde(default = "default_body_timeout")]
    pub body_timeout: Interval,
    /// How long a request waits for room in the buffers and for the disk, before it is answered with 503 and
    /// `Retry-After`.
    #[serde(default = "default_blocking_timeout")]
    pub blocking_timeout: Interval,
    /// What `Retry-After` says in an answer with 503, in whole seconds.
    #[serde(default = "default_retry_after")]
    pub retry_after: Interval,
    /// The most connections at a time. Those beyond are closed.
    #[serde(default = "default_max_connections")]
    #[schemars(range(min = 1))]
    pub max_connections: usize,
    /// Write the headers of a request into its records, each as `HTTP_` and its name in capitals. `Authorization` and
    /// `Cookie` stay out.
    #[serde(default)]
    pub add_http_headers: bool,
    /// Write the address of the sender into the records, as `REMOTE_ADDR`: the first one of `X-Forwarded-For`, where a
    /// proxy wrote one.
    #[serde(default)]
    pub add_remote_addr: bool,
    /// Write the parameters of the query into the records, each as `QUERY_` and its name in capitals.
    #[serde(default)]
    pub add_query_params: bool,
    /// The field of a record with its time: seconds, RFC 3339 text or `EventTime`. The query parameter `time` goes
    /// before it.
    #[serde(default = "default_time_key")]
    pub time_key: String,
    /// Leave that field in the record.
    #[serde(default)]
    pub keep_time_key: bool,
    /// Answer with 204 in place of 200.
    #[serde(default)]
    pub use_204_response: bool,
    /// Answer with an empty GIF, for pages that send by an image.
    #[serde(default)]
    pub respond_with_empty_img: bool,
    /// The origins of pages that may send, such as `"https://example.com"`, `"https://*.example.com"` or `"*"`. A
    /// request that names another origin is answered with 403.
    #[serde(default)]
    pub cors_allow_origins: Vec<String>,
    /// Let pages send cookies and passwords.
    #[serde(default)]
    pub cors_allow_credentials: bool,
    /// Say in the log why a request was refused. Never what it held.
    #[serde(default = "yes")]
    pub dump_error_log: bool,
    /// A path that is answered with 200 and no more, without a password: for load balancers.
    #[serde(default = "default_health_path")]
    pub health_path: String,
    /// How bodies are read: line by line, by this parser, whatever their `Content-Type`. By default JSON, NDJSON,
    /// MessagePack and forms are known by their `Content-Type`.
    pub parse: Option<ParserTable>,
    /// What makes the ids of documents where an output writes some: `"buffer"`, the place of a record in the buffer,
    /// or `"origin"`, the id in the header `X-Weir-Chunk` or `Idempotency-Key` and the place in the body.
    #[serde(default)]
    pub identity: Identity,
    /// How long to remember requests with such a header that were stored: one that comes again is not stored again.
    /// Off by default.
    pub duplicate_window: Option<Interval>,
}

/// What makes document ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The place of a record in the buffer.
    #[default]
    Buffer,
    /// The id that the sender gave.
    Origin,
}

/// Who is let in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// A user with a password (`Authorization: Basic`).
    #[serde(default)]
    pub user: Vec<User>,
    /// Tokens (`Authorization: Bearer`), each good for itself.
    #[serde(default)]
    pub token: OneOrMany<Secret>,
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

fn yes() -> bool {
    true
}

fn default_backlog() -> i32 {
    1024
}

fn default_body_size_limit() -> Size {
    Size::mib(32)
}

fn default_decompression_ratio_limit() -> u64 {
    200
}

fn default_keepalive_timeout() -> Interval {
    Interval::secs(10)
}

fn default_body_timeout() -> Interval {
    Interval::secs(60)
}

fn default_blocking_timeout() -> Interval {
    Interval::secs(10)
}

fn default_retry_after() -> Interval {
    Interval::secs(1)
}

fn default_max_connections() -> usize {
    4096
}

fn default_time_key() -> String {
    "time".into()
}

fn default_health_path() -> String {
    "/healthz".into()
}
