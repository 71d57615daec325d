//! The parameters.

use schemars::JsonSchema;
use sdk::config::{Interval, Secret};
use sdk::event::FieldPath;
use serde::Deserialize;
use tls::ClientTls;

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The host, or the folder of the Unix socket when it begins with `/`.
    #[serde(default = "default_host")]
    pub host: String,
    /// The port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The database.
    #[schemars(length(min = 1))]
    pub database: String,
    /// The role to log in as.
    #[schemars(length(min = 1), extend("aliases" = ["user"]))]
    pub username: String,
    /// Its password.
    pub password: Option<Secret>,
    /// How connections are protected, in libpq's words.
    #[serde(default)]
    pub sslmode: SslMode,
    /// Authorities and certificates for TLS.
    pub tls: Option<ClientTls>,
    /// What the server shows as the name of the program.
    #[serde(default = "default_application_name")]
    pub application_name: String,
    /// The schema of the tables. By default the first one of the role's `search_path`.
    #[schemars(length(min = 1, max = 63))]
    pub schema: Option<String>,
    /// The table that takes the records.
    #[serde(default = "default_table")]
    #[schemars(length(min = 1, max = 63))]
    pub table: String,
    /// Make schema and tables that are not there. `false` for a role that may not.
    #[serde(default = "yes")]
    pub create_table: bool,
    /// The column with the time of a record (timestamptz). Empty leaves it out.
    #[serde(default = "default_time_key")]
    pub time_key: String,
    /// The column with the tag (text). Empty leaves it out.
    #[serde(default = "default_tag_key")]
    pub tag_key: String,
    /// The column with the whole record (jsonb). Empty leaves it out.
    #[serde(default = "default_record_key")]
    pub record_key: String,
    /// Columns with fields of the record, each a table `[[match.columns]]`.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// The table that remembers what was delivered, so that nothing is written twice. It stands in the same schema.
    #[serde(default = "default_delivered_table")]
    #[schemars(length(min = 1, max = 63))]
    pub delivered_table: String,
    /// How long it remembers. It must be longer than a chunk can wait in the buffers before.
    #[serde(default = "default_delivered_retention")]
    pub delivered_retention: Interval,
    /// How long a connection may take to be made.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Interval,
    /// How long one statement may take, on both sides.
    #[serde(default = "default_statement_timeout")]
    pub statement_timeout: Interval,
}

/// A column with a field of the record.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The field, such as `level` or `$.kubernetes.pod_name`. Where it is missing or nil the column is NULL.
    pub path: FieldPath,
    /// The name of the column.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its type in `PostgreSQL`, for making the table. A list or a table of the record is written as JSON.
    #[serde(default = "default_type", rename = "type")]
    pub sql_type: String,
}

/// How connections are protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never by TLS.
    Disable,
    /// By TLS where the server has it, whoever the server is.
    #[default]
    Prefer,
    /// By TLS, whoever the server is.
    Require,
    /// By TLS, and a known authority vouches for the server.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
}

fn yes() -> bool {
    true
}

fn default_host() -> String {
    "localhost".into()
}

fn default_port() -> u16 {
    5432
}

fn default_application_name() -> String {
    "weir".into()
}

fn default_table() -> String {
    "logs".into()
}

fn default_time_key() -> String {
    "time".into()
}

fn default_tag_key() -> String {
    "tag".into()
}

fn default_record_key() -> String {
    "record".into()
}

fn default_type() -> String {
    "text".into()
}

fn default_delivered_table() -> String {
    "weir_delivered".into()
}

fn default_delivered_retention() -> Interval {
    Interval::secs(30 * 24 * 3600)
}

fn default_connect_timeout() -> Interval {
    Interval::secs(10)
}

fn default_statement_timeout() -> Interval {
    Interval::secs(60)
}
