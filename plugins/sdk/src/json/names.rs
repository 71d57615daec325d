//! Names of fields: what stands for a key that is no text, and what a search index does not take.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Names, Unwritable, write_time};
use crate::{
    event::Time,
    msgpack::{RawValue, Token},
};

/// The name that stands for a key. It may still hold bytes that are not UTF-8 and characters to be escaped.
///
/// # Errors
/// An array or a map where `names` are those of documents.
pub(super) fn name(key: RawValue<'_>, names: Names, top: bool) -> Result<Vec<u8>, Unwritable> {
    let token = key.token();
    let mut name = match token {
        Token::Str(text) => text.to_vec(),
        Token::Bin(bytes) if std::str::from_utf8(bytes).is_ok() => bytes.to_vec(),
        Token::Bin(bytes) => STANDARD.encode(bytes).into_bytes(),
        Token::Nil => b"null".to_vec(),
        Token::Bool(value) => value.to_string().into_bytes(),
        Token::Int(number) => number.to_string().into_bytes(),
        Token::UInt(number) => number.to_string().into_bytes(),
        Token::F32(number) => zmij::Buffer::new().format(number).into(),
        Token::F64(number) => zmij::Buffer::new().format(number).into(),
        Token::Ext(..) => match Time::from_token(token) {
            Ok(time) => {
                let mut text = Vec::new();
                write_time(&mut text, time);
                text
            }
            Err(_) => STANDARD.encode(key.bytes()).into_bytes(),
        },
        Token::Array(_) | Token::Map(_) if names != Names::Any => {
            return Err(Unwritable::ContainerKey);
        }
        Token::Array(_) | Token::Map(_) => STANDARD.encode(key.bytes()).into_bytes(),
    };
    if let Names::Document { reserved } = names {
        repair(&mut name);
        if top && is_reserved(&name, reserved) {
            name.push(b'_');
        }
    }
    Ok(name)
}

/// Whether `name` is one that the index keeps for itself.
#[inline]
pub(super) fn is_reserved(name: &[u8], reserved: &[&str]) -> bool {
    reserved.iter().any(|word| word.as_bytes() == name)
}

/// Whether a name with dots may have an empty or blank part.
pub(super) fn is_suspicious(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'.').any(is_blank)
}

/// Replaces what makes a part empty or blank. Source: Elasticsearch refuses a document with such a name.
fn repair(name: &mut Vec<u8>) {
    if is_blank(name) {
        name.fill(b'_');
        if name.is_empty() {
            name.push(b'_');
        }
        return;
    }
    if !is_suspicious(name) {
        return;
    }
    let mut repaired = Vec::with_capacity(name.len());
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
    for (index, part) in parts.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| parts.get(before));
        if let Some(before) = before {
            let empty = before.is_empty() || part.is_empty();
            repaired.push(if empty { b'_' } else { b'.' });
        }
        if is_blank(part) {
            repaired.extend(std::iter::repeat_n(b'_', part.len()));
        } else {
            repaired.extend_from_slice(part);
        }
    }
    *name = repaired;
}

fn is_blank(part: &[u8]) -> bool {
    part.iter().all(u8::is_ascii_whitespace)
}
