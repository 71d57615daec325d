//! Names without dots, which the server would read as tables: `a.b` becomes `a_b`, at every depth.

use sdk::msgpack::{RawValue, Token, write};

/// Appends a value with `_` for every dot in the names of its fields.
pub(crate) fn undot(value: RawValue<'_>, out: &mut Vec<u8>) {
    match value.token() {
        Token::Map(count) => {
            write::map(out, count);
            for (name, value) in value.pairs().into_iter().flatten() {
                write_name(name, out);
                undot(value, out);
            }
        }
        Token::Array(count) => {
            write::array(out, count);
            value
                .items()
                .into_iter()
                .flatten()
                .for_each(|item| undot(item, out));
        }
        _ => out.extend_from_slice(value.bytes()),
    }
}

fn write_name(name: RawValue<'_>, out: &mut Vec<u8>) {
    match name.as_bytes() {
        Some(text) if text.contains(&b'.') => {
            let mut text = text.to_vec();
            for byte in text.iter_mut().filter(|byte| **byte == b'.') {
                *byte = b'_';
            }
            write::str_bytes(out, &text);
        }
        _ => out.extend_from_slice(name.bytes()),
    }
}
