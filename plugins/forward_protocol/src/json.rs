//! JSON frames: values one behind the other, turned into the same values in MessagePack.
//!
//! Source: Fluentd's `in_forward` takes a connection for JSON when its first byte is `{` or `[`, with spaces, line
//! breaks or nothing between the values, and (1.20) with comments and with keys that occur twice.

use std::fmt;

use bytes::{Buf as _, BytesMut};
use sdk::msgpack::{DEPTH_MAX, Malformed, write};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::ProtocolError;

/// Bytes that are read at once.
const READ_BYTES: usize = 8 << 10;
/// Levels of a message in Forward mode around its records.
const LEVELS_AROUND: usize = 3;
/// Bytes of messages that are turned into MessagePack before they are looked at.
const TURN_BYTES: usize = 256 << 10;

/// Where in the text the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between two tokens.
    Plain,
    /// Inside a string.
    Text,
    /// Behind a backslash inside a string.
    Escape,
    /// Behind the slash that begins a comment.
    Slash,
    /// Inside a comment that goes to the end of the line.
    Line,
    /// Inside a comment between `/*` and `*/`.
    Block,
    /// Behind a star inside such a comment.
    Star,
}

/// A connection that speaks JSON.
#[derive(Debug)]
pub(crate) struct Json {
    /// What was read and not scanned.
    raw: BytesMut,
    /// The value at hand, without comments.
    text: Vec<u8>,
    place: Place,
    depth: usize,
    limit_bytes: usize,
    failed: Option<ProtocolError>,
}

impl Json {
    /// Begins with what was read. A value may have `limit_bytes`, since it is held as a whole.
    pub(crate) fn new(raw: BytesMut, limit_bytes: usize) -> Self {
        Self {
            raw,
            text: Vec::new(),
            place: Place::Plain,
            depth: 0,
            limit_bytes,
            failed: None,
        }
    }

    /// Room to read into.
    pub(crate) fn space(&mut self) -> &mut BytesMut {
        if self.raw.capacity() == self.raw.len() {
            self.raw.reserve(READ_BYTES);
        }
        &mut self.raw
    }

    /// Takes bytes that came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    /// Bytes that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.raw.len() + self.text.len()
    }

    /// Whether no value has begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.raw.is_empty() && self.text.is_empty()
    }

    /// Whether it has no room to read into.
    pub(crate) fn is_relaxed(&self) -> bool {
        self.raw.capacity() == 0
    }

    /// Gives memory back.
    pub(crate) fn relax(&mut self) {
        if self.is_idle() {
            self.raw = BytesMut::new();
            self.text = Vec::new();
        }
    }

    /// Turns values that are complete into MessagePack, a good many at a time. Nothing came of nothing more.
    ///
    /// # Errors
    /// [`ProtocolError`], once everything before it was turned.
    pub(crate) fn turn(&mut self) -> Result<Vec<u8>, ProtocolError> {
        let mut out = Vec::new();
        if let Some(error) = self.failed {
            return Err(error);
        }
        while out.len() < TURN_BYTES {
            match self.next(&mut out) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if out.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(out)
    }

    /// Turns one value; `false` when it is not complete.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, ProtocolError> {
        let mut seen = 0;
        let mut is_whole = false;
        let raw = std::mem::take(&mut self.raw);
        for byte in &raw {
            seen += 1;
            is_whole = self.scan(*byte)?;
            if is_whole {
                break;
            }
            if self.text.len() > self.limit_bytes {
                let limit_bytes = self.limit_bytes;
                return Err(ProtocolError::TooLarge { limit_bytes });
            }
        }
        self.raw = raw;
        self.raw.advance(seen);
        if is_whole {
            let begun = out.len();
            let mut text = serde_json::Deserializer::from_slice(&self.text);
            if Turn(out).deserialize(&mut text).is_err() {
                out.truncate(begun);
                return Err(ProtocolError::Json);
            }
            self.text.clear();
        }
        Ok(is_whole)
    }

    /// Looks at one byte; whether a value ends with it.
    fn scan(&mut self, byte: u8) -> Result<bool, ProtocolError> {
        self.place = match (self.place, byte) {
            (Place::Plain, b'/') => Place::Slash,
            (Place::Plain, b' ' | b'\t' | b'\r' | b'\n') if self.depth == 0 => Place::Plain,
            (Place::Plain, _) => return self.token(byte),
            (Place::Text, b'\\') => self.keep(byte, Place::Escape),
            (Place::Text, b'"') => self.keep(byte, Place::Plain),
            (Place::Text | Place::Escape, _) => self.keep(byte, Place::Text),
            (Place::Slash, b'/') => Place::Line,
            (Place::Slash, b'*') => Place::Block,
            (Place::Slash, _) => return Err(ProtocolError::Json),
            (Place::Line, b'\n') | (Place::Star, b'/') => Place::Plain,
            (Place::Line, _) => Place::Line,
            (Place::Block | Place::Star, b'*') => Place::Star,
            (Place::Block | Place::Star, _) => Place::Block,
        };
        Ok(false)
    }

    fn keep(&mut self, byte: u8, place: Place) -> Place {
        self.text.push(byte);
        place
    }

    /// A byte that is neither in a string nor in a comment.
    fn token(&mut self, byte: u8) -> Result<bool, ProtocolError> {
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > DEPTH_MAX + LEVELS_AROUND {
                    return Err(Malformed::TooDeep.into());
                }
            }
            // A value by itself is no message, and where it ends cannot be told.
            _ if self.depth == 0 => return Err(ProtocolError::Json),
            b'}' | b']' => self.depth -= 1,
            b'"' => self.place = Place::Text,
            _ => {}
        }
        self.text.push(byte);
        Ok(self.depth == 0)
    }
}

/// Appends the value that is read.
struct Turn<'a>(&'a mut Vec<u8>);

impl Turn<'_> {
    /// A container, whose count is known when it ends.
    fn counted<E>(
        self,
        marker: u8,
        mut next: impl FnMut(&mut Vec<u8>) -> Result<bool, E>,
    ) -> Result<(), E> {
        self.0.extend_from_slice(&[marker, 0, 0, 0, 0]);
        let begun = self.0.len();
        let mut count = 0_u32;
        while next(self.0)? {
            count += 1;
        }
        let place = begun - size_of::<u32>()..begun;
        if let Some(place) = self.0.get_mut(place) {
            place.copy_from_slice(&count.to_be_bytes());
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Turn<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Turn<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        write::nil(self.0);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        write::bool(self.0, value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        write::int(self.0, value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        write::uint(self.0, value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        write::f64(self.0, value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        write::str(self.0, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.counted(0xdd, |out| {
            Ok(items.next_element_seed(Turn(out))?.is_some())
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        self.counted(0xdf, |out| {
            if pairs.next_key_seed(Turn(out))?.is_none() {
                return Ok(false);
            }
            pairs.next_value_seed(Turn(out))?;
            Ok(true)
        })
    }
}
