//! One field against one pattern, on the undecoded value.

use std::fmt;

use sdk::{
    config::Pattern,
    event::{FieldPath, Fields},
    json,
    msgpack::{RawValue, Token, write_text},
};

/// A field and the pattern it is compared with.
#[derive(Debug)]
pub(super) struct Condition {
    key: FieldPath,
    pattern: Pattern,
    /// Whether nil, or no field at all, matches: to Fluentd both are the empty text.
    matches_nothing: bool,
}

impl Condition {
    pub(super) fn new(key: FieldPath, pattern: Pattern) -> Self {
        let matches_nothing = pattern.is_match(b"");
        Self {
            key,
            pattern,
            matches_nothing,
        }
    }

    /// Whether the field matches. Text is matched where it stands; numbers and truth as Ruby writes them; arrays
    /// and maps as their JSON.
    #[inline]
    pub(super) fn matches(&self, fields: &Fields<'_>) -> bool {
        let Some(value) = fields.get(&self.key) else {
            return self.matches_nothing;
        };
        match value.token() {
            Token::Str(text) | Token::Bin(text) => self.matches_text(text),
            Token::Nil => self.matches_nothing,
            Token::Array(_) | Token::Map(_) => {
                let mut text = Vec::new();
                json::write_value(&mut text, value);
                self.pattern.is_match(&text)
            }
            _ => self.matches_scalar(value),
        }
    }

    /// Bytes that are not UTF-8 are tried as they are, and then, as Fluentd does, with a `?` in their place.
    #[inline]
    fn matches_text(&self, text: &[u8]) -> bool {
        self.pattern.is_match(text)
            || (std::str::from_utf8(text).is_err() && self.pattern.is_match(&scrub(text)))
    }

    fn matches_scalar(&self, value: RawValue<'_>) -> bool {
        let mut text = Short::default();
        // Every scalar fits; if one did not, what fits would be compared.
        let _cut = write_text(value, &mut text);
        self.pattern.is_match(text.as_bytes())
    }
}

fn scrub(text: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        clean.extend_from_slice(chunk.valid().as_bytes());
        clean.extend(chunk.invalid().first().map(|_| b'?'));
    }
    clean
}

/// The text of a number, without allocation.
#[derive(Debug, Default)]
struct Short {
    bytes: [u8; 32],
    len: usize,
}

impl Short {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let slot = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        slot.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
