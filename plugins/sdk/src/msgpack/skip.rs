//! Finding the end of a value: the pass that proves bytes well formed.

use super::{DEPTH_MAX, Malformed};

/// Returns the offset just behind the value that starts at `at`.
///
/// # Errors
/// Any [`Malformed`] but `UnexpectedType`. `Truncated` means that more bytes may help.
#[inline]
#[expect(
    clippy::indexing_slicing,
    reason = "`depth` is compared with DEPTH_MAX before a push and with 0 before a pop"
)]
pub fn skip(buf: &[u8], at: usize) -> Result<usize, Malformed> {
    let mut stack = [0_u64; DEPTH_MAX];
    let mut depth = 0_usize;
    let mut pending = 1_u64;
    let mut at = at;
    loop {
        let (next, children) = step(buf, at)?;
        at = next;
        pending -= 1;
        if children > 0 {
            if depth == DEPTH_MAX {
                return Err(Malformed::TooDeep);
            }
            stack[depth] = pending;
            depth += 1;
            pending = children;
        }
        while pending == 0 {
            if depth == 0 {
                return Ok(at);
            }
            depth -= 1;
            pending = stack[depth];
        }
    }
}

/// One marker with its scalar payload: the offset behind it and the number of values it announces.
#[inline]
fn step(buf: &[u8], at: usize) -> Result<(usize, u64), Malformed> {
    let marker = *buf.get(at).ok_or(Malformed::Truncated)?;
    let body = at + 1;
    let (end, children) = match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (body, 0),
        0xa0..=0xbf => (body + usize::from(marker & 0x1f), 0),
        0x80..=0x8f => (body, 2 * u64::from(marker & 0x0f)),
        0x90..=0x9f => (body, u64::from(marker & 0x0f)),
        0xcc | 0xd0 => (body + 1, 0),
        0xcd | 0xd1 | 0xd4 => (body + 2, 0),
        0xca | 0xce | 0xd2 => (body + 4, 0),
        0xcb | 0xcf | 0xd3 => (body + 8, 0),
        0xd5 => (body + 3, 0),
        0xd6 => (body + 5, 0),
        0xd7 => (body + 9, 0),
        0xd8 => (body + 17, 0),
        0xc4 | 0xd9 => (body + 1 + length(buf, body, 1)?, 0),
        0xc5 | 0xda => (body + 2 + length(buf, body, 2)?, 0),
        0xc6 | 0xdb => (body + 4 + length(buf, body, 4)?, 0),
        0xc7 => (body + 2 + length(buf, body, 1)?, 0),
        0xc8 => (body + 3 + length(buf, body, 2)?, 0),
        0xc9 => (body + 5 + length(buf, body, 4)?, 0),
        0xdc => (body + 2, length(buf, body, 2)? as u64),
        0xdd => (body + 4, length(buf, body, 4)? as u64),
        0xde => (body + 2, 2 * length(buf, body, 2)? as u64),
        0xdf => (body + 4, 2 * length(buf, body, 4)? as u64),
        0xc1 => return Err(Malformed::Reserved),
    };
    if end > buf.len() {
        return Err(Malformed::Truncated);
    }
    Ok((end, children))
}

/// A big-endian length of `width` bytes at `at`.
#[inline]
pub(super) fn length(buf: &[u8], at: usize, width: usize) -> Result<usize, Malformed> {
    let bytes = buf.get(at..at + width).ok_or(Malformed::Truncated)?;
    Ok(bytes
        .iter()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
}
