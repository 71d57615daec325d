//! Parts as Docker writes them.

use std::sync::Arc;

use bytes::Bytes;
use sdk::{event::Tag, testing};
use serde_json::{Value, json};

use crate::partial::lines::{Key, Part};

/// A record of Docker's driver, a part of the line `id`.
pub(super) fn record(id: &str, ordinal: u32, is_last: bool, log: &str) -> Value {
    json!({
        "container_id": "c0ffee",
        "container_name": "/shop",
        "source": "stdout",
        "log": log,
        "partial_message": "true",
        "partial_id": id,
        "partial_ordinal": ordinal.to_string(),
        "partial_last": is_last.to_string(),
    })
}

/// The line that its parts make.
pub(super) fn line(log: &str) -> Value {
    json!({ "container_id": "c0ffee", "container_name": "/shop", "source": "stdout", "log": log })
}

pub(super) fn entry(record: &Value) -> Bytes {
    testing::events(std::slice::from_ref(record))
}

pub(super) fn key(id: &str) -> Key {
    Key {
        tag: Tag::new("docker"),
        id: Arc::from(id.as_bytes()),
    }
}

pub(super) fn part(id: &str, ordinal: u32, is_last: bool, log: &str) -> Part {
    Part {
        key: key(id),
        ordinal,
        is_last,
        entry: entry(&record(id, ordinal, is_last, log)),
    }
}
