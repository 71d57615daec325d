//! Fields that stand before those of a record, such as its time and its tag: text that is made once per batch.

use super::{
    text::glance,
    time::{TEXT_LEN, TEXT_MAX, format, fraction},
    write_text,
};
use crate::event::Time;

/// Digits of the fraction and the `Z` behind it.
const FRACTION_LEN: usize = 10;

/// What becomes of a field of the record that has the name of a leading field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clash {
    /// The leading field stands, the record's is left out.
    Lead,
    /// The record's field stands, the leading one is left out.
    Record,
    /// The leading field stands, and the record's gets another name, unless the record has that name too.
    Rename(String),
}

/// Leading fields as JSON text.
#[derive(Debug, Clone, Default)]
pub struct Lead {
    text: Vec<u8>,
    fields: Vec<Field>,
    time: Option<Clock>,
}

/// One leading field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    name: String,
    /// Of the name, as JSON text without quotes.
    pub(super) print: u32,
    /// Where its text begins, behind the comma.
    start: usize,
}

#[derive(Debug, Clone)]
struct Clock {
    /// Where the time stands in the text.
    at: usize,
    /// The second that is written there, when its length is [`TEXT_LEN`] and its fraction has nine digits.
    secs: Option<i64>,
    len: usize,
    /// Digits of the fraction, at most nine.
    digits: usize,
}

impl Lead {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field with a string.
    #[must_use]
    pub fn string(mut self, name: &str, value: &str) -> Self {
        self.begin(name);
        write_text(&mut self.text, value.as_bytes());
        self
    }

    /// Adds a field with a time, which [`Self::set_time`] sets. There can be one of them.
    #[must_use]
    pub fn time(self, name: &str) -> Self {
        self.time_to(name, 9)
    }

    /// The same with as many digits of a second, at most nine. Fewer of them cost a little more for each record.
    #[must_use]
    pub fn time_to(mut self, name: &str, digits: u8) -> Self {
        let digits = usize::from(digits.min(9));
        self.begin(name);
        self.text.push(b'"');
        let at = self.text.len();
        let mut text = [0; TEXT_MAX];
        let len = shorten(&mut text, Time::default(), digits);
        self.text
            .extend_from_slice(text.get(..len).unwrap_or_default());
        self.text.push(b'"');
        let secs = (digits == 9).then_some(0);
        self.time = Some(Clock {
            at,
            secs,
            len,
            digits,
        });
        self
    }

    /// Sets the time. Within one second only the fraction is written.
    #[inline]
    pub fn set_time(&mut self, time: Time) {
        let Some(clock) = &mut self.time else { return };
        if clock.secs != Some(time.secs) {
            let mut text = [0; TEXT_MAX];
            let len = shorten(&mut text, time, clock.digits);
            let new = text.get(..len).unwrap_or_default();
            let end = clock.at + clock.len;
            self.text.splice(clock.at..end, new.iter().copied());
            for field in &mut self.fields {
                if field.start > clock.at {
                    field.start = field.start + len - clock.len;
                }
            }
            clock.len = len;
            clock.secs = (clock.digits == 9 && len == TEXT_LEN).then_some(time.secs);
            return;
        }
        let from = clock.at + clock.len - FRACTION_LEN;
        let slot = self
            .text
            .get_mut(from..)
            .and_then(|rest| rest.first_chunk_mut::<9>());
        if let Some(slot) = slot {
            *slot = fraction(time.nanos);
        }
    }

    /// The fields with commas between them, without braces.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The fields, in order.
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The text of the field at `index`, without commas around it.
    pub(super) fn field_text(&self, index: usize) -> &[u8] {
        let start = self.fields.get(index).map_or(0, |field| field.start);
        let end = self
            .fields
            .get(index + 1)
            .map_or(self.text.len(), |next| next.start - 1);
        self.text.get(start..end).unwrap_or_default()
    }

    fn begin(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        let start = self.text.len();
        write_text(&mut self.text, name.as_bytes());
        self.text.push(b':');
        self.fields.push(Field {
            name: name.to_owned(),
            print: glance(name.as_bytes(), name.as_bytes()).print,
            start,
        });
    }
}

/// Writes the text with so many digits of a second, and returns its length. What is left out is not rounded.
fn shorten(text: &mut [u8; TEXT_MAX], time: Time, digits: usize) -> usize {
    let len = format(text, time);
    if digits == 9 {
        return len;
    }
    let dot = len - FRACTION_LEN - 1;
    let end = if digits == 0 { dot } else { dot + 1 + digits };
    if let Some(slot) = text.get_mut(end) {
        *slot = b'Z';
    }
    end + 1
}

impl Field {
    /// The name as it was given.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}
