//! The memory of a connection: room to read into, and how much is held.

use bytes::BytesMut;

use super::{Decoder, State, merge::Merged};
use crate::{json::Json, sieve::Extent};

/// Bytes that a connection reads at first, and again after a silence.
pub(super) const READ_BYTES_MIN: usize = 8 << 10;
/// Most bytes that are read at once, unless a message that is arriving is known to be longer.
const READ_BYTES_MAX: usize = 256 << 10;
/// Room for the option behind packed entries and for the head of the next message.
const SLACK_BYTES: usize = 4 << 10;

impl Decoder {
    /// Takes bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(json) = &mut self.json {
            return json.push(bytes);
        }
        self.buf.extend_from_slice(bytes);
        self.block_bytes = self.block_bytes.max(self.buf.capacity());
    }

    /// A buffer with room to read into: append to it, and change nothing else.
    ///
    /// The room grows with what the sender really sends, never with what it declares.
    pub fn space(&mut self) -> &mut BytesMut {
        if self.json.is_none() {
            self.make_room();
        }
        match &mut self.json {
            Some(json) => json.space(),
            None => &mut self.buf,
        }
    }

    fn make_room(&mut self) {
        let len = self.buf.len();
        let spare = self.buf.capacity() - len;
        if spare == 0 && len > 0 {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        let left = self.left_of_entries().saturating_add(SLACK_BYTES);
        let enough = (self.read_bytes / 8).min(left);
        if spare < enough.max(1) {
            let part = self.limits.part_bytes.saturating_add(SLACK_BYTES);
            let likely = match left {
                // A sender that has sent a part of a message sends another.
                _ if self.frame.parts > 0 => part,
                usize::MAX => len,
                _ => left.min(3 * len),
            };
            let room = left.min(likely).min(part.saturating_sub(len));
            self.buf.reserve(self.read_bytes.max(room));
            self.block_bytes = self.buf.capacity();
        }
    }

    /// Gives memory back while the connection is silent.
    pub fn relax(&mut self) {
        self.read_bytes = READ_BYTES_MIN;
        if let Some(json) = &mut self.json {
            json.relax();
        }
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
            self.block_bytes = 0;
        }
    }

    /// Whether it has no room to read into: nothing came yet, or nothing since [`Self::relax`].
    pub fn is_relaxed(&self) -> bool {
        self.block_bytes == 0 && self.json.as_deref().is_none_or(Json::is_relaxed)
    }

    /// Bytes that it holds.
    pub fn held_bytes(&self) -> usize {
        let plain = match &self.state {
            State::Inflate(inflating) => inflating.plain.len(),
            _ => 0,
        };
        let merged = self.merged.as_ref().map_or(0, Merged::held_bytes);
        let json = self.json.as_deref().map_or(0, Json::held_bytes);
        json + self.buf.len() + plain + self.sieve.moved_bytes() + merged
    }

    /// Bytes of entries that are still to come, more than there can be when that is not known.
    fn left_of_entries(&self) -> usize {
        let left = match &self.state {
            State::Entries(Extent { bytes, .. }) => *bytes,
            State::Single => usize::MAX,
            State::Sniff(len) => *len,
            State::Inflate(inflating) => inflating.left,
            _ => 0,
        };
        match left {
            usize::MAX => left,
            _ => left.saturating_sub(self.buf.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sdk::clock::Clock;

    use super::*;
    use crate::{Limits, Step};

    /// `["t", 1, {}]`, whole and in JSON.
    const MESSAGES: [&[u8]; 2] = [b"\x93\xa1t\x01\x80", b"[\"t\",1,{}]"];

    #[test]
    fn a_silent_connection_has_no_room_to_read_into() {
        for message in MESSAGES {
            let mut decoder = Decoder::new(Limits::default(), Clock::system());
            assert!(decoder.is_relaxed());
            let (first, rest) = message.split_at(2);
            decoder.push(first);
            assert!(matches!(decoder.poll(), Ok(Step::Read)));
            decoder.space().extend_from_slice(rest);
            while !matches!(decoder.poll(), Ok(Step::Read)) {}
            decoder.space();
            assert!(!decoder.is_relaxed());
            decoder.relax();
            assert!(decoder.is_relaxed());
        }
    }
}
