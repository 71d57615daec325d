//! Detector `authorization`.

use std::ops::Range;

use super::{Detector, Same, Trigger, assignment};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "authorization",
    about: "The value of an Authorization or Proxy-Authorization header in text: credentials behind a registered \
            scheme, or one long token without a scheme.",
    by_default: true,
    trigger: Trigger::Words(&["uthorization", "UTHORIZATION"]),
    find,
    same: Same::Exact,
};

/// Schemes with one token behind them.
const TOKEN_SCHEMES: [&str; 12] = [
    "bearer",
    "basic",
    "token",
    "apikey",
    "api-key",
    "key",
    "negotiate",
    "ntlm",
    "gssapi",
    "vapid",
    "jwt",
    "sharedkey",
];
/// Schemes with parameters, which go on to the end of the value.
const PARAMETER_SCHEMES: [&str; 10] = [
    "digest",
    "oauth",
    "hawk",
    "hoba",
    "mutual",
    "signature",
    "aws4-hmac-sha256",
    "scram-sha-1",
    "scram-sha-256",
    "dpop",
];
/// Longest value with parameters, in bytes.
const LONGEST: usize = 4096;
/// Shortest token without a scheme, in bytes.
const SHORTEST_BARE: usize = 16;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let name = at.checked_sub(1)?;
    if !matches!(text.at(name), b'a' | b'A') {
        return None;
    }
    let (start, close) = assignment::value_start(text, at + "uthorization".len())?;
    let token = |from: usize| {
        text.end_of(from, usize::MAX, |byte| {
            is_word(byte) || matches!(byte, b'-' | b'.' | b'~' | b'+' | b'/' | b'=' | b':' | b'%')
        })
    };
    let scheme = text.end_of(start, 24, |byte| is_word(byte) || byte == b'-');
    let behind = text.end_of(scheme, 4, |byte| byte == b' ');
    let is_one_of = |schemes: &[&str]| {
        let name = text.slice(start..scheme);
        let is = |one: &&str| name.eq_ignore_ascii_case(one.as_bytes());
        behind > scheme && schemes.iter().any(is)
    };
    if is_one_of(&TOKEN_SCHEMES) {
        let end = token(behind);
        return (end - behind >= 4).then_some(behind..end);
    }
    if is_one_of(&PARAMETER_SCHEMES) {
        let end = text.end_of(behind, LONGEST, |byte| byte != b'\n' && byte != b'\r');
        return Some(behind..assignment::closed(text, behind..end, close));
    }
    let end = token(start);
    let bare = text.slice(start..end);
    let fits = bare.len() >= SHORTEST_BARE && bare.iter().any(u8::is_ascii_digit);
    fits.then_some(start..end)
}
