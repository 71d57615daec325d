//! Times in RFC 3339, as runtimes write them: the minute is read once, the rest of it digit by digit.

use sdk::event::Time;

/// Bytes of `2026-01-31T12:00`.
const MINUTE_BYTES: usize = 16;

/// Reads times, and remembers the last minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    minute: [u8; MINUTE_BYTES],
    /// Seconds since 1970 at which the minute began, were its zone UTC.
    secs: i64,
    is_known: bool,
}

impl Times {
    /// `None` when it is no time.
    #[inline]
    pub(crate) fn read(&mut self, text: &[u8]) -> Option<Time> {
        let (minute, rest) = text.split_first_chunk::<MINUTE_BYTES>()?;
        if !self.is_known || *minute != self.minute {
            self.learn(minute)?;
        }
        let (&[b':', tens, ones], rest) = rest.split_first_chunk::<3>()? else {
            return None;
        };
        let secs = digit(tens)? * 10 + digit(ones)?;
        if secs > 60 {
            return None;
        }
        let (nanos, zone) = fraction(rest)?;
        Some(Time {
            secs: self.secs + i64::from(secs.min(59)) - offset_secs(zone)?,
            nanos,
        })
    }

    #[cold]
    fn learn(&mut self, minute: &[u8; MINUTE_BYTES]) -> Option<()> {
        let text = std::str::from_utf8(minute).ok()?;
        let time: Time = format!("{text}:00Z").parse().ok()?;
        self.minute = *minute;
        self.secs = time.secs;
        self.is_known = true;
        Some(())
    }
}

#[inline]
fn digit(byte: u8) -> Option<u32> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(u32::from(value))
}

/// Nanoseconds, and what stands behind them.
#[inline]
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let (mut nanos, mut unit) = (0, 100_000_000);
    let mut rest = digits;
    while let Some((first, more)) = rest.split_first()
        && let Some(value) = digit(*first)
    {
        nanos += value * unit;
        unit /= 10;
        rest = more;
    }
    (rest.len() < digits.len()).then_some((nanos, rest))
}

/// Seconds that a zone is ahead of UTC.
#[inline]
fn offset_secs(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h, o, b':', m, n] => {
            let hours = digit(*h)? * 10 + digit(*o)?;
            let minutes = digit(*m)? * 10 + digit(*n)?;
            let secs = i64::from(hours * 3600 + minutes * 60);
            Some(if *sign == b'-' { -secs } else { secs })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_slow_way_reads_them() {
        let mut times = Times::default();
        for text in [
            "2026-01-31T12:00:05.123456789Z",
            "2026-01-31T12:00:06.5Z",
            "2026-01-31T12:00:07Z",
            "2026-02-28T23:59:59.999999999+09:00",
            "2026-02-28T23:59:59.000000001-03:30",
        ] {
            assert_eq!(times.read(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00",
            "2026-01-31T12:00:05",
            "2026-01-31T12:00:5Z",
            "2026-01-31T12:00:05.Z",
            "2026-13-31T12:00:05Z",
            "2026-01-31T12:00:75Z",
            "2026-01-31T12:00:05+9:00",
        ] {
            assert_eq!(times.read(text.as_bytes()), None, "{text}");
        }
    }
}
