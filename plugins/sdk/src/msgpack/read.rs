//! A cursor over MessagePack bytes that hands out one token at a time.

use super::{Malformed, RawValue, skip::length};

/// One marker with its payload. `Array` and `Map` announce how many values (pairs) follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<'a> {
    /// nil
    Nil,
    /// true or false
    Bool(bool),
    /// Every integer that fits in 64 bits with a sign.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// 32-bit float
    F32(f32),
    /// 64-bit float
    F64(f64),
    /// Bytes of type str; not checked to be UTF-8.
    Str(&'a [u8]),
    /// Bytes of type bin.
    Bin(&'a [u8]),
    /// Extension: its type and its bytes.
    Ext(i8, &'a [u8]),
    /// Number of items that follow.
    Array(u32),
    /// Number of key-value pairs that follow.
    Map(u32),
}

/// A cursor. Every method leaves the cursor where it was when it fails.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `buf`.
    pub fn new(buf: &'a [u8]) -> Self {
        Self { buf, at: 0 }
    }

    /// Starts at an offset of `buf`, which must be the first byte of a value.
    pub fn starting_at(buf: &'a [u8], at: usize) -> Self {
        Self { buf, at }
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.buf.get(self.at..).unwrap_or_default()
    }

    /// Reads a str of at most 255 bytes, which most keys and values are, with everything from its first byte on.
    /// `None` when something else comes next; the cursor stays.
    #[inline]
    pub fn short_str(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let marker = *self.buf.get(self.at)?;
        let (header, len) = match marker {
            0xa0..=0xbf => (1, marker & 0x1f),
            0xd9 => (2, *self.buf.get(self.at + 1)?),
            _ => return None,
        };
        let tail = self.buf.get(self.at + header..)?;
        let text = tail.get(..usize::from(len))?;
        self.at += header + text.len();
        Some((text, tail))
    }

    /// What stands at `at` and behind, read or not.
    #[inline]
    pub fn tail(&self, at: usize) -> &'a [u8] {
        self.buf.get(at..).unwrap_or_default()
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.at >= self.buf.len()
    }

    /// Reads one token.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>, Malformed> {
        let marker = *self.buf.get(self.at).ok_or(Malformed::Truncated)?;
        let body = self.at + 1;
        let (token, end) = match marker {
            0x00..=0x7f => (Token::Int(i64::from(marker)), body),
            0xe0..=0xff => (Token::Int(i64::from(marker.cast_signed())), body),
            0xa0..=0xbf => self.text(body, usize::from(marker & 0x1f))?,
            0x80..=0x8f => (Token::Map(u32::from(marker & 0x0f)), body),
            0x90..=0x9f => (Token::Array(u32::from(marker & 0x0f)), body),
            0xc0 => (Token::Nil, body),
            0xc2 => (Token::Bool(false), body),
            0xc3 => (Token::Bool(true), body),
            0xd9 => self.text(body + 1, length(self.buf, body, 1)?)?,
            0xda => self.text(body + 2, length(self.buf, body, 2)?)?,
            0xdb => self.text(body + 4, length(self.buf, body, 4)?)?,
            _ => self.rare(marker, body)?,
        };
        self.at = end;
        Ok(token)
    }

    /// The slice of one whole value, containers included.
    #[inline]
    pub fn value(&mut self) -> Result<RawValue<'a>, Malformed> {
        let end = super::skip(self.buf, self.at)?;
        let raw = self.buf.get(self.at..end).ok_or(Malformed::Truncated)?;
        self.at = end;
        Ok(RawValue::from_checked(raw))
    }

    /// Steps over one whole value.
    #[inline]
    pub fn skip(&mut self) -> Result<(), Malformed> {
        self.at = super::skip(self.buf, self.at)?;
        Ok(())
    }

    #[inline]
    fn text(&self, at: usize, len: usize) -> Result<(Token<'a>, usize), Malformed> {
        Ok((Token::Str(self.bytes(at, len)?), at + len))
    }

    #[inline]
    fn bytes(&self, at: usize, len: usize) -> Result<&'a [u8], Malformed> {
        self.buf.get(at..at + len).ok_or(Malformed::Truncated)
    }

    #[inline]
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Malformed> {
        self.buf
            .get(at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .ok_or(Malformed::Truncated)
    }

    fn rare(&self, marker: u8, body: usize) -> Result<(Token<'a>, usize), Malformed> {
        Ok(match marker {
            0xcc => (
                Token::Int(i64::from(u8::from_be_bytes(self.array(body)?))),
                body + 1,
            ),
            0xcd => (
                Token::Int(i64::from(u16::from_be_bytes(self.array(body)?))),
                body + 2,
            ),
            0xce => (
                Token::Int(i64::from(u32::from_be_bytes(self.array(body)?))),
                body + 4,
            ),
            0xcf => {
                let value = u64::from_be_bytes(self.array(body)?);
                (
                    i64::try_from(value).map_or(Token::UInt(value), Token::Int),
                    body + 8,
                )
            }
            0xd0 => (
                Token::Int(i64::from(i8::from_be_bytes(self.array(body)?))),
                body + 1,
            ),
            0xd1 => (
                Token::Int(i64::from(i16::from_be_bytes(self.array(body)?))),
                body + 2,
            ),
            0xd2 => (
                Token::Int(i64::from(i32::from_be_bytes(self.array(body)?))),
                body + 4,
            ),
            0xd3 => (Token::Int(i64::from_be_bytes(self.array(body)?)), body + 8),
            0xca => (Token::F32(f32::from_be_bytes(self.array(body)?)), body + 4),
            0xcb => (Token::F64(f64::from_be_bytes(self.array(body)?)), body + 8),
            0xc4..=0xc6 => {
                let width = 1 << (marker - 0xc4);
                let len = length(self.buf, body, width)?;
                (
                    Token::Bin(self.bytes(body + width, len)?),
                    body + width + len,
                )
            }
            0xc7..=0xc9 => {
                let width = 1 << (marker - 0xc7);
                self.extension(body + width, length(self.buf, body, width)?)?
            }
            0xd4..=0xd8 => self.extension(body, 1 << (marker - 0xd4))?,
            0xdc | 0xdd => {
                let width = if marker == 0xdc { 2 } else { 4 };
                (Token::Array(self.count(body, width)?), body + width)
            }
            0xde | 0xdf => {
                let width = if marker == 0xde { 2 } else { 4 };
                (Token::Map(self.count(body, width)?), body + width)
            }
            _ => return Err(Malformed::Reserved),
        })
    }

    fn extension(&self, at: usize, len: usize) -> Result<(Token<'a>, usize), Malformed> {
        let kind = i8::from_be_bytes(self.array(at)?);
        Ok((Token::Ext(kind, self.bytes(at + 1, len)?), at + 1 + len))
    }

    fn count(&self, at: usize, width: usize) -> Result<u32, Malformed> {
        u32::try_from(length(self.buf, at, width)?).map_err(|_| Malformed::Truncated)
    }
}
