//! Writing the fields of one record straight to MessagePack, with the common rules applied.

use sdk::{
    event::Time,
    msgpack::{Reader, Token, write},
    parser::ParseError,
};

use crate::{
    json::Scan,
    rules::{Column, Rules},
};

/// A map that is being written. Its header is put right when the number of its pairs is known.
#[derive(Debug)]
pub(crate) struct Map {
    start: usize,
    count: u32,
}

impl Map {
    /// Begins a map at the end of `out`.
    #[inline]
    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(0x80);
        Self { start, count: 0 }
    }

    /// Counts a pair that was written.
    #[inline]
    pub(crate) fn count(&mut self) {
        self.count += 1;
    }

    /// Writes the header.
    #[inline]
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        header(out, self.start, self.count, 0x80, 0xde);
    }
}

/// Puts the header of a map or an array right, whose first byte stands at `start`.
#[inline]
pub(crate) fn header(out: &mut Vec<u8>, start: usize, count: u32, fix: u8, wide: u8) {
    let [b0, b1, b2, b3] = count.to_be_bytes();
    match count {
        0..=15 => {
            if let Some(first) = out.get_mut(start) {
                *first = fix | b3;
            }
        }
        16..=0xffff => drop(out.splice(start..=start, [wide, b2, b3])),
        _ => drop(out.splice(start..=start, [wide + 1, b0, b1, b2, b3])),
    }
}

/// The fields of one record.
#[derive(Debug)]
pub(crate) struct Fields<'r, 'o> {
    rules: &'r Rules,
    out: &'o mut Vec<u8>,
    map: Map,
    time: Option<Time>,
}

impl<'r, 'o> Fields<'r, 'o> {
    #[inline]
    pub(crate) fn begin(rules: &'r Rules, out: &'o mut Vec<u8>) -> Self {
        let map = Map::begin(out);
        Self {
            rules,
            out,
            map,
            time: None,
        }
    }

    /// A field of text whose name was known before.
    ///
    /// # Errors
    /// It should be a time and is none.
    #[inline]
    pub(crate) fn column(&mut self, column: &Column, text: &[u8]) -> Result<(), ParseError> {
        if column.is_time {
            self.time = Some(self.rules.time_of_text(text)?);
            if !self.rules.keeps_time_key() {
                return Ok(());
            }
        }
        self.out.extend_from_slice(&column.key);
        self.rules.write_text(self.out, text, column.convert);
        self.map.count();
        Ok(())
    }

    /// A number whose name was known before. Types do not apply to it.
    #[inline]
    pub(crate) fn number(&mut self, column: &Column, number: u64) {
        self.out.extend_from_slice(&column.key);
        write::uint(self.out, number);
        self.map.count();
    }

    /// A field without a value.
    #[inline]
    pub(crate) fn nil(&mut self, column: &Column) {
        self.out.extend_from_slice(&column.key);
        write::nil(self.out);
        self.map.count();
    }

    /// A pair that no rule is about.
    #[inline]
    pub(crate) fn raw(&mut self, key: &[u8], value: &[u8]) {
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(value);
        self.map.count();
    }

    /// Ends the record and returns its time, where it has one.
    #[inline]
    pub(crate) fn end(self) -> Option<Time> {
        self.map.end(self.out);
        self.time
    }

    /// A field of text.
    ///
    /// # Errors
    /// It should be a time and is none.
    #[inline]
    pub(crate) fn text(&mut self, key: &[u8], text: &[u8]) -> Result<(), ParseError> {
        self.value(key, |out| write::str_bytes(out, text))
    }

    /// A field whose value `write` appends.
    ///
    /// # Errors
    /// It should be a time and is none.
    #[inline]
    pub(crate) fn value(
        &mut self,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ParseError> {
        let before = self.out.len();
        write::str_bytes(self.out, key);
        let from = self.out.len();
        write(self.out);
        self.settle(before, from, key)
    }

    /// The field that comes next in JSON text.
    ///
    /// # Errors
    /// The text is no JSON, or the field should be a time and is none.
    #[inline]
    pub(crate) fn scanned(&mut self, scan: &mut Scan<'_>) -> Result<(), ParseError> {
        let before = self.out.len();
        scan.key(self.out)?;
        let from = self.out.len();
        scan.value(self.out, 1)?;
        if self.rules.is_blind() {
            self.map.count();
            return Ok(());
        }
        self.settle_written(before, from)
    }

    /// The same for a pair whose key is only written down in `out`.
    fn settle_written(&mut self, before: usize, from: usize) -> Result<(), ParseError> {
        let key = self.out.get(before..from).unwrap_or_default();
        let key = match Reader::new(key).token() {
            Ok(Token::Str(key)) => key,
            _ => &[],
        };
        if self.rules.is_plain() && !self.rules.is_time(key) {
            self.map.count();
            return Ok(());
        }
        let key = key.to_vec();
        self.settle(before, from, &key)
    }

    /// Applies the rules to a pair that stands at the end of `out`: its key from `before` on, its value from `from` on.
    ///
    /// # Errors
    /// It should be a time and is none.
    #[inline]
    fn settle(&mut self, before: usize, from: usize, key: &[u8]) -> Result<(), ParseError> {
        if self.rules.is_time(key) {
            let written = self.out.get(from..).unwrap_or_default();
            if let Some(time) = self.rules.time_of_value(written)? {
                self.time = Some(time);
                if !self.rules.keeps_time_key() {
                    self.out.truncate(before);
                    return Ok(());
                }
            }
        }
        if !self.rules.is_plain() {
            self.rules.retype(self.out, from, key);
        }
        self.map.count();
        Ok(())
    }
}
