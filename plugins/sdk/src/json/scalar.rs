//! Everything that is neither a container nor a str.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    stage::{ROOM, Stage},
    text,
    time::TEXT_MAX,
};
use crate::{event::Time, msgpack::Token};

/// Bytes that are turned into base64 in one step; a multiple of three, and the result fits in the room.
const BASE64_STEP: usize = 48;

/// Writes a value that is neither a container nor a str.
pub(super) fn write(stage: &mut Stage, at: usize, out: &mut Vec<u8>, token: &Token<'_>) -> usize {
    let at = stage.room(at, out);
    match *token {
        Token::Int(number) => stage.copy(at, itoa::Buffer::new().format(number).as_bytes()),
        Token::UInt(number) => stage.copy(at, itoa::Buffer::new().format(number).as_bytes()),
        Token::Bool(true) => stage.put(at, b"true"),
        Token::Bool(false) => stage.put(at, b"false"),
        Token::F64(number) if number.is_finite() => {
            stage.copy(at, zmij::Buffer::new().format_finite(number).as_bytes())
        }
        Token::F32(number) if number.is_finite() => {
            stage.copy(at, zmij::Buffer::new().format_finite(number).as_bytes())
        }
        Token::Str(bytes) => text::quoted(stage, at, out, bytes, bytes),
        Token::Bin(bytes) => binary(stage, at, out, bytes),
        Token::Ext(kind, bytes) => match Time::from_token(*token) {
            Ok(time) => {
                let at = stage.put(at, b"\"");
                let at = moment(stage, at, time);
                stage.put(at, b"\"")
            }
            Err(_) => extension(stage, at, out, kind, bytes),
        },
        Token::Nil | Token::F64(_) | Token::F32(_) | Token::Array(_) | Token::Map(_) => {
            stage.put(at, b"null")
        }
    }
}

/// Writes the time without quotes.
pub(super) fn moment(stage: &mut Stage, at: usize, time: Time) -> usize {
    let mut text = [0; TEXT_MAX];
    let len = super::time::format(&mut text, time);
    stage.copy(at, text.get(..len).unwrap_or_default())
}

fn binary(stage: &mut Stage, at: usize, out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    if simdutf8::basic::from_utf8(bytes).is_ok() {
        return text::quoted(stage, at, out, bytes, bytes);
    }
    let at = stage.put(at, b"\"");
    let at = base64(stage, at, out, bytes);
    stage.put(at, b"\"")
}

fn extension(stage: &mut Stage, at: usize, out: &mut Vec<u8>, kind: i8, bytes: &[u8]) -> usize {
    let at = stage.put(at, b"{\"ext\":");
    let at = stage.copy(at, itoa::Buffer::new().format(kind).as_bytes());
    let at = stage.put(at, b",\"data\":\"");
    let at = base64(stage, at, out, bytes);
    stage.put(at, b"\"}")
}

/// Writes bytes as base64 with padding (RFC 4648, section 4), without quotes.
pub(super) fn base64(stage: &mut Stage, mut at: usize, out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    for step in bytes.chunks(BASE64_STEP) {
        at = stage.room(at, out);
        at += STANDARD
            .encode_slice(step, stage.slot(at, ROOM / 2))
            .unwrap_or_default();
    }
    stage.room(at, out)
}
