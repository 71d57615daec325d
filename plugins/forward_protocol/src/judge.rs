//! The verdict on one entry: keep it, give it another time, or drop it.

use sdk::{
    clock::Clock,
    event::{Time, event_header, write_event},
    msgpack::{Malformed, Reader, Token, skip, write},
};

use crate::Flaw;

/// Latest time that is accepted, in seconds: the end of the year 9999.
const SECS_MAX: i64 = 253_402_300_799;
/// Earliest time that is accepted, in seconds: the beginning of the year 1.
const SECS_MIN: i64 = -62_135_596_800;
/// A number above this is taken for milliseconds: fluent-logger-node writes them, and as seconds it were the year 5138.
const SECS_MAX_PLAUSIBLE: i64 = 100_000_000_000;
/// Seconds of Fluent Bit's markers around a group of entries: its start, and one less its end.
const GROUP_START_SECS: i64 = 0xffff_ffff;

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays as it is.
    Keep,
    /// It stays, with this time.
    Retime(Time),
    /// It stays, with the time of its receipt.
    Now,
    /// It is no event, but a marker of Fluent Bit.
    Marker,
    /// It is dropped.
    Drop(Flaw),
}

/// Checks the entry at the start of `bytes`. Returns its length and what becomes of it.
///
/// # Errors
/// `Truncated` when it is not complete; `Reserved` and `TooDeep` when it never will be.
#[inline]
pub(crate) fn judge(bytes: &[u8]) -> Result<(usize, Verdict), Malformed> {
    let judged = judge_entry(bytes);
    #[cfg(test)]
    crate::tests::work::looked_at(judged.map_or(bytes.len(), |(size, _)| size));
    judged
}

#[inline]
fn judge_entry(bytes: &[u8]) -> Result<(usize, Verdict), Malformed> {
    let mut reader = Reader::new(bytes);
    let (time, metadata, surplus) = match event_header(&mut reader) {
        Ok(header) => header,
        Err(Malformed::UnexpectedType) => return judge_odd(bytes),
        Err(malformed) => return Err(malformed),
    };
    let is_map = matches!(reader.rest().first(), Some(0x80..=0x8f | 0xde | 0xdf));
    reader.skip()?;
    for _ in 0..surplus {
        reader.skip()?;
    }
    let verdict = if !is_map {
        Verdict::Drop(Flaw::Record)
    } else if 0 < time.secs && time.secs < GROUP_START_SECS - 1 {
        Verdict::Keep
    } else {
        judge_time(time, metadata.is_some())
    };
    Ok((reader.position(), verdict))
}

/// A time outside of the usual range.
fn judge_time(time: Time, has_metadata: bool) -> Verdict {
    let Time { secs, nanos } = time;
    if secs == 0 {
        Verdict::Now
    } else if has_metadata
        && nanos == 0
        && (GROUP_START_SECS - 1..=GROUP_START_SECS).contains(&secs)
    {
        Verdict::Marker
    } else if secs > SECS_MAX_PLAUSIBLE {
        let below_ms = u32::try_from(secs % 1_000).unwrap_or_default() * 1_000_000;
        judge_range(
            Time {
                secs: secs / 1_000,
                nanos: below_ms + nanos / 1_000,
            },
            Verdict::Retime,
        )
    } else {
        judge_range(time, |_| Verdict::Keep)
    }
}

fn judge_range(time: Time, verdict: impl FnOnce(Time) -> Verdict) -> Verdict {
    if (SECS_MIN..=SECS_MAX).contains(&time.secs) {
        verdict(time)
    } else {
        Verdict::Drop(Flaw::Time)
    }
}

/// An entry whose head is not that of an event. A time of nil is taken for now, as Fluentd takes it.
#[cold]
fn judge_odd(bytes: &[u8]) -> Result<(usize, Verdict), Malformed> {
    let len = skip(bytes, 0)?;
    let mut reader = Reader::new(bytes);
    let Token::Array(2..) = reader.token()? else {
        return Ok((len, Verdict::Drop(Flaw::Entry)));
    };
    let time = match reader.token()? {
        Token::Array(inner @ 1..) => {
            let time = reader.token()?;
            if let Token::Array(_) | Token::Map(_) = time {
                return Ok((len, Verdict::Drop(Flaw::Time)));
            }
            for _ in 1..inner {
                reader.skip()?;
            }
            time
        }
        token => token,
    };
    let verdict = match (time, reader.rest().first()) {
        (Token::Nil, Some(0x80..=0x8f | 0xde | 0xdf)) => Verdict::Now,
        (Token::Nil, _) => Verdict::Drop(Flaw::Record),
        _ => Verdict::Drop(Flaw::Time),
    };
    Ok((len, verdict))
}

/// Appends a checked entry with another time to `out`.
///
/// # Errors
/// Never for an entry that [`judge`] kept.
pub(crate) fn retime(out: &mut Vec<u8>, entry: &[u8], time: Time) -> Result<(), Malformed> {
    let mut reader = Reader::new(entry);
    reader.token()?;
    let mut inside = reader.clone();
    reader.skip()?;
    let metadata = match inside.token()? {
        Token::Array(2..) => {
            inside.skip()?;
            Some(inside.value()?)
        }
        _ => None,
    };
    let record = reader.value()?;
    match metadata {
        None => write_event(out, time, record.bytes()),
        Some(metadata) => {
            write::array(out, 2);
            write::array(out, 2);
            time.write(out);
            out.extend_from_slice(metadata.bytes());
            out.extend_from_slice(record.bytes());
        }
    }
    Ok(())
}

/// A checked entry with metadata put beside its time; `None` when it has some, or cannot have this.
pub(crate) fn with_metadata(entry: &[u8], metadata: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(entry);
    let (time, None, 0) = event_header(&mut reader).ok()? else {
        return None;
    };
    let mut out = Vec::with_capacity(entry.len() + metadata.len() + 1);
    write::array(&mut out, 2);
    write::array(&mut out, 2);
    time.write(&mut out);
    out.extend_from_slice(metadata);
    out.extend_from_slice(reader.value().ok()?.bytes());
    matches!(judge(&out), Ok((_, Verdict::Keep))).then_some(out)
}

/// The time of receipt: the clock is read once per message, and only when an entry needs it.
#[derive(Debug)]
pub(crate) struct ReceiptTime {
    clock: Clock,
    now: Option<Time>,
}

impl ReceiptTime {
    /// By this clock.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, now: None }
    }

    /// The time of the message at hand.
    pub(crate) fn get(&mut self) -> Time {
        *self.now.get_or_insert_with(|| self.clock.now())
    }

    /// Another message begins.
    pub(crate) fn forget(&mut self) {
        self.now = None;
    }
}
