//! The words that parameters choose from.

use schemars::JsonSchema;
use serde::Deserialize;

/// How to talk to a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// In the clear.
    #[default]
    Http,
    /// With TLS.
    Https,
}

/// Content types of bulk requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ContentType {
    /// What every server since Elasticsearch 5 knows.
    #[default]
    #[serde(rename = "application/x-ndjson")]
    Ndjson,
    /// What older proxies let pass.
    #[serde(rename = "application/json")]
    Json,
}

/// What a bulk request does with each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpType {
    /// Add it, unless there is one with its id.
    Create,
    /// Add it, or replace the one with its id.
    Index,
    /// Change fields of the one with its id, which must be there.
    Update,
    /// Change fields of the one with its id, or add it.
    Upsert,
    /// Remove the one with its id.
    Delete,
}

impl OpType {
    /// Its name in an action line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Index => "index",
            Self::Update | Self::Upsert => "update",
            Self::Delete => "delete",
        }
    }

    /// Whether it changes fields of a document.
    pub(crate) fn is_update(self) -> bool {
        matches!(self, Self::Update | Self::Upsert)
    }

    /// Whether it is about a document that has an id already.
    pub(crate) fn needs_id(self) -> bool {
        self.is_update() || self == Self::Delete
    }
}

/// Where ids of documents come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentId {
    /// From the place of the record in the buffer, or in the sender's message where the source says
    /// `identity = "origin"`: a repeated request adds no document twice.
    #[default]
    Identity,
    /// The server makes one: fastest, but a request that is repeated may add documents twice.
    None,
}

/// What becomes of dots in names of fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dots {
    /// They stay; the server reads `a.b` as the field `b` of the table `a`.
    #[default]
    Keep,
    /// `_` takes their place.
    Underscore,
}

/// Encodings of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
}

/// Fluentd's names of the levels of gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Do not compress.
    NoCompression,
    /// Level 1, the default of `compression = "gzip"`.
    BestSpeed,
    /// Level 9.
    BestCompression,
    /// Level 6.
    DefaultCompression,
}
