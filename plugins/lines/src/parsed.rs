//! Messages that a parser makes records of, for sources that do nothing else with them.

use std::sync::Arc;

use sdk::{event::Tag, msgpack::write, parser::Parser};

use crate::{Gather, Message, Peer, Report, Take, set_fields};

/// Fields that tell who sent a message.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The field for the address.
    pub address: Option<String>,
    /// The field for the host name.
    pub hostname: Option<String>,
}

impl Keys {
    /// Sets them in an encoded record.
    pub fn set(&self, record: &mut Vec<u8>, peer: &Peer) {
        let address = self.address.as_deref().map(|key| (key, &*peer.address));
        let hostname = self.hostname.as_deref().map(|key| (key, &*peer.host));
        match (address, hostname) {
            (None, None) => {}
            (Some(field), None) | (None, Some(field)) => set_fields(record, &[field]),
            (Some(address), Some(hostname)) => set_fields(record, &[address, hostname]),
        }
    }
}

/// Makes one event of each message, under one tag.
pub struct ParsedLines {
    /// Makes the record.
    pub parser: Arc<dyn Parser>,
    /// The tag of the events.
    pub tag: Tag,
    /// Who sent it.
    pub keys: Keys,
    /// Whether a message that the parser cannot read becomes the field `unmatched_line`, instead of being dropped.
    pub emit_unmatched_lines: bool,
    /// Whether line feeds at the end of a message are removed first.
    pub remove_newline: bool,
}

impl Take for ParsedLines {
    fn take(&self, message: &Message<'_>, report: &Report, gather: &mut Gather) {
        let mut bytes = message.bytes;
        while self.remove_newline && matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes = bytes.split_last().map(|(_, rest)| rest).unwrap_or_default();
        }
        let mut record = Vec::with_capacity(bytes.len() + 64);
        let time = match self.parser.parse(bytes, &mut record) {
            Ok(time) => time,
            Err(error) => {
                report.warn(
                    "unmatched",
                    &format!("a message could not be parsed: {error}"),
                );
                if !self.emit_unmatched_lines {
                    return;
                }
                record = unmatched(bytes);
                None
            }
        };
        self.keys.set(&mut record, message.peer);
        gather.add(&self.tag, time.unwrap_or(message.now), &record);
    }
}

/// The record of a message that no parser can read, as Fluentd writes it.
pub fn unmatched(message: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(message.len() + 32);
    write::map(&mut record, 1);
    write::str(&mut record, "unmatched_line");
    write::str_bytes(&mut record, message);
    record
}
