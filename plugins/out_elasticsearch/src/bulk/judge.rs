//! From a status and the kind of an error to what becomes of a record or of a request.

use std::time::Duration;

use sdk::output::FailureKind;

use crate::{
    bulk::item_error::ItemError,
    config::{
        OpType,
        policy::{OnAuthError, Policy},
    },
};

/// What becomes of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemFate {
    /// It is there.
    Delivered,
    /// It was there already.
    Duplicate,
    /// A newer one is there.
    Stale,
    /// Try it again.
    Retry(FailureKind),
    /// The server refused it along with others because one of them is too large.
    TooLargeTogether,
    /// The server will never take it.
    Reject(FailureKind),
}

/// Kinds of errors that come from what is in the document.
const MAPPING: [&str; 6] = [
    "parsing_exception",
    "mapping_exception",
    "parse_exception",
    "illegal_argument_exception",
    "illegal_state_exception",
    "max_bytes_length_exceeded_exception",
];

/// Judges one item.
pub(crate) fn judge_item(status: u16, error: &ItemError, policy: Policy) -> ItemFate {
    use FailureKind::{Auth, Http4xx, Http5xx, Http429, Mapping, Protocol, Rejected, TooLarge};
    let kind = error.kind.as_str();
    match status {
        200..300 if kind.is_empty() => ItemFate::Delivered,
        // Of our own id, or of a user's id that `create` is to keep: it is there.
        409 if policy.op_type == OpType::Create => ItemFate::Duplicate,
        409 if is_stale(error) => ItemFate::Stale,
        // It is not there, as it should be.
        404 if policy.op_type == OpType::Delete && kind.is_empty() => ItemFate::Delivered,
        // What an operator can mend.
        400 if kind == "index_closed_exception" || is_about_the_setup(error) => {
            ItemFate::Retry(Http4xx)
        }
        400 if MAPPING.iter().any(|mapping| kind.ends_with(mapping)) => ItemFate::Reject(Mapping),
        401 | 403 if kind == "security_exception" => match policy.on_auth_error {
            OnAuthError::Retry => ItemFate::Retry(Auth),
            OnAuthError::DeadLetter => ItemFate::Reject(Auth),
        },
        // What an update is about is gone, and will not come back.
        404 if kind == "document_missing_exception" => ItemFate::Reject(Rejected),
        // A block that an operator or a full disk has set, an index that is on its way, another writer.
        403 | 404 | 408 | 409 => ItemFate::Retry(Http4xx),
        413 => ItemFate::Reject(TooLarge),
        429 if is_too_large(error) => ItemFate::TooLargeTogether,
        429 => ItemFate::Retry(Http429),
        500..600 => ItemFate::Retry(Http5xx),
        0 if policy.has_ids => ItemFate::Retry(Protocol),
        0 => ItemFate::Reject(Protocol),
        _ => ItemFate::Reject(Rejected),
    }
}

/// Whether the document that is there has a higher version from outside, which an ingest pipeline can set. A conflict
/// without versions from outside comes from another writer, and passes.
fn is_stale(error: &ItemError) -> bool {
    let reason = error.reason.as_str();
    reason.contains("current version [")
        && reason.contains("] is higher ")
        && reason.contains(" the one provided [")
}

/// Whether it is the setup that every document is refused for: a pipeline that is not there, or a cluster that has
/// as many shards as it may have and cannot make the index of the day.
fn is_about_the_setup(error: &ItemError) -> bool {
    let reason = error.reason.as_str();
    let lacks_pipeline =
        reason.starts_with("pipeline with id [") && reason.ends_with("does not exist");
    lacks_pipeline || (reason.contains("maximum") && reason.contains("shards open"))
}

/// Names of the limit: of most versions, and of Elasticsearch since 8.19.
const MEMORY_LIMITS: [&str; 3] = [
    "max_coordinating_and_primary_bytes=",
    "max_coordinating_bytes=",
    "max_primary_bytes=",
];

/// Whether an operation would never fit into the memory that the server has for it. Source: `IndexingPressure` of
/// Elasticsearch, which refuses it with the same kind as one that may come back later.
pub(crate) fn is_too_large(error: &ItemError) -> bool {
    let reason = error.reason.as_str();
    let one_operation =
        reason.contains("max_operation_size") || reason.contains("exceeds the maximum allowed");
    let number = |name| number_behind(reason, name);
    let limit = MEMORY_LIMITS.iter().find_map(|name| number(name));
    let whole = number("operation_bytes=").zip(limit);
    one_operation || whole.is_some_and(|(needed, most)| needed > most)
}

/// The number behind `name` in a text.
fn number_behind(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(name)?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
}

/// What becomes of a whole request that was not answered with 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestFate {
    /// Ask another host, and when there is none, later.
    NextHost(FailureKind),
    /// Try it again later; another host would say the same.
    Later(FailureKind),
    /// Divide it for this reason; a single record goes to the dead letter.
    Divide(Split),
    /// The server does not know the content type.
    ContentType,
}

/// Why a request is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// It is larger than the server, or something in front of it, takes.
    Size,
    /// A part of it never fits into the server's memory.
    Memory,
    /// One of its documents spoils it.
    Document,
}

impl Split {
    /// What is wrong with a record that is refused even alone.
    pub(crate) fn kind(self) -> FailureKind {
        match self {
            Self::Size | Self::Memory => FailureKind::TooLarge,
            Self::Document => FailureKind::Rejected,
        }
    }
}

/// Judges a whole request.
pub(crate) fn judge_request(status: u16, error: &ItemError) -> RequestFate {
    use FailureKind::{Auth, Http4xx, Http5xx, Http429};
    match status {
        // It leads elsewhere, such as to a page to log in.
        300..400 => RequestFate::NextHost(Http4xx),
        400 if is_about_a_document(error) => RequestFate::Divide(Split::Document),
        401 | 403 => RequestFate::Later(Auth),
        406 | 415 => RequestFate::ContentType,
        413 => RequestFate::Divide(Split::Size),
        429 if is_too_large(error) => RequestFate::Divide(Split::Memory),
        429 => RequestFate::Later(Http429),
        408 | 500..600 => RequestFate::NextHost(Http5xx),
        _ => RequestFate::Later(Http4xx),
    }
}

/// What a server says of a request whose parameters it does not know, which spoils every request; and of a body that was cut
/// short or damaged on its way, which another try mends.
const ABOUT_THE_WHOLE: [&str; 5] = [
    "unknown parameter",
    "unrecognized parameter",
    "_type]",
    "must be terminated by a newline",
    "request body is required",
];

/// Whether one document spoils the request. When it is the whole, or a page of a proxy that says nothing, the records must
/// stay.
fn is_about_a_document(error: &ItemError) -> bool {
    let is_about = |text: &&str| error.reason.contains(*text);
    error.kind.ends_with("_exception")
        && !is_about_the_setup(error)
        && !ABOUT_THE_WHOLE.iter().any(is_about)
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). At most [`RETRY_AFTER_MAX`].
pub(crate) fn retry_after(header: &str, now_secs: i64) -> Option<Duration> {
    let header = header.trim();
    let secs = if let Ok(secs) = header.parse::<u64>() {
        secs
    } else {
        let until = jiff::fmt::rfc2822::parse(header)
            .ok()?
            .timestamp()
            .as_second();
        u64::try_from(until.saturating_sub(now_secs)).unwrap_or(0)
    };
    Some(Duration::from_secs(secs).min(RETRY_AFTER_MAX))
}

/// Nobody may put us off for longer.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
