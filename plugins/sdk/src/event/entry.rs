//! One event inside a batch: `[time, record]`, or Fluent Bit's `[[time, metadata], record]`.

use crate::{
    event::Time,
    msgpack::{Malformed, RawValue, Reader, Token, write},
};

/// One event as slices of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// When it happened.
    pub time: Time,
    /// Fluent Bit's metadata map, where the sender wrote one.
    pub metadata: Option<RawValue<'a>>,
    /// The record; a map in every batch that an input made.
    pub record: RawValue<'a>,
    /// The whole entry, `[time, record]`.
    pub entry: &'a [u8],
}

/// Reads the head of an entry, up to where its record starts.
/// Returns the time, the metadata and how many values follow the record.
///
/// # Errors
/// [`Malformed`] when the bytes are not the start of an entry.
#[inline]
pub fn event_header<'a>(
    reader: &mut Reader<'a>,
) -> Result<(Time, Option<RawValue<'a>>, u32), Malformed> {
    let Token::Array(len @ 2..) = reader.token()? else {
        return Err(Malformed::UnexpectedType);
    };
    let surplus = len - 2;
    match reader.token()? {
        Token::Array(inner @ 1..) => {
            let time = Time::from_token(reader.token()?)?;
            let metadata = if inner > 1 {
                Some(reader.value()?)
            } else {
                None
            };
            for _ in 2..inner {
                reader.skip()?;
            }
            Ok((time, metadata, surplus))
        }
        token => Ok((Time::from_token(token)?, None, surplus)),
    }
}

/// Iterator over the entries of a batch. It ends at the first entry that is not one.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> Entries<'a> {
    /// Over a stream of entries back to back, as `PackedForward` carries it.
    pub fn new(events: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(events),
            failed: false,
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.reader.position()
    }

    #[inline]
    fn read(&mut self) -> Result<RawEvent<'a>, Malformed> {
        let start = self.reader.rest();
        let from = self.reader.position();
        let (time, metadata, surplus) = event_header(&mut self.reader)?;
        let record = self.reader.value()?;
        for _ in 0..surplus {
            self.reader.skip()?;
        }
        let entry = start
            .get(..self.reader.position() - from)
            .ok_or(Malformed::Truncated)?;
        Ok(RawEvent {
            time,
            metadata,
            record,
            entry,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<RawEvent<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_empty() {
            return None;
        }
        let event = self.read();
        self.failed = event.is_err();
        Some(event)
    }
}

/// Appends one entry `[time, record]`; `record` is an encoded map.
pub fn write_event(out: &mut Vec<u8>, time: Time, record: &[u8]) {
    write::array(out, 2);
    time.write(out);
    out.extend_from_slice(record);
}
