//! A connection: bytes in pieces into the decoder, and what it says, with checks at every step.

use forward_protocol::{Decoder, Limits, Part, ProtocolError, Step};
use sdk::{
    clock::Clock,
    event::{Entries, TAG_LEN_MAX, Tag, Time},
};

use crate::{
    dice::Dice,
    outcome::{Item, Outcome, Told},
    rules::NOW,
};

/// What one step of decompression makes at most, in bytes.
const INFLATE_STEP_BYTES: usize = 64 << 10;
/// Heads of what is held, in bytes.
const HEADS_BYTES: usize = 64;
/// Bytes that an entry may grow by when it gets another time.
const RETIMED_BYTES: usize = 16;

/// How the bytes arrive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrival {
    /// Lengths of the pieces; the last one is repeated. Nothing is one piece.
    sizes: Vec<usize>,
    /// They are read into the decoder's own space.
    into_space: bool,
    /// The connection is silent behind each piece, and memory is given back.
    relaxes: bool,
}

impl Arrival {
    /// Any.
    pub(crate) fn any(dice: &mut Dice<'_>) -> Self {
        let count = dice.below(8);
        Self {
            sizes: (0..=count).map(|_| 1 + usize::from(dice.byte())).collect(),
            into_space: dice.once_in(2),
            relaxes: dice.once_in(4),
        }
    }

    /// Byte by byte.
    pub(crate) fn single_bytes() -> Self {
        Self {
            sizes: vec![1],
            ..Self::default()
        }
    }

    /// Cuts the bytes.
    pub(crate) fn pieces<'a>(&self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut sizes = self.sizes.iter().copied();
        let mut pieces = Vec::new();
        let last = self.sizes.last().copied().unwrap_or(usize::MAX);
        while !bytes.is_empty() {
            let size = sizes.next().unwrap_or(last).clamp(1, bytes.len());
            let (piece, rest) = bytes.split_at(size);
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// A decoder and what it said so far.
struct Connection {
    limits: Limits,
    decoder: Decoder,
    outcome: Outcome,
    /// Parts of a message that has not ended.
    open: Told,
    parts: u32,
}

/// Decodes a connection.
pub(crate) fn drive(limits: Limits, bytes: &[u8], arrival: &Arrival) -> Outcome {
    let (secs, nanos) = NOW;
    let clock = Clock::fixed(Time { secs, nanos }).0;
    let mut connection = Connection {
        limits,
        decoder: Decoder::new(limits, clock),
        outcome: Outcome::default(),
        open: Told::default(),
        parts: 0,
    };
    for piece in arrival.pieces(bytes) {
        let goes_on = if arrival.into_space {
            connection.read(piece)
        } else {
            connection.decoder.push(piece);
            connection.settle(piece.len())
        };
        if !goes_on {
            return connection.outcome;
        }
        if arrival.relaxes {
            connection.decoder.relax();
        }
    }
    let Connection {
        decoder,
        mut outcome,
        ..
    } = connection;
    outcome.is_clean = decoder.finish().is_ok();
    assert_eq!(outcome.is_clean, decoder.is_between_messages());
    outcome
}

impl Connection {
    /// Reads a piece as a socket does: as much as there is room for.
    fn read(&mut self, mut piece: &[u8]) -> bool {
        while !piece.is_empty() {
            let space = self.decoder.space();
            let room = space.capacity() - space.len();
            assert!(room > 0, "there is no room to read into");
            let (now, rest) = piece.split_at(room.min(piece.len()));
            space.extend_from_slice(now);
            piece = rest;
            if !self.settle(now.len()) {
                return false;
            }
        }
        true
    }

    /// Polls until more bytes are needed; `false` when the connection is over.
    fn settle(&mut self, pushed: usize) -> bool {
        loop {
            match self.decoder.poll() {
                Ok(Step::Read) => break,
                Ok(Step::Pause) => {}
                Ok(Step::Stray) => self.outcome.items.push(Item::Stray),
                Ok(Step::Part(part)) => self.part(&part),
                Ok(Step::Message(message)) => {
                    let mut told = std::mem::take(&mut self.open);
                    if message.parts > 0 {
                        let tag = message.tag.as_ref().map(Tag::as_str);
                        assert_eq!(told.tag.as_deref(), tag, "a part has another tag");
                    }
                    assert_eq!(message.parts, self.parts, "parts are counted");
                    assert!(message.tag.is_some() || message.entries.count == 0);
                    check_entries(&message.entries.bytes, message.entries.count);
                    self.parts = 0;
                    told.end(&message);
                    self.outcome.push(told);
                }
                Err(error) => return self.end(error),
            }
        }
        let Limits {
            part_bytes,
            option_bytes,
            ..
        } = self.limits;
        let held = self.decoder.held_bytes();
        let value = part_bytes.max(option_bytes).max(TAG_LEN_MAX);
        let limit = value + pushed + INFLATE_STEP_BYTES + HEADS_BYTES;
        assert!(
            held <= limit,
            "{held} bytes are held, at most {limit} may be"
        );
        true
    }

    fn part(&mut self, part: &Part) {
        let len = part.entries.bytes.len();
        assert!(part.entries.count > 0, "a part is empty");
        assert!(
            len <= self.limits.part_bytes + RETIMED_BYTES,
            "a part of {len} bytes"
        );
        check_entries(&part.entries.bytes, part.entries.count);
        let tag = part.tag.as_str().to_owned();
        let before = self.open.tag.replace(tag.clone());
        assert!(
            before.is_none_or(|before| before == tag),
            "parts have one tag"
        );
        self.open.entries.extend_from_slice(&part.entries.bytes);
        self.open.count += part.entries.count;
        self.parts += 1;
    }

    fn end(&mut self, error: ProtocolError) -> bool {
        let again = self.decoder.poll().err();
        assert_eq!(again, Some(error), "an error stays");
        assert!(!error.to_string().is_empty() && !error.reason().is_empty());
        self.outcome.error = Some(error);
        false
    }
}

/// Entries that came out are what every plugin takes for granted.
fn check_entries(bytes: &[u8], count: u32) {
    let mut found = 0;
    for event in Entries::new(bytes) {
        let Ok(event) = event else {
            panic_with("an entry that was accepted cannot be read", bytes)
        };
        assert!(
            event.record.pairs().is_some(),
            "a record that is no map was accepted"
        );
        found += 1;
    }
    assert_eq!(found, count, "entries are counted");
}

/// Ends the run.
#[expect(clippy::panic, reason = "this is how a finding is told to the engine")]
pub(crate) fn panic_with(finding: &str, bytes: &[u8]) -> ! {
    panic!("{finding}: {bytes:02x?}")
}
