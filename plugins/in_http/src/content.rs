//! From a body to records, by what it is said to hold.

use std::sync::Arc;

use bytes::Bytes;
use sdk::{
    msgpack::{Reader, Token},
    parser::Parser,
};

use crate::{form::Pairs, json, records::Records};

/// What a body holds.
#[derive(Clone)]
pub(crate) enum Content {
    /// JSON: objects and arrays of objects, one behind the other; so NDJSON, too.
    Json,
    /// MessagePack: maps and arrays of maps, one behind the other.
    MessagePack,
    /// `a=1&b=2`
    Form,
    /// `multipart/form-data` with this boundary.
    Multipart(Vec<u8>),
    /// Lines for a parser.
    Lines(Arc<dyn Parser>),
}

/// Media types that hold JSON: values one behind the other.
const JSON: [&str; 6] = [
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-json-stream",
    "application/csp-report",
];
/// Media types that hold MessagePack.
const MESSAGE_PACK: [&str; 3] = [
    "application/msgpack",
    "application/x-msgpack",
    "application/vnd.msgpack",
];

impl Content {
    /// What a `Content-Type` stands for; `None` when it is not known.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        let media = media.to_ascii_lowercase();
        if JSON.contains(&&*media) || media.ends_with("+json") {
            return Some(Self::Json);
        }
        if MESSAGE_PACK.contains(&&*media) {
            return Some(Self::MessagePack);
        }
        match &*media {
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "multipart/form-data" => crate::form::boundary(content_type).map(Self::Multipart),
            _ => None,
        }
    }

    /// Reads all records.
    ///
    /// # Errors
    /// What is wrong and where, never what stands there.
    pub(crate) fn read(&self, body: &Bytes, records: &mut Records) -> Result<(), String> {
        match self {
            Self::Json => json::records(body, &mut |record| records.push(record, None)),
            Self::MessagePack => message_pack(body, records),
            Self::Form => fields(&Pairs::read(body)?, records),
            Self::Multipart(boundary) => fields(&Pairs::multipart(body, boundary)?, records),
            Self::Lines(parser) => lines(&**parser, body, records),
        }
    }
}

/// The records in the parameters `json`, `ndjson` and `msgpack`.
///
/// # Errors
/// What is wrong, or that none of them is there.
pub(crate) fn fields(pairs: &Pairs, records: &mut Records) -> Result<(), String> {
    if let Some(body) = pairs.get("msgpack") {
        return message_pack(body, records);
    }
    let Some(body) = pairs.get("json").or_else(|| pairs.get("ndjson")) else {
        return Err("the parameter json, ndjson or msgpack is missing".into());
    };
    json::records(body, &mut |record| records.push(record, None))
}

fn message_pack(body: &[u8], records: &mut Records) -> Result<(), String> {
    let mut reader = Reader::new(body);
    while !reader.is_empty() {
        let at = reader.position();
        let place =
            |count: usize, error: String| format!("record {} at byte {at}: {error}", count + 1);
        let value = reader
            .value()
            .map_err(|error| place(records.ends.len(), error.to_string()))?;
        match value.token() {
            Token::Nil => {}
            Token::Array(_) => {
                for item in value.items().into_iter().flatten() {
                    let count = records.ends.len();
                    records
                        .push(item.bytes(), None)
                        .map_err(|error| place(count, error))?;
                }
            }
            _ => {
                let count = records.ends.len();
                records
                    .push(value.bytes(), None)
                    .map_err(|error| place(count, error))?;
            }
        }
    }
    Ok(())
}

fn lines(parser: &dyn Parser, body: &[u8], records: &mut Records) -> Result<(), String> {
    let mut record = Vec::new();
    let mut begin = None;
    let mut number = 0_usize;
    let mut parse = |text: &[u8], number: usize| {
        record.clear();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            return Ok(());
        }
        let time = parser.parse(text, &mut record);
        let pushed = time
            .map_err(|error| error.0)
            .and_then(|time| records.push(&record, time));
        pushed.map_err(|error| format!("line {number}: {error}"))
    };
    let mut at = 0;
    for line in body.split(|byte| *byte == b'\n') {
        number += 1;
        match parser.begins(line) {
            None => {
                if let Some((from, first)) = begin.take() {
                    parse(between(body, from, at), first)?;
                }
                parse(line, number)?;
            }
            Some(true) => {
                if let Some((from, first)) = begin.replace((at, number)) {
                    parse(between(body, from, at), first)?;
                }
            }
            Some(false) => {
                begin.get_or_insert((at, number));
            }
        }
        at += line.len() + 1;
    }
    match begin {
        Some((from, first)) => parse(between(body, from, body.len() + 1), first),
        None => Ok(()),
    }
}

/// The lines from `from` on, without the line feed before `to`.
fn between(body: &[u8], from: usize, to: usize) -> &[u8] {
    let lines = body.get(from..to.saturating_sub(1)).unwrap_or_default();
    lines.strip_suffix(b"\n").unwrap_or(lines)
}
