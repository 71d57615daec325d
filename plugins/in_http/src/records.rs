//! The records of one request as entries: their time, and what is written into them.

use std::sync::Arc;

use sdk::{
    event::{FieldPath, Time},
    msgpack::{RawValue, Token, write},
};

/// The largest entry: it has to find its place in a frame of a buffer.
const ENTRY_BYTES_MAX: usize = 8 << 20;
/// Numbers above are taken for milliseconds.
const SECS_MAX: i64 = 100_000_000_000;

/// What the records of a request have in common.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// When the request came.
    pub(crate) now: Time,
    /// What the query says.
    pub(crate) fixed: Option<Time>,
    pub(crate) time_key: Arc<FieldPath>,
    pub(crate) keep_time_key: bool,
    /// Fields to write into each record.
    pub(crate) extras: Vec<(String, String)>,
}

/// Entries so far.
#[derive(Debug)]
pub(crate) struct Records {
    shape: Shape,
    pub(crate) events: Vec<u8>,
    /// Where each entry ends.
    pub(crate) ends: Vec<usize>,
}

impl Records {
    /// None yet.
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            events: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Appends a record: one MessagePack map. `parsed` is the time that a parser found.
    ///
    /// # Errors
    /// Why it is no record.
    pub(crate) fn push(&mut self, record: &[u8], parsed: Option<Time>) -> Result<(), String> {
        let record = RawValue::parse(record).map_err(|error| error.to_string())?;
        let Some(pairs) = record.pairs() else {
            return Err("a record must be a map".into());
        };
        let shape = &self.shape;
        let field = match (shape.fixed, parsed) {
            (None, None) => shape.time_key.find(record).and_then(time_of),
            _ => None,
        };
        let time = shape.fixed.or(parsed).or(field).unwrap_or(shape.now);
        let removed = (field.is_some() && !shape.keep_time_key).then(|| shape.time_key.head());
        write::array(&mut self.events, 2);
        time.write(&mut self.events);
        if removed.is_none() && shape.extras.is_empty() {
            self.events.extend_from_slice(record.bytes());
        } else {
            let stays = |key: RawValue<'_>| {
                let key = key.as_str();
                key.is_none_or(|key| {
                    removed != Some(key) && shape.extras.iter().all(|(extra, _)| extra != key)
                })
            };
            let kept = pairs.clone().filter(|(key, _)| stays(*key)).count();
            let count = u32::try_from(kept + shape.extras.len()).unwrap_or(u32::MAX);
            write::map(&mut self.events, count);
            for (key, value) in pairs.filter(|(key, _)| stays(*key)) {
                self.events.extend_from_slice(key.bytes());
                self.events.extend_from_slice(value.bytes());
            }
            for (key, value) in &shape.extras {
                write::str(&mut self.events, key);
                write::str(&mut self.events, value);
            }
        }
        let begin = self.ends.last().copied().unwrap_or_default();
        if self.events.len() - begin > ENTRY_BYTES_MAX {
            return Err("a record is larger than 8 MiB".into());
        }
        self.ends.push(self.events.len());
        Ok(())
    }
}

/// A time that a field or a parameter holds.
fn time_of(value: RawValue<'_>) -> Option<Time> {
    match value.token() {
        Token::Int(number) if number.unsigned_abs() > SECS_MAX.unsigned_abs() => Some(Time {
            secs: number.div_euclid(1000),
            nanos: u32::try_from(number.rem_euclid(1000)).ok()? * 1_000_000,
        }),
        Token::Str(text) => time_in(std::str::from_utf8(text).ok()?),
        token => Time::from_token(token).ok(),
    }
}

/// A time as text: seconds, or as in RFC 3339.
pub(crate) fn time_in(text: &str) -> Option<Time> {
    let text = text.trim();
    if let Some(time) = decimal(text) {
        return Some(time);
    }
    text.parse().ok()
}

/// Seconds with a fraction, to the nanosecond.
fn decimal(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.is_empty()
        || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let nanos: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    Some(Time {
        secs: whole.parse().ok()?,
        nanos: nanos.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_numbers_and_text() {
        let at = |secs, nanos| Some(Time { secs, nanos });
        assert_eq!(
            time_in("1518756037.3137116"),
            at(1_518_756_037, 313_711_600)
        );
        assert_eq!(time_in("12"), at(12, 0));
        assert_eq!(time_in("1970-01-01T00:00:01.000000007Z"), at(1, 7));
        assert_eq!(time_in("soon"), None);
        assert_eq!(time_in("-1"), None);
        let mut value = Vec::new();
        write::int(&mut value, 1_700_000_000_123);
        assert_eq!(
            time_of(RawValue::parse(&value).unwrap()),
            at(1_700_000_000, 123_000_000)
        );
    }
}
