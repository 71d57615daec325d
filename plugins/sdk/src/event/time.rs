//! The time of an event.

use std::{
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::msgpack::{Malformed, Token};

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z. Seconds may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Whole seconds; rounded down.
    pub secs: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl Time {
    /// Reads the clock of the system.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: since.subsec_nanos(),
        }
    }

    /// Whole seconds.
    pub fn from_secs(secs: i64) -> Self {
        Self { secs, nanos: 0 }
    }

    /// Reads the time of an entry: an integer (seconds), a float (seconds), or `EventTime`
    /// (ext type 0, 8 bytes). Source: forward protocol specification v1.
    ///
    /// # Errors
    /// `UnexpectedType` for anything else.
    #[inline]
    pub fn from_token(token: Token<'_>) -> Result<Self, Malformed> {
        match token {
            Token::Ext(0, bytes) => Self::from_event_time(bytes).ok_or(Malformed::UnexpectedType),
            Token::Int(secs) => Ok(Self::from_secs(secs)),
            Token::F32(secs) => Self::from_f64(f64::from(secs)).ok_or(Malformed::UnexpectedType),
            Token::F64(secs) => Self::from_f64(secs).ok_or(Malformed::UnexpectedType),
            _ => Err(Malformed::UnexpectedType),
        }
    }

    #[inline]
    fn from_event_time(bytes: &[u8]) -> Option<Self> {
        let (secs, nanos) = bytes.split_first_chunk::<4>()?;
        let nanos = u32::from_be_bytes(nanos.try_into().ok()?);
        Some(Self {
            secs: i64::from(u32::from_be_bytes(*secs)),
            nanos: nanos.min(999_999_999),
        })
    }

    /// Seconds with a fraction; `None` when not finite or out of range.
    pub fn from_f64(secs: f64) -> Option<Self> {
        let whole = secs.floor();
        if !(-9.0e15..=9.0e15).contains(&whole) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was checked above"
        )]
        let secs_whole = whole as i64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction times 10^9 is within 0..=10^9"
        )]
        let nanos = ((secs - whole) * 1e9) as u32;
        Some(Self {
            secs: secs_whole,
            nanos: nanos.min(999_999_999),
        })
    }

    /// Appends `EventTime`, or an integer when the seconds do not fit in 32 unsigned bits.
    pub fn write(self, out: &mut Vec<u8>) {
        if let Ok(secs) = u32::try_from(self.secs) {
            out.extend_from_slice(&[0xd7, 0x00]);
            out.extend_from_slice(&secs.to_be_bytes());
            out.extend_from_slice(&self.nanos.to_be_bytes());
        } else {
            crate::msgpack::write::int(out, self.secs);
        }
    }
}

/// A time as in RFC 3339, such as `2026-01-31T12:00:00.5+01:00`.
impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at: jiff::Timestamp = text.parse().map_err(|_| {
            format!("{text:?} is not a time; write it as in RFC 3339, such as 2026-01-31T12:00:00Z")
        })?;
        // Before 1970 the fraction counts backwards there.
        let fraction = at.subsec_nanosecond();
        Ok(Self {
            secs: at.as_second() - i64::from(fraction < 0),
            nanos: fraction.rem_euclid(1_000_000_000).unsigned_abs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn text_is_read_as_in_rfc_3339() {
        let read = |text: &str| {
            let time: Result<Time, String> = text.parse();
            time.map(|time| (time.secs, time.nanos))
        };
        assert_eq!(read("1970-01-01T01:00:01.5+01:00"), Ok((1, 500_000_000)));
        assert_eq!(read("1969-12-31T23:59:59.25Z"), Ok((-1, 250_000_000)));
        assert_eq!(read("1969-12-31T23:59:58Z"), Ok((-2, 0)));
        assert!(read("yesterday").is_err_and(|said| said.contains("RFC 3339")));
    }
}
