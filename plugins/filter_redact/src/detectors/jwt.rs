//! Detector `jwt`.

use std::ops::Range;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_base64url};

pub(super) const DETECTOR: Detector = Detector {
    name: "jwt",
    about: "JSON Web Tokens, signed or encrypted: three or five parts of base64, and a header that is JSON and names \
            an algorithm.",
    by_default: true,
    trigger: Trigger::Words(&["eyJ"]),
    find,
    same: Same::Exact,
};

/// Longest header, in bytes of base64; one with a certificate chain fits.
const HEADER_MAX: usize = 16 << 10;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    if !text.begins(at, is_base64url) {
        return None;
    }
    let part = |from: usize| text.end_of(from, usize::MAX, is_base64url);
    let header = text.end_of(at, HEADER_MAX, is_base64url);
    if text.at(header) != b'.' || !is_header(text.slice(at..header)) {
        return None;
    }
    let payload = part(header + 1);
    if text.at(payload) != b'.' {
        return None;
    }
    let mut end = part(payload + 1);
    for _ in 0..2 {
        let next = part(end + 1);
        if text.at(end) == b'.' && next > end + 1 {
            end = next;
        }
    }
    Some(at..end)
}

fn is_header(encoded: &[u8]) -> bool {
    let Ok(json) = URL_SAFE_NO_PAD.decode(encoded) else {
        return false;
    };
    serde_json::from_slice::<Map<String, Value>>(&json)
        .is_ok_and(|header| header.get("alg").is_some_and(Value::is_string))
}
