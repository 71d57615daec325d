//! From JSON text to MessagePack in one pass, without a value tree.
//!
//! Numbers keep all 64 bits: an integer that an i64 or a u64 holds is one, any other number becomes the nearest 64-bit
//! float, as in `serde_json`. Keys that occur twice are written twice, in order. Text that is not UTF-8 stays as it is.

use sdk::{
    msgpack::{DEPTH_MAX, write},
    parser::ParseError,
};

use super::string;
use crate::fields::{Map, header};

/// A cursor over JSON text.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn blanks(&mut self) -> Option<u8> {
        loop {
            match self.peek()? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                other => return Some(other),
            }
        }
    }

    /// Steps into the object that must come next.
    pub(crate) fn begin_object(&mut self) -> Result<(), ParseError> {
        match self.blanks() {
            Some(b'{') => {
                self.at += 1;
                Ok(())
            }
            _ => Err(ParseError::new("the text is not a JSON object")),
        }
    }

    /// Steps to the key of the next pair, or out of the object: then false.
    #[inline]
    pub(crate) fn next_pair(&mut self, is_first: bool) -> Result<bool, ParseError> {
        if self.next_item(is_first, b'}')? {
            match self.peek() {
                Some(b'"') => return Ok(true),
                _ => return Err(self.flaw("a key in quotes was expected")),
            }
        }
        Ok(false)
    }

    #[inline]
    fn next_item(&mut self, is_first: bool, end: u8) -> Result<bool, ParseError> {
        match self.blanks() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if is_first => Ok(true),
            Some(b',') => {
                self.at += 1;
                match self.blanks() {
                    Some(byte) if byte != end => Ok(true),
                    _ => Err(self.flaw("nothing follows a comma")),
                }
            }
            Some(_) => Err(self.flaw("a comma was expected")),
            None => Err(self.flaw("an object or array does not end")),
        }
    }

    /// Writes the key that comes next and steps over its colon.
    #[inline]
    pub(crate) fn key(&mut self, out: &mut Vec<u8>) -> Result<(), ParseError> {
        self.string(out)?;
        match self.blanks() {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.flaw("a colon was expected")),
        }
    }

    /// Only blanks may come from here on.
    pub(crate) fn end(&mut self) -> Result<(), ParseError> {
        match self.blanks() {
            None => Ok(()),
            Some(_) => Err(self.flaw("more text follows the value")),
        }
    }

    /// Writes the value that comes next. `depth` counts the arrays and maps around it.
    pub(crate) fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), ParseError> {
        match self.blanks() {
            Some(b'"') => self.string(out),
            Some(b'-' | b'0'..=b'9') => self.number(out),
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b't') => self.word(b"true", |out| write::bool(out, true), out),
            Some(b'f') => self.word(b"false", |out| write::bool(out, false), out),
            Some(b'n') => self.word(b"null", write::nil, out),
            Some(_) => Err(self.flaw("no JSON value begins here")),
            None => Err(self.flaw("a value was expected")),
        }
    }

    fn word(
        &mut self,
        word: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.flaw("no JSON value begins here"));
        }
        self.at += word.len();
        write(out);
        Ok(())
    }

    #[inline]
    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), ParseError> {
        let from = self.at + 1;
        match string::write(self.text.get(from..).unwrap_or_default(), out) {
            Ok(len) => {
                self.at = from + len;
                Ok(())
            }
            Err(reason) => Err(self.flaw(reason)),
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), ParseError> {
        self.at += 1;
        let mut is_first = true;
        let mut map = Map::begin(out);
        while self.next_pair(is_first)? {
            self.check_depth(depth)?;
            is_first = false;
            self.key(out)?;
            self.value(out, depth + 1)?;
            map.count();
        }
        map.end(out);
        Ok(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), ParseError> {
        self.at += 1;
        let start = out.len();
        out.push(0x90);
        let mut count = 0;
        while self.next_item(count == 0, b']')? {
            self.check_depth(depth)?;
            self.value(out, depth + 1)?;
            count += 1;
        }
        header(out, start, count, 0x90, 0xdc);
        Ok(())
    }

    fn check_depth(&self, depth: usize) -> Result<(), ParseError> {
        if depth >= DEPTH_MAX {
            return Err(self.flaw(&format!("it is nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), ParseError> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let value = self.digits();
        let digits = self.at - first;
        if digits == 0 || (digits > 1 && self.text.get(first) == Some(&b'0')) {
            return Err(self.flaw("a number does not begin so"));
        }
        let mut is_float = false;
        if self.peek() == Some(b'.') {
            is_float = true;
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_float = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        match value.filter(|_| !is_float) {
            Some(value) if !negative => {
                write::uint(out, value);
                return Ok(());
            }
            Some(value) if (1..=i64::MIN.unsigned_abs()).contains(&value) => {
                write::int(out, 0_i64.wrapping_sub_unsigned(value));
                return Ok(());
            }
            _ => {}
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let float = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        match float.filter(|float| float.is_finite()) {
            Some(float) => {
                write::f64(out, float);
                Ok(())
            }
            None => Err(self.flaw("a number is out of range")),
        }
    }

    /// Steps over digits; `None` when 64 bits do not hold the number.
    #[inline]
    fn digits(&mut self) -> Option<u64> {
        let mut value = Some(0_u64);
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            let digit = u64::from(byte - b'0');
            value = value
                .and_then(|value| value.checked_mul(10))
                .and_then(|value| value.checked_add(digit));
            self.at += 1;
        }
        value
    }

    fn some_digits(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let _value = self.digits();
        if self.at == start {
            return Err(self.flaw("a number breaks off"));
        }
        Ok(())
    }

    /// What is wrong, and where: never what the text holds.
    #[cold]
    fn flaw(&self, what: &str) -> ParseError {
        ParseError::new(format!("not JSON at byte {}: {what}", self.at))
    }
}
