//! Records without tables: `{"a": {"b": 1}}` becomes `{"a_b": 1}`, as Fluentd does it.

use sdk::{
    json::Unwritable,
    msgpack::{RawValue, Token, write, write_text},
};

use crate::document::{
    cuts::{Cuts, begin_map, end_map},
    refusal::Refusal,
};

/// A record may grow to this many times its size, and to [`GROWTH_FREE_BYTES`] in any case: names are repeated for
/// each field below them.
const GROWTH_MAX: usize = 16;
const GROWTH_FREE_BYTES: usize = 64 << 10;

/// Appends a record with the fields of its tables at the top, under the names of both. Lists stay, and empty tables
/// vanish. Fields in `cuts` are left out under their new names too.
///
/// # Errors
/// The record would grow too much, or has a list or a table as a key.
pub(crate) fn flatten(
    record: RawValue<'_>,
    separator: &str,
    cuts: &Cuts,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let header = begin_map(out);
    let mut flat = Flat {
        separator,
        cuts,
        path: Vec::new(),
        count: 0,
        len_max: out.len() + GROWTH_FREE_BYTES.max(record.bytes().len() * GROWTH_MAX),
        out,
    };
    flat.table(record, true)?;
    let count = flat.count;
    end_map(out, header, count);
    Ok(())
}

struct Flat<'a> {
    separator: &'a str,
    cuts: &'a Cuts,
    /// The names of the open tables.
    path: Vec<u8>,
    count: u32,
    len_max: usize,
    out: &'a mut Vec<u8>,
}

impl Flat<'_> {
    fn table(&mut self, table: RawValue<'_>, is_top: bool) -> Result<(), Refusal> {
        let above = self.path.len();
        for (name, value) in table.pairs().into_iter().flatten() {
            if !is_top {
                self.path.extend_from_slice(self.separator.as_bytes());
            }
            self.name(name)?;
            if matches!(value.token(), Token::Map(_)) {
                self.table(value, false)?;
            } else if !self.cuts.has(&self.path) {
                write::str_bytes(self.out, &self.path);
                self.out.extend_from_slice(value.bytes());
                self.count += 1;
            }
            if self.out.len() > self.len_max {
                return Err(Refusal::TooLargeFlat);
            }
            self.path.truncate(above);
        }
        Ok(())
    }

    fn name(&mut self, name: RawValue<'_>) -> Result<(), Refusal> {
        match name.token() {
            Token::Str(text) | Token::Bin(text) => self.path.extend_from_slice(text),
            Token::Array(_) | Token::Map(_) => return Err(Unwritable::ContainerKey.into()),
            _ => {
                let mut text = String::new();
                write_text(name, &mut text).ok();
                self.path.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }
}
