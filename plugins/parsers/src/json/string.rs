//! Strings of JSON: found eight bytes at a time, and unescaped in place.

use sdk::msgpack::write;

/// The lowest bit of each byte of a word.
const LOWS: u64 = u64::MAX / 0xff;
/// The highest bit of each byte of a word.
const HIGHS: u64 = LOWS << 7;

/// Writes the string whose first byte, behind the quote, begins `text`. Returns the length of it with its quote.
#[inline]
pub(crate) fn write(text: &[u8], out: &mut Vec<u8>) -> Result<usize, &'static str> {
    let plain = plain(text);
    match text.get(plain) {
        Some(b'"') => {
            write::str_bytes(out, text.get(..plain).unwrap_or_default());
            Ok(plain + 1)
        }
        Some(b'\\') => escaped(text, plain, out),
        Some(_) => Err("a control character stands in a string"),
        None => Err("a string does not end"),
    }
}

/// How many bytes stand before the first quote, backslash or control character.
#[inline]
fn plain(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // A byte that becomes too small borrows from its highest bit; a borrow that goes further only marks bytes
        // behind a mark, and the first mark counts.
        let control = word.wrapping_sub(LOWS * 0x20);
        let quote = (word ^ (LOWS * 0x22)).wrapping_sub(LOWS);
        let backslash = (word ^ (LOWS * 0x5c)).wrapping_sub(LOWS);
        let marks = (control | quote | backslash) & !word & HIGHS;
        if marks != 0 {
            let byte = usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0);
            return index * 8 + byte;
        }
    }
    let done = words.len() * 8;
    let rest = text.get(done..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    done + end.unwrap_or(rest.len())
}

/// Writes a string with escapes, of which the first stands at `at`.
fn escaped(text: &[u8], mut at: usize, out: &mut Vec<u8>) -> Result<usize, &'static str> {
    let start = out.len();
    // The text can only become shorter, so its header fits in five bytes; it is put right at the end.
    out.extend_from_slice(&[0; HEADER_MAX]);
    out.extend_from_slice(text.get(..at).unwrap_or_default());
    loop {
        match text.get(at) {
            Some(b'"') => break,
            Some(b'\\') => at = escape(text, at + 1, out)?,
            Some(0..0x20) => return Err("a control character stands in a string"),
            Some(_) => {
                let rest = text.get(at..).unwrap_or_default();
                let len = plain(rest);
                out.extend_from_slice(rest.get(..len).unwrap_or_default());
                at += len;
            }
            None => return Err("a string does not end"),
        }
    }
    let len = out.len() - start - HEADER_MAX;
    let [b0, b1, b2, b3] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    let header: &[u8] = match len {
        0..=31 => &[0xa0 | b3],
        32..=0xff => &[0xd9, b3],
        0x100..=0xffff => &[0xda, b2, b3],
        _ => &[0xdb, b0, b1, b2, b3],
    };
    let surplus = HEADER_MAX - header.len();
    out.copy_within(start + HEADER_MAX.., start + HEADER_MAX - surplus);
    out.truncate(out.len() - surplus);
    if let Some(slot) = out.get_mut(start..start + header.len()) {
        slot.copy_from_slice(header);
    }
    Ok(at + 1)
}

/// The longest header of a str.
const HEADER_MAX: usize = 5;

/// Writes what the escape behind the backslash before `at` stands for, and returns where it ends.
fn escape(text: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, &'static str> {
    let plain = match text.get(at) {
        Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'u') => return unicode(text, at + 1, out),
        _ => return Err("an escape is unknown"),
    };
    out.push(plain);
    Ok(at + 1)
}

/// Half of a character beyond the basic plane without its other half becomes U+FFFD.
fn unicode(text: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, &'static str> {
    let unit = hex(text, at).ok_or("an escape is not four hexadecimal digits")?;
    let mut end = at + 4;
    let mut code = unit;
    if (0xd800..0xdc00).contains(&unit)
        && text.get(end..end + 2) == Some(b"\\u")
        && let Some(low) = hex(text, end + 2).filter(|low| (0xdc00..0xe000).contains(low))
    {
        code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        end += 6;
    }
    let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(end)
}

fn hex(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..at + 4)?.iter().try_fold(0, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value * 16 + digit)
    })
}
