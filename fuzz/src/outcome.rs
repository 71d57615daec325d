//! What a connection came to, in a form that does not depend on how its bytes arrived.

use forward_protocol::{Flaw, Flaws, Message, ProtocolError};
use sdk::msgpack::Malformed;

/// What came out, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A value that is no message.
    Stray,
    /// A message, or neighbours of one tag without acknowledgement, since those may be handed out as one.
    Message(Told),
}

/// A message with all its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) tag: Option<String>,
    pub(crate) entries: Vec<u8>,
    pub(crate) count: u32,
    /// In the order of [`Flaw::ALL`].
    pub(crate) flaws: [u32; Flaw::ALL.len()],
    pub(crate) ack: Option<Vec<u8>>,
    /// That of the longest where several are joined.
    pub(crate) wire_bytes: usize,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) items: Vec<Item>,
    pub(crate) error: Option<ProtocolError>,
    /// It ended between two messages.
    pub(crate) is_clean: bool,
}

impl Told {
    /// Puts an ended message behind its parts.
    pub(crate) fn end(&mut self, message: &Message) {
        self.tag = message.tag.as_ref().map(|tag| tag.as_str().to_owned());
        self.entries.extend_from_slice(&message.entries.bytes);
        self.count += message.entries.count;
        self.flaws = counts(&message.flaws);
        self.ack = message.chunk.as_ref().map(|chunk| chunk.ack().to_vec());
        self.wire_bytes = message.wire_bytes;
        if message.parts > 0 && message.flaws.of(Flaw::Signal) > 0 {
            // The option stands at the end: parts may be out before it says that these are no events.
            self.entries.clear();
            self.count = 0;
        }
    }

    /// Counts `count` more.
    pub(crate) fn add(&mut self, flaw: Flaw, count: u32) {
        for (known, sum) in Flaw::ALL.iter().zip(&mut self.flaws) {
            *sum += if *known == flaw { count } else { 0 };
        }
    }
}

fn counts(flaws: &Flaws) -> [u32; Flaw::ALL.len()] {
    Flaw::ALL.map(|flaw| flaws.of(flaw))
}

impl Outcome {
    /// Adds a message, joined with the one before where that is allowed.
    pub(crate) fn push(&mut self, told: Told) {
        if let Some(Item::Message(last)) = self.items.last_mut()
            && last.tag == told.tag
            && last.ack.is_none()
            && told.ack.is_none()
        {
            last.entries.extend_from_slice(&told.entries);
            last.count += told.count;
            for (sum, more) in last.flaws.iter_mut().zip(told.flaws) {
                *sum += more;
            }
            last.wire_bytes = last.wire_bytes.max(told.wire_bytes);
        } else {
            self.items.push(Item::Message(told));
        }
    }

    /// Whether the other is the same connection. Where several things are wrong, which of them is seen first may
    /// depend on how much is there: how long a message is, and what a decompressor makes of it. A value that is nested
    /// too far is refused at once when it is there, and two levels later when it arrives in pieces.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        if is_too_deep(self.error) || is_too_deep(other.error) {
            return self.begins_like(other) || other.begins_like(self);
        }
        let are_exact = is_exact(self.error) && is_exact(other.error);
        self.items == other.items
            && self.is_clean == other.is_clean
            && self.error.is_some() == other.error.is_some()
            && (!are_exact || self.error == other.error)
    }

    /// Whether all but the last of these items, which may have been joined with more, begin the other.
    fn begins_like(&self, other: &Self) -> bool {
        let all_but_last = self.items.split_last().map_or(&[][..], |(_, front)| front);
        self.items.len() <= other.items.len() && other.items.starts_with(all_but_last)
    }
}

fn is_too_deep(error: Option<ProtocolError>) -> bool {
    error == Some(ProtocolError::Malformed(Malformed::TooDeep))
}

fn is_exact(error: Option<ProtocolError>) -> bool {
    !matches!(
        error,
        Some(
            ProtocolError::TooLarge { .. }
                | ProtocolError::Inflated { .. }
                | ProtocolError::Ratio { .. }
                | ProtocolError::Damaged
        )
    )
}
