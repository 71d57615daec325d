//! Detector `basic_auth`.

use std::ops::Range;

use base64::{
    Engine as _,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_base64, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "basic_auth",
    about: "What follows the word Basic: base64 of a user, a colon and a password in readable characters.",
    by_default: true,
    trigger: Trigger::Words(&["asic ", "ASIC ", "asic%20"]),
    find,
    same: Same::Exact,
};

/// Longest value, in bytes.
const LONGEST: usize = 4096;

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at.checked_sub(1)?;
    if !matches!(text.at(start), b'b' | b'B') || !text.begins(start, is_word) {
        return None;
    }
    let word = at + 4;
    let gap = if text.has(word, b"%20") {
        word + 3
    } else {
        text.end_of(word, 4, |byte| byte == b' ')
    };
    let body = text.end_of(gap, LONGEST, is_base64);
    let end = text.end_of(body, 2, |byte| byte == b'=');
    is_pair(text.slice(gap..end)).then_some(gap..end)
}

fn is_pair(encoded: &[u8]) -> bool {
    let Ok(pair) = BASE64.decode(encoded) else {
        return false;
    };
    let readable = std::str::from_utf8(&pair)
        .is_ok_and(|pair| pair.contains(':') && !pair.chars().any(char::is_control));
    encoded.len() >= 4 && readable
}
