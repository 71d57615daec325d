//! Strings: thirty-two bytes at a time while JSON takes them as they are, and sixteen where one has to be escaped.

use super::stage::Stage;

/// Bytes that are looked at in one step, as two words.
const BLOCK: usize = 16;
/// Bytes of a long text that are looked at in one step, as vectors.
const WIDE: usize = 32;
/// The lowest bit of each byte of a word.
const LOWS: u64 = u64::MAX / 0xff;
/// The highest bit of each byte of a word.
const HIGHS: u64 = LOWS << 7;

/// All bits of the first `len` bytes of a block; all bits when it is longer than one.
#[inline]
fn first_bytes(len: usize) -> [u64; 2] {
    let word = |len: usize| u64::MAX.checked_shr(u32::try_from(64 - 8 * len.min(8)).unwrap_or(0));
    [len, len.saturating_sub(8)].map(|len| word(len).unwrap_or(0))
}

#[inline]
fn words(block: &[u8; BLOCK]) -> [u64; 2] {
    let (low, high) = block.split_at(BLOCK / 2);
    [low, high].map(|half| u64::from_le_bytes(half.first_chunk().copied().unwrap_or_default()))
}

/// Has the highest bit of each byte that JSON does not take as it is, or that is not ASCII. Subtracting borrows
/// from the highest bit of a byte that is too small; a borrow that goes further only marks bytes behind a mark.
#[inline]
fn marks(word: u64) -> u64 {
    (word | too_small(word)) & HIGHS
}

/// The same for bytes that may be above ASCII.
#[inline]
fn escape_marks(word: u64) -> u64 {
    !word & too_small(word) & HIGHS
}

#[inline]
fn too_small(word: u64) -> u64 {
    let control = word.wrapping_sub(LOWS * 0x20);
    let quote = (word ^ (LOWS * 0x22)).wrapping_sub(LOWS);
    let backslash = (word ^ (LOWS * 0x5c)).wrapping_sub(LOWS);
    control | quote | backslash
}

/// The marks of the first `kept` bytes of a block, in their highest bits.
#[inline]
fn marks_of(block: &[u8; BLOCK], kept: usize, marks: impl Fn(u64) -> u64) -> u128 {
    let [low, high] = words(block);
    let [low_kept, high_kept] = first_bytes(kept);
    u128::from(marks(low) & low_kept) | (u128::from(marks(high) & high_kept) << 64)
}

/// Whether all bytes of a wide block are as a text may have them; `is_odd` is to become a few instructions for vectors.
#[inline]
fn is_plain(wide: &[u8; WIDE], is_odd: impl Fn(u8) -> bool) -> bool {
    let odd = wide
        .iter()
        .fold(0, |odd, byte| odd | u8::from(is_odd(*byte)));
    odd == 0
}

/// The next wide block of a text, when there is one and it is plain.
#[inline]
fn plain_wide(text: &[u8], from: usize, is_odd: impl Fn(u8) -> bool) -> Option<&[u8; WIDE]> {
    let wide = text.get(from..)?.first_chunk::<WIDE>()?;
    is_plain(wide, is_odd).then_some(wide)
}

