//! What must become of an entry, written down a second time and without a hurry.
//!
//! Source: the forward protocol specification v1, and the conformance cases in the vectors of `forward_protocol`.

use forward_protocol::Flaw;

/// The time of receipt in every run, in seconds and nanoseconds.
pub(crate) const NOW: (i64, u32) = (1_800_000_000, 5);

/// From the year 1 to the end of the year 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Above this, a number counts milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_001;
/// Fluent Bit's marks of the end and of the start of a group.
const MARKERS: std::ops::RangeInclusive<i64> = 0xffff_fffe..=0xffff_ffff;

/// What stands where the time should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// Seconds and nanoseconds.
    At(i64, u32),
    /// nil
    Nil,
    /// No time.
    Other,
}

/// What becomes of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays, byte for byte.
    Keep,
    /// It stays with this time.
    Retime(i64, u32),
    /// It goes without a trace.
    Marker,
    /// It goes and is counted.
    Drop(Flaw),
}

/// The fate of `[time, record]` or `[[time, metadata], record]`.
pub(crate) fn fate(reading: Reading, has_metadata: bool, is_map: bool) -> Fate {
    match reading {
        Reading::Nil | Reading::At(..) if !is_map => Fate::Drop(Flaw::Record),
        Reading::Nil | Reading::At(0, _) => Fate::Retime(NOW.0, NOW.1),
        Reading::At(secs, 0) if has_metadata && MARKERS.contains(&secs) => Fate::Marker,
        Reading::At(millis @ MILLISECONDS_FROM.., below) => {
            let nanos = u32::try_from(millis % 1_000).unwrap_or_default() * 1_000_000;
            match millis / 1_000 {
                secs if SECONDS.contains(&secs) => Fate::Retime(secs, nanos + below / 1_000),
                _ => Fate::Drop(Flaw::Time),
            }
        }
        Reading::At(secs, _) if SECONDS.contains(&secs) => Fate::Keep,
        Reading::At(..) | Reading::Other => Fate::Drop(Flaw::Time),
    }
}

/// Reads a float as a time.
pub(crate) fn of_float(seconds: f64) -> Reading {
    let whole = seconds.floor();
    if !(-9e15..=9e15).contains(&whole) {
        return Reading::Other;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked above"
    )]
    let (secs, nanos) = (whole as i64, ((seconds - whole) * 1e9) as i64);
    let nanos = u32::try_from(nanos.min(999_999_999)).unwrap_or_default();
    Reading::At(secs, nanos)
}

/// An entry written anew: with the time as an `EventTime` where that holds it.
pub(crate) fn rewritten(secs: i64, nanos: u32, metadata: Option<&[u8]>, record: &[u8]) -> Vec<u8> {
    let mut out = vec![0x92];
    if metadata.is_some() {
        out.push(0x92);
    }
    match u32::try_from(secs) {
        Ok(secs) => {
            out.extend_from_slice(&[0xd7, 0]);
            out.extend_from_slice(&secs.to_be_bytes());
            out.extend_from_slice(&nanos.to_be_bytes());
        }
        Err(_) => {
            // Writing into memory cannot fail.
            let _written = rmp::encode::write_sint(&mut out, secs);
        }
    }
    out.extend_from_slice(metadata.unwrap_or_default());
    out.extend_from_slice(record);
    out
}
