//! One whole value as a slice, with look-ups that walk instead of decode.

use super::{Malformed, Reader, Token};

/// The bytes of exactly one well-formed MessagePack value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawValue<'a>(&'a [u8]);

impl<'a> RawValue<'a> {
    /// Takes bytes that are known to be one well-formed value.
    #[inline]
    pub(crate) fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Checks that `bytes` are exactly one value.
    ///
    /// # Errors
    /// [`Malformed`]; bytes left over are `UnexpectedType`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let end = super::skip(bytes, 0)?;
        if end == bytes.len() {
            Ok(Self(bytes))
        } else {
            Err(Malformed::UnexpectedType)
        }
    }

    /// The encoded bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The first token: the whole of a scalar, the header of a container.
    #[inline]
    pub fn token(self) -> Token<'a> {
        Reader::new(self.0).token().unwrap_or(Token::Nil)
    }

    /// The bytes of a str or a bin.
    #[inline]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        match self.token() {
            Token::Str(bytes) | Token::Bin(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text of a str or bin that is UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        self.as_bytes()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The value under `key` of a map; of equal keys the last one, as a Ruby hash would keep it.
    pub fn get(self, key: &[u8]) -> Option<Self> {
        self.pairs()?
            .filter(|(name, _)| name.as_bytes() == Some(key))
            .last()
            .map(|(_, value)| value)
    }

    /// The item at `index` of an array.
    pub fn item(self, index: usize) -> Option<Self> {
        self.items()?.nth(index)
    }

    /// The pairs of a map, in their order; `None` for any other type.
    pub fn pairs(self) -> Option<Pairs<'a>> {
        let mut reader = Reader::new(self.0);
        match reader.token() {
            Ok(Token::Map(left)) => Some(Pairs { reader, left }),
            _ => None,
        }
    }

    /// The items of an array; `None` for any other type.
    pub fn items(self) -> Option<Items<'a>> {
        let mut reader = Reader::new(self.0);
        match reader.token() {
            Ok(Token::Array(left)) => Some(Items { reader, left }),
            _ => None,
        }
    }
}

/// Iterator over the pairs of a map.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (RawValue<'a>, RawValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.reader.value().ok()?, self.reader.value().ok()?))
    }
}

/// Iterator over the items of an array.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = RawValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.reader.value().ok()
    }
}
