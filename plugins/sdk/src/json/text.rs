//! Strings: sixteen bytes at a time are stored first and looked at afterwards.

use super::stage::Stage;

/// Bytes that are looked at in one step.
const BLOCK: usize = 16;
/// The highest bit of each byte of a block.
const HIGHS: u128 = u128::from_le_bytes([0x80; BLOCK]);

/// A mark in the lane of each byte that is not plain ASCII text of a JSON string.
#[inline]
fn not_plain(block: &[u8; BLOCK]) -> u128 {
    marks(block, |byte| byte.cast_signed() < 0x20)
}

/// A mark in the lane of each byte that must be escaped.
#[inline]
fn escaped(block: &[u8; BLOCK]) -> u128 {
    marks(block, |byte| byte < 0x20)
}

/// Compiles to a few vector instructions.
#[inline]
fn marks(block: &[u8; BLOCK], low: impl Fn(u8) -> bool) -> u128 {
    let mut lanes = [0_u8; BLOCK];
    for (lane, byte) in lanes.iter_mut().zip(block) {
        // `|` on numbers, because a branch per byte would keep the compiler from using vectors.
        let marked = u8::from(low(*byte)) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
        *lane = marked.wrapping_neg();
    }
    u128::from_le_bytes(lanes)
}

/// The sixteen bytes of `source` from `from` on, filled up with zeros at its end.
#[inline]
fn block(source: &[u8], from: usize) -> [u8; BLOCK] {
    let rest = source.get(from..).unwrap_or_default();
    match rest.first_chunk::<BLOCK>() {
        Some(block) => *block,
        None => padded(rest),
    }
}

#[cold]
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(rest) {
        *to = *from;
    }
    block
}

/// Writes `text` between quotes. `source` begins with `text` and may go on behind it; what is there is looked
/// at but not written.
#[inline]
pub(super) fn quoted(
    stage: &mut Stage,
    at: usize,
    out: &mut Vec<u8>,
    text: &[u8],
    source: &[u8],
) -> usize {
    let at = stage.room(at, out);
    let at = stage.put(at, b"\"");
    let at = contents(stage, at, out, text, source);
    stage.put(at, b"\"")
}

/// The text between the quotes. Leaves most of the room for what follows.
#[inline]
pub(super) fn contents(
    stage: &mut Stage,
    mut at: usize,
    out: &mut Vec<u8>,
    text: &[u8],
    source: &[u8],
) -> usize {
    let len = text.len();
    let mut from = 0;
    while from < len {
        at = stage.room(at, out);
        let block = block(source, from);
        stage.store(at, &block);
        let kept = (len - from).min(BLOCK);
        let marked = not_plain(&block);
        let plain = (marked.trailing_zeros() / 8) as usize;
        if plain >= kept {
            at += kept;
            from += kept;
            continue;
        }
        at += plain;
        from += plain;
        let byte = text.get(from).copied().unwrap_or_default();
        if byte >= 0x80 {
            return beyond_ascii(stage, at, out, text.get(from..).unwrap_or_default());
        }
        at = escape(stage, at, byte);
        from += 1;
    }
    at
}

/// Goes on where the first byte above ASCII was met.
fn beyond_ascii(stage: &mut Stage, mut at: usize, out: &mut Vec<u8>, text: &[u8]) -> usize {
    if simdutf8::basic::from_utf8(text).is_ok() {
        return checked(stage, at, out, text);
    }
    for chunk in text.utf8_chunks() {
        at = checked(stage, at, out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            at = stage.room(at, out);
            at = stage.put(at, b"\xef\xbf\xbd");
        }
    }
    at
}

/// Text that is known to be UTF-8.
fn checked(stage: &mut Stage, mut at: usize, out: &mut Vec<u8>, text: &[u8]) -> usize {
    let mut from = 0;
    while from < text.len() {
        at = stage.room(at, out);
        let block = block(text, from);
        stage.store(at, &block);
        let kept = (text.len() - from).min(BLOCK);
        let plain = (escaped(&block).trailing_zeros() / 8) as usize;
        if plain >= kept {
            at += kept;
            from += kept;
            continue;
        }
        at += plain;
        from += plain;
        at = escape(stage, at, text.get(from).copied().unwrap_or_default());
        from += 1;
    }
    at
}

/// Writes one byte that JSON does not take as it is (RFC 8259, section 7).
#[inline]
fn escape(stage: &mut Stage, at: usize, byte: u8) -> usize {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\t' => b't',
        b'\r' => b'r',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let digit = |nibble: u8| {
                if nibble < 10 {
                    b'0' + nibble
                } else {
                    b'a' + nibble - 10
                }
            };
            return stage.put(
                at,
                &[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(byte >> 4),
                    digit(byte & 0x0f),
                ],
            );
        }
    };
    stage.put(at, &[b'\\', short])
}

/// A number that is the same for equal text and nearly always differs for other text. `source` as above.
#[inline]
pub(super) fn fingerprint(text: &[u8], source: &[u8]) -> u32 {
    let len = text.len();
    let head = u128::from_le_bytes(block(source, 0));
    let folded = if len < BLOCK {
        head & first_bytes(len)
    } else {
        head ^ u128::from_le_bytes(block(text, len - BLOCK)).rotate_left(43)
    };
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    let mixed = half(folded) ^ half(folded >> 64).rotate_left(29) ^ len as u64;
    let spread = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(spread >> 32).unwrap_or_default()
}

/// Whether `text` is ASCII. `source` as above.
#[inline]
pub(super) fn is_ascii(text: &[u8], source: &[u8]) -> bool {
    if text.len() < BLOCK {
        u128::from_le_bytes(block(source, 0)) & first_bytes(text.len()) & HIGHS == 0
    } else {
        text.is_ascii()
    }
}

/// Whether `text` has a dot. `source` as above.
#[inline]
pub(super) fn has_dot(text: &[u8], source: &[u8]) -> bool {
    if text.len() < BLOCK {
        let mut lanes = block(source, 0);
        for lane in &mut lanes {
            *lane = u8::from(*lane == b'.');
        }
        u128::from_le_bytes(lanes) & first_bytes(text.len()) != 0
    } else {
        memchr::memchr(b'.', text).is_some()
    }
}

/// All bits of the first `len` bytes of a block; `len` is below sixteen.
#[inline]
fn first_bytes(len: usize) -> u128 {
    !(u128::MAX << (8 * (len % BLOCK)))
}
