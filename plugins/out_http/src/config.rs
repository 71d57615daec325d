//! The parameters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sdk::config::{FormatterTable, Interval, Secret, Size, Template};
use serde::Deserialize;
use tls::ClientTls;

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "parameters are switches where Fluentd has switches"
)]
pub struct Config {
    /// Where to send: `"https://collect.example.com/logs/${tag}"`. Placeholders and `%Y` may stand in the path and the
    /// query, never in the host; what is filled in cannot leave its place. Records go into a request with those that
    /// have the same address.
    #[schemars(extend("aliases" = ["endpoint_url"]))]
    pub endpoint: Template,
    /// The method.
    #[serde(default)]
    pub http_method: HttpMethod,
    /// A proxy: `"http://proxy.example.com:3128"`. Only what stands here counts, not the environment.
    pub proxy: Option<String>,
    /// `Content-Type`. By default it follows from the format.
    pub content_type: Option<String>,
    /// One JSON array in place of one JSON object per line.
    #[serde(default)]
    pub json_array: bool,
    /// How records are written. JSON by default.
    pub format: Option<FormatterTable>,
    /// A field to write the time of each record into, in JSON as RFC 3339 with nanoseconds and in MessagePack as
    /// `EventTime`. Not with another format. `in_http` takes the time from `time`.
    #[schemars(length(min = 1))]
    pub time_key: Option<String>,
    /// A field to write the tag of each record into. Not with another format.
    #[schemars(length(min = 1))]
    pub tag_key: Option<String>,
    /// Headers of each request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Headers with placeholders. Records go into a request with those that have the same headers.
    #[serde(default)]
    pub headers_from_placeholders: BTreeMap<String, Template>,
    /// How the body is compressed.
    #[serde(default)]
    pub compress: Compress,
    /// The largest body before compression. A chunk becomes as many requests as it takes.
    #[serde(default = "default_body_size_limit")]
    pub body_size_limit: Size,
    /// Say in `X-Weir-Chunk` and `Idempotency-Key` what is sent, so that a service can recognise a repetition.
    #[serde(default = "yes")]
    pub chunk_id_header: bool,
    /// How long a connection may take to be made.
    #[serde(default = "default_open_timeout")]
    pub open_timeout: Interval,
    /// How long an answer may take, from the beginning of a request on.
    #[serde(default = "default_read_timeout")]
    pub read_timeout: Interval,
    /// How long the TLS handshake may take: Fluentd's. It counts to `open_timeout` here.
    pub ssl_timeout: Option<Interval>,
    /// Keep connections open for the next request.
    #[serde(default = "yes")]
    pub reuse_connections: bool,
    /// Answers after which a chunk is sent again.
    #[serde(default = "default_retryable_response_codes")]
    pub retryable_response_codes: Vec<u16>,
    /// Other answers with an error send the records to the dead letter. `false` sends them again: nothing is dropped.
    #[serde(default = "yes")]
    pub error_response_as_unrecoverable: bool,
    /// Who is sending.
    pub auth: Option<Auth>,
    /// TLS, for an endpoint that begins with `https:`.
    pub tls: Option<ClientTls>,
}

/// The method of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpMethod {
    /// POST
    #[default]
    Post,
    /// PUT
    Put,
}

/// How bodies are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// Not at all.
    #[default]
    Text,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

/// Who is sending.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How it is told.
    #[serde(default)]
    pub method: Method,
    /// Method `basic`: the user.
    pub username: Option<String>,
    /// Method `basic`: the password.
    pub password: Option<Secret>,
    /// Method `bearer`: the token.
    pub token: Option<Secret>,
}

/// How a sender proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// User and password.
    #[default]
    Basic,
    /// A token.
    Bearer,
}

fn yes() -> bool {
    true
}

fn default_body_size_limit() -> Size {
    Size::mib(8)
}

fn default_open_timeout() -> Interval {
    Interval::secs(10)
}

fn default_read_timeout() -> Interval {
    Interval::secs(60)
}

fn default_retryable_response_codes() -> Vec<u16> {
    vec![408, 425, 429, 500, 502, 503, 504]
}
