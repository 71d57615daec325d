//! From MessagePack to JSON, straight from the slice: no value tree and no allocation per record.
//!
//! What JSON has no word for becomes what a search index can take: NaN and infinities are `null`, bytes that are
//! not UTF-8 become U+FFFD, a bin is text when it is UTF-8 and else base64, `EventTime` is RFC 3339, any other
//! extension is `{"ext": TYPE, "data": BASE64}`. A key that is no text becomes its text. Of equal keys the last
//! one wins, as in a Ruby hash. Integers keep all 64 bits, floats are the shortest text that reads back equal,
//! and always show that they are floats (`1.0`).

mod exact;
mod fast;
mod lead;
mod names;
mod scalar;
mod stage;
mod text;
mod time;
mod walk;

#[cfg(test)]
mod tests;

pub use lead::{Clash, Lead};
pub use time::write_time;

use crate::msgpack::{Malformed, RawValue, Reader, Token};
use exact::Exact;
use fast::Fast;
use stage::Stage;
use walk::{Halt, Level, walk};

/// Which names of fields are left as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// All of them.
    #[default]
    Any,
    /// Those that a document of a search index may have. Dots that lead, trail or follow a dot, blank parts and
    /// the empty name turn into `_`; a top-level name of `reserved` gets `_` at its end; an array or a map as a
    /// key is refused, elsewhere it becomes the base64 of its MessagePack.
    Document {
        /// Top-level names that the index keeps for itself.
        reserved: &'static [&'static str],
    },
}

/// Why a record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// No text stands for an array or a map as the key of a field.
    #[error("an array or a map is the key of a field")]
    ContainerKey,
    /// The bytes are not a record.
    #[error("not a record: {0}")]
    Malformed(#[from] Malformed),
}

/// Writes records as JSON. Keeps its working space, so one of them serves many records.
#[derive(Debug)]
pub struct Writer {
    stage: Stage,
    fast: Fast,
    names: Names,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new(Names::Any)
    }
}

impl Writer {
    /// A writer for these names.
    pub fn new(names: Names) -> Self {
        Self {
            stage: Stage::new(),
            fast: Fast::new(),
            names,
        }
    }

    /// Appends a record as one object: first the fields of `lead`, then those of the record. `clash` is asked
    /// only when the record has a field of the same name as one of `lead`.
    ///
    /// # Errors
    /// [`Unwritable`]; `out` is then as it was.
    pub fn record(
        &mut self,
        out: &mut Vec<u8>,
        lead: &Lead,
        record: RawValue<'_>,
        clash: &mut dyn FnMut(&str, RawValue<'_>) -> Clash,
    ) -> Result<(), Unwritable> {
        self.next_record(out, lead, &mut Reader::new(record.bytes()), clash)
    }

    /// The same for the record that comes next in a stream, which saves finding its end first.
    ///
    /// # Errors
    /// [`Unwritable`]; `out` and `reader` are then as they were.
    #[inline]
    pub fn next_record(
        &mut self,
        out: &mut Vec<u8>,
        lead: &Lead,
        reader: &mut Reader<'_>,
        clash: &mut dyn FnMut(&str, RawValue<'_>) -> Clash,
    ) -> Result<(), Unwritable> {
        let start = out.len();
        let before = reader.clone();
        let done = self.record_fast(out, lead, reader);
        let done = match done {
            Err(Halt::Inexact) => {
                out.truncate(start);
                *reader = before.clone();
                self.record_exact(out, lead, reader, clash)
            }
            done => done,
        };
        done.map_err(|halt| {
            out.truncate(start);
            *reader = before;
            halt.into()
        })
    }

    #[inline]
    fn record_fast(
        &mut self,
        out: &mut Vec<u8>,
        lead: &Lead,
        reader: &mut Reader<'_>,
    ) -> Result<(), Halt> {
        let pairs = map_header(reader)?;
        out.push(b'{');
        out.extend_from_slice(lead.text());
        self.fast.start(self.names, lead, pairs)?;
        let level = Level::map(pairs, !lead.text().is_empty());
        walk(&mut self.fast, &mut self.stage, out, reader, level)
    }

    #[cold]
    fn record_exact(
        &mut self,
        out: &mut Vec<u8>,
        lead: &Lead,
        reader: &mut Reader<'_>,
        clash: &mut dyn FnMut(&str, RawValue<'_>) -> Clash,
    ) -> Result<(), Halt> {
        let pairs = map_header(reader)?;
        let mut keys = Exact::new(self.names);
        let has_lead = keys.start(out, lead, reader, pairs, clash)?;
        let level = Level::map(pairs, has_lead);
        walk(&mut keys, &mut self.stage, out, reader, level)
    }

    /// Appends any value. Names are left as they are, whatever the writer was made for, so nothing is refused.
    pub fn value(&mut self, out: &mut Vec<u8>, value: RawValue<'_>) {
        let start = out.len();
        let mut reader = Reader::new(value.bytes());
        self.fast.reset(Names::Any);
        let level = Level::single();
        let mut done = walk(&mut self.fast, &mut self.stage, out, &mut reader, level);
        if done.is_err() {
            out.truncate(start);
            let mut reader = Reader::new(value.bytes());
            let mut keys = Exact::new(Names::Any);
            done = walk(&mut keys, &mut self.stage, out, &mut reader, level);
        }
        if done.is_err() {
            // Only bytes that are no value come here, and a `RawValue` has been checked.
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
    }
}

fn map_header(reader: &mut Reader<'_>) -> Result<u32, Halt> {
    match reader.token()? {
        Token::Map(pairs) => Ok(pairs),
        _ => Err(Malformed::UnexpectedType.into()),
    }
}

/// Appends one value as JSON. For many values, keep a [`Writer`].
pub fn write_value(out: &mut Vec<u8>, value: RawValue<'_>) {
    Writer::default().value(out, value);
}

/// Appends text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
pub fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let mut stage = Stage::new();
    let at = text::quoted(&mut stage, 0, out, text, text);
    stage.spill(at, out);
}
