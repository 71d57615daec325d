//! Values and records as text: what several formatters write.

use std::cell::RefCell;

use sdk::{
    event::{FieldPath, RawEvent},
    formatter::FormatError,
    json::{Clash, Lead, Writer},
    msgpack::{RawValue, Token, write_text},
};

thread_local! {
    /// Working space for JSON; a formatter is shared by threads and has none of its own.
    static WRITER: RefCell<Writer> = RefCell::new(Writer::default());
}

/// Appends the record as a JSON object, with the fields of `lead` in front. A field of the record with the name of one
/// of them gets `_` at its end.
pub(crate) fn record(
    out: &mut Vec<u8>,
    lead: &Lead,
    event: &RawEvent<'_>,
) -> Result<(), FormatError> {
    let mut clash = |name: &str, _: RawValue<'_>| Clash::Rename(format!("{name}_"));
    WRITER.with_borrow_mut(|writer| {
        writer
            .record(out, lead, event.record, &mut clash)
            .map_err(|error| FormatError::new(error.to_string()))
    })
}

/// Appends a value as text: text as it is, a number or truth as Ruby writes it, null as nothing, a list or table as
/// its JSON.
pub(crate) fn value(out: &mut Vec<u8>, value: RawValue<'_>) {
    match value.token() {
        Token::Str(text) | Token::Bin(text) => out.extend_from_slice(text),
        Token::Array(_) | Token::Map(_) => {
            WRITER.with_borrow_mut(|writer| writer.value(out, value));
        }
        _ => {
            let mut text = String::new();
            let _complete = write_text(value, &mut text);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Appends the text of a field with a blank for every line feed and every `delimiter` in it. A field that is missing is
/// nothing.
pub(crate) fn field(
    out: &mut Vec<u8>,
    event: &RawEvent<'_>,
    path: &FieldPath,
    delimiter: &[u8],
    replacement: &[u8],
) {
    if let Some(found) = path.find(event.record) {
        let start = out.len();
        value(out, found);
        replace(out, start, delimiter, replacement);
    }
}

/// Puts `replacement` in place of every `delimiter` and every line feed from `start` on.
pub(crate) fn replace(out: &mut Vec<u8>, start: usize, delimiter: &[u8], replacement: &[u8]) {
    let written = out.get(start..).unwrap_or_default();
    let has_delimiter = memchr::memmem::find(written, delimiter).is_some();
    if !has_delimiter && memchr::memchr2(b'\n', b'\r', written).is_none() {
        return;
    }
    let written = out.split_off(start);
    let mut rest = written.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(delimiter) {
            out.extend_from_slice(replacement);
            rest = after;
        } else if matches!(first, b'\n' | b'\r') {
            out.push(b' ');
            rest = behind;
        } else {
            out.push(*first);
            rest = behind;
        }
    }
}

/// The tag without what could end its line or column.
pub(crate) fn tag(out: &mut Vec<u8>, tag: &sdk::event::Tag) {
    for letter in tag.as_str().chars() {
        let letter = if letter.is_control() { '_' } else { letter };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Fluentd's words for delimiters; anything else stands for itself.
pub(crate) fn delimiter(text: &str) -> Vec<u8> {
    match text {
        "TAB" => b"\t".to_vec(),
        "SPACE" => b" ".to_vec(),
        "COMMA" => b",".to_vec(),
        other => other.as_bytes().to_vec(),
    }
}