/// Whether JSON does not take a byte as it is, or it is above ASCII, which a signed comparison finds together with
/// control characters.
#[inline]
fn is_special(byte: u8) -> bool {
    byte.cast_signed() < 0x20 || byte == b'"' || byte == b'\\'
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
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

/// The text between the quotes; there must be room for a block. Leaves most of the room for what follows.
#[inline]
pub(super) fn contents(
    stage: &mut Stage,
    at: usize,
    out: &mut Vec<u8>,
    text: &[u8],
    source: &[u8],
) -> usize {
    if text.len() <= BLOCK {
        let block = block(source, 0);
        if marks_of(&block, text.len(), marks) == 0 {
            stage.store(at, &block);
            return at + text.len();
        }
    }
    by_blocks(stage, at, out, text, source)
}

fn by_blocks(
    stage: &mut Stage,
    mut at: usize,
    out: &mut Vec<u8>,
    text: &[u8],
    source: &[u8],
) -> usize {
    let mut from = 0;
    while from < text.len() {
        at = stage.room(at, out);
        if let Some(wide) = plain_wide(text, from, is_special) {
            at = stage.put(at, wide);
            from += WIDE;
            continue;
        }
        let block = block(source, from);
        let kept = (text.len() - from).min(BLOCK);
        let marks = marks_of(&block, kept, marks);
        if marks == 0 {
            stage.store(at, &block);
            at += kept;
        } else if marks & u128::from_le_bytes(block) != 0 {
            let rest = text.get(from..).unwrap_or_default();
            return beyond_ascii(stage, at, out, rest);
        } else {
            at = with_escapes(stage, at, &block, kept, marks);
        }
        from += kept;
    }
    at
}

/// Writes the first `kept` bytes of a block, of which those with a mark may have to be escaped. What stands between two of
/// them is stored as the rest of the block, over which the next one is written.
fn with_escapes(
    stage: &mut Stage,
    mut at: usize,
    block: &[u8; BLOCK],
    kept: usize,
    mut marks: u128,
) -> usize {
    let bytes = u128::from_le_bytes(*block);
    // Nothing is left behind the last byte of a block.
    let rest = |from: usize| {
        let bits = u32::try_from(8 * from).unwrap_or(u32::MAX);
        bytes.checked_shr(bits).unwrap_or(0).to_le_bytes()
    };
    let mut from = 0;
    while marks != 0 {
        let index = marks.trailing_zeros() as usize / 8;
        marks &= marks - 1;
        let byte = block.get(index).copied().unwrap_or_default();
        if needs_escape(byte) {
            stage.store(at, &rest(from));
            at = escape(stage, at + index - from, byte);
            from = index + 1;
        }
    }
    stage.store(at, &rest(from));
    at + kept - from
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
        if let Some(wide) = plain_wide(text, from, needs_escape) {
            at = stage.put(at, wide);
            from += WIDE;
            continue;
        }
        let block = block(text, from);
        let kept = (text.len() - from).min(BLOCK);
        let marks = marks_of(&block, kept, escape_marks);
        if marks == 0 {
            stage.store(at, &block);
            at += kept;
        } else {
            at = with_escapes(stage, at, &block, kept, marks);
        }
        from += kept;
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
            let digit = |nibble: u8| match nibble {
                0..10 => b'0' + nibble,
                _ => b'a' + nibble - 10,
            };
            let at = stage.put(at, b"\\u00");
            return stage.put(at, &[digit(byte >> 4), digit(byte & 0x0f)]);
        }
    };
    stage.put(at, &[b'\\', short])
}

/// What can be told of a key at a glance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    /// The same for equal text, and nearly always another for other text.
    pub(super) print: u32,
    /// Nothing above ASCII.
    pub(super) is_ascii: bool,
    /// A dot somewhere.
    pub(super) has_dot: bool,
}

/// Looks at a key. `source` as above.
#[inline]
pub(super) fn glance(text: &[u8], source: &[u8]) -> Glance {
    let len = text.len();
    let [low_kept, high_kept] = first_bytes(len);
    let [low, high] = words(&block(source, 0));
    let (low, high) = (low & low_kept, high & high_kept);
    let mut glance = Glance {
        print: 0,
        is_ascii: (low | high) & HIGHS == 0,
        has_dot: has_dot(low) | has_dot(high),
    };
    let mut mixed = low ^ high.rotate_left(29) ^ len as u64;
    if len > BLOCK {
        let [low, high] = words(&block(source, len - BLOCK));
        mixed ^= low.rotate_left(43) ^ high.rotate_left(13);
        glance.is_ascii = text.is_ascii();
        glance.has_dot = memchr::memchr(b'.', text).is_some();
    }
    let spread = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    glance.print = u32::try_from(spread >> 32).unwrap_or_default();
    glance
}

/// Whether one of eight bytes is a dot: a byte that becomes zero borrows from its highest bit.
#[inline]
fn has_dot(bytes: u64) -> bool {
    let zeroed = bytes ^ (LOWS * 0x2e);
    zeroed.wrapping_sub(LOWS) & !zeroed & HIGHS != 0
}
