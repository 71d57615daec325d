//! Detector `bearer_token`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "bearer_token",
    about: "What follows the word Bearer: at least ten characters that RFC 6750 allows, with a digit among them, so \
            that prose is left alone.",
    by_default: true,
    trigger: Trigger::Words(&["earer ", "EARER ", "earer%20", "earer+"]),
    find,
    same: Same::Exact,
};

/// Shortest token, in bytes.
const SHORTEST: usize = 10;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at.checked_sub(1)?;
    if !matches!(text.at(start), b'b' | b'B') || !text.begins(start, is_word) {
        return None;
    }
    let word = text.end_of(at, 5, |byte| byte.is_ascii_alphabetic());
    let gap = if text.has(word, b"%20") {
        word + 3
    } else {
        text.end_of(word, 4, |byte| matches!(byte, b' ' | b'+'))
    };
    let range = gap..end_of_token(text, gap);
    let token = text.slice(range.clone());
    let fits = token.len() >= SHORTEST && token.iter().any(u8::is_ascii_digit);
    let is_name = token.ends_with(b"=") && text.at(range.end) == b'"';
    (fits && !is_name).then_some(range)
}

/// Behind the characters of a token: `b64token` of RFC 6750.
fn end_of_token(text: Text<'_>, from: usize) -> usize {
    let body = text.end_of(from, usize::MAX, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.' | b'~' | b'+' | b'/')
    });
    let end = text.end_of(body, 4, |byte| byte == b'=');
    // The full stop of a sentence is not of the token.
    end - usize::from(end == body && text.before(end) == b'.')
}
