//! What comes out of the decoder: messages, parts of large ones, and counts of what was dropped.

use bytes::{BufMut as _, Bytes, BytesMut};
use sdk::{
    event::Tag,
    msgpack::{RawValue, Token},
};

/// What a call of [`crate::Decoder::poll`] found.
#[derive(Debug)]
pub enum Step {
    /// Nothing more without more bytes.
    Read,
    /// More is to be done without more bytes, but others may have a turn first.
    Pause,
    /// A value that is no message was passed over.
    Stray,
    /// Entries of a message that is too large to be held. More parts, and then the message, follow.
    Part(Part),
    /// A message ended.
    Message(Message),
}

/// Entries `[time, record]` back to back, checked: times are valid, records are maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryStream {
    /// The entries.
    pub bytes: Bytes,
    /// How many they are.
    pub count: u32,
}

/// Entries of a message that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The tag of the message.
    pub tag: Tag,
    /// The entries since the part before.
    pub entries: EntryStream,
}

/// A message that ended. Messages of one event each that came together, with one tag and without a chunk, are
/// handed out as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its tag; `None` when it had none that can be used, and then there are no entries.
    pub tag: Option<Tag>,
    /// Its entries, or those since the last part.
    pub entries: EntryStream,
    /// How many parts came before.
    pub parts: u32,
    /// What the sender wants back as acknowledgement.
    pub chunk: Option<Chunk>,
    /// What was dropped of it.
    pub flaws: Flaws,
    /// Its length on the wire, in bytes; that of the longest where several are handed out as one.
    pub wire_bytes: usize,
}

/// The option `chunk`, with the type that the sender gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    value: Bytes,
    /// The sender speaks JSON, and so does the acknowledgement.
    is_json: bool,
}

impl Chunk {
    /// Takes one encoded value.
    pub(crate) fn new(value: RawValue<'_>) -> Self {
        Self {
            value: Bytes::copy_from_slice(value.bytes()),
            is_json: false,
        }
    }

    /// Of a sender that speaks JSON.
    pub(crate) fn in_json(self) -> Self {
        Self {
            is_json: true,
            ..self
        }
    }

    /// The value as it came, with its MessagePack header.
    pub fn encoded(&self) -> &Bytes {
        &self.value
    }

    /// The id: the bytes of a str or bin, of anything else the encoded value.
    pub fn id(&self) -> Bytes {
        match RawValue::parse(&self.value).map(RawValue::token) {
            Ok(Token::Str(bytes) | Token::Bin(bytes)) => self.value.slice_ref(bytes),
            _ => self.value.clone(),
        }
    }

    /// The acknowledgement `{"ack": CHUNK}`, to be sent in one write.
    pub fn ack(&self) -> Bytes {
        if self.is_json {
            let mut out = b"{\"ack\":".to_vec();
            if let Ok(value) = RawValue::parse(&self.value) {
                sdk::json::write_value(&mut out, value);
            }
            out.push(b'}');
            return out.into();
        }
        let mut out = BytesMut::with_capacity(5 + self.value.len());
        out.put_slice(b"\x81\xa3ack");
        out.put_slice(&self.value);
        out.freeze()
    }
}

/// Why an event, or a value that stands for one, was dropped. The sender is answered all the same: sending it
/// again would not mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// No array of at least two items.
    Entry,
    /// A time that is none, or out of range.
    Time,
    /// A record that is no map.
    Record,
    /// A tag that is no text, or longer than [`sdk::event::TAG_LEN_MAX`].
    Tag,
    /// The last entry of a packed stream is cut off.
    CutOff,
    /// An entry larger than [`crate::Limits::part_bytes`].
    TooLarge,
    /// An array that is too short to be a message.
    Message,
    /// A message of Fluent Bit that holds metrics, traces, blobs or profiles, and no events.
    Signal,
}

/// Number of kinds of [`Flaw`].
const FLAWS: usize = 8;

impl Flaw {
    /// All of them.
    pub const ALL: [Self; FLAWS] = [
        Self::Entry,
        Self::Time,
        Self::Record,
        Self::Tag,
        Self::CutOff,
        Self::TooLarge,
        Self::Message,
        Self::Signal,
    ];

    /// The value of the metric label `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Time => "time",
            Self::Record => "record",
            Self::Tag => "tag",
            Self::CutOff => "cut_off",
            Self::TooLarge => "record_too_large",
            Self::Message => "message",
            Self::Signal => "signal",
        }
    }
}

/// How many events were dropped for which flaw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flaws([u32; FLAWS]);

impl Flaws {
    /// Counts `count` more.
    pub(crate) fn add(&mut self, flaw: Flaw, count: u32) {
        if let Some(sum) = self.0.get_mut(flaw as usize) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Counts what `other` counts, too.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for flaw in Flaw::ALL {
            self.add(flaw, other.of(flaw));
        }
    }

    /// How many for this flaw.
    pub fn of(&self, flaw: Flaw) -> u32 {
        self.0.get(flaw as usize).copied().unwrap_or_default()
    }

    /// Whether nothing was dropped.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; FLAWS]
    }
}
