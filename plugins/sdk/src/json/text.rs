//! Strings: sixteen bytes at a time are stored first and looked at afterwards.

use super::stage::Stage;

/// Bytes that are looked at in one step, as two words.
const BLOCK: usize = 16;
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

/// Whether none of the first `kept` bytes gets a mark.
#[inline]
fn is_plain(block: &[u8; BLOCK], kept: usize, marks: impl Fn(u64) -> u64) -> bool {
    let [low, high] = words(block);
    let [low_kept, high_kept] = first_bytes(kept);
    (marks(low) & low_kept) | (marks(high) & high_kept) == 0
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
        if is_plain(&block, text.len(), marks) {
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
        let block = block(source, from);
        stage.store(at, &block);
        let kept = (text.len() - from).min(BLOCK);
        if is_plain(&block, kept, marks) {
            at += kept;
            from += kept;
        } else {
            (at, from) = with_care(stage, at, out, text, from);
        }
    }
    at
}

/// Writes the next block of `text` byte by byte; or all that is left, when there is more than ASCII in it.
#[cold]
fn with_care(
    stage: &mut Stage,
    mut at: usize,
    out: &mut Vec<u8>,
    text: &[u8],
    from: usize,
) -> (usize, usize) {
    let rest = text.get(from..).unwrap_or_default();
    for (index, byte) in rest.iter().take(BLOCK).enumerate() {
        match byte {
            0x80.. => {
                let rest = rest.get(index..).unwrap_or_default();
                return (beyond_ascii(stage, at, out, rest), text.len());
            }
            b'"' | b'\\' | 0..0x20 => at = escape(stage, at, *byte),
            _ => at = stage.put(at, &[*byte]),
        }
    }
    (at, from + BLOCK.min(rest.len()))
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
        if is_plain(&block, kept, escape_marks) {
            at += kept;
        } else {
            for byte in block.iter().take(kept) {
                at = match byte {
                    b'"' | b'\\' | 0..0x20 => escape(stage, at, *byte),
                    _ => stage.put(at, &[*byte]),
                };
            }
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
