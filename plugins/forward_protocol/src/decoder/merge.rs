//! Messages of one event each, without acknowledgement, that came together: they go on as one, since everything
//! behind the decoder costs per message.

use super::{Decoder, Flow};
use crate::{EntryStream, Message};

/// Entries that are gathered at most, in bytes.
const MERGE_BYTES_MAX: usize = 64 << 10;

/// Messages that were gathered. They have the same tag.
#[derive(Debug)]
pub(super) struct Merged {
    message: Message,
    entries: Vec<u8>,
}

impl Merged {
    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.entries.len()
    }

    /// What was gathered, as one message.
    pub(super) fn into_message(self) -> Message {
        let Self {
            mut message,
            entries,
        } = self;
        message.entries.bytes = entries.into();
        message
    }

    fn takes(&self, message: &Message) -> bool {
        self.message.tag == message.tag
            && self.entries.len() + message.entries.bytes.len() <= MERGE_BYTES_MAX
    }

    fn add(&mut self, message: &Message) {
        let Message {
            entries: EntryStream { bytes, count },
            flaws,
            wire_bytes,
            ..
        } = message;
        self.entries.extend_from_slice(bytes);
        self.message.entries.count += count;
        self.message.flaws.add_all(flaws);
        self.message.wire_bytes = self.message.wire_bytes.max(*wire_bytes);
    }
}

impl Decoder {
    /// Gathers a message, or hands out what was gathered before and begins anew.
    pub(super) fn merge(&mut self, message: Message) -> Flow {
        if let Some(merged) = self.merged.as_mut().filter(|merged| merged.takes(&message)) {
            merged.add(&message);
            return Flow::On;
        }
        let begun = Merged {
            entries: message.entries.bytes.to_vec(),
            message,
        };
        match self.merged.replace(begun) {
            None => Flow::On,
            Some(before) => Flow::Before(before.into_message()),
        }
    }
}
