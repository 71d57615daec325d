//! Detector `assignment`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "assignment",
    about: "The value behind the name of a secret in text: `password=`, `\"api_key\": \"...\"`, `client_secret: ...`, \
            also in JSON inside a string. Placeholders, `null` and calls are left alone; behind a colon in prose the \
            value must hold a digit.",
    by_default: true,
    trigger: Trigger::Names(&[
        "assw",
        "ASSW",
        "assp",
        "ASSP",
        "pwd",
        "PWD",
        "Pwd",
        "ecre",
        "ECRE",
        "oken",
        "OKEN",
        "pi_key",
        "pi-key",
        "pikey",
        "piKey",
        "PI_KEY",
        "PI-KEY",
        "APIKEY",
        "ApiKey",
        "ccess_key",
        "ccessKey",
        "CCESS_KEY",
        "rivate_key",
        "rivateKey",
        "RIVATE_KEY",
        "redential",
        "REDENTIAL",
    ]),
    find,
    same: Same::Exact,
};

/// What the name of a secret ends with, in lower case and without separators.
const NAMES: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "passwordhash",
    "pwd",
    "secret",
    "token",
    "apikey",
    "apikeys",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "credentials",
    "apisecret",
    "secretid",
    "accesskeysecret",
];
/// Names behind which any value counts, however short.
const PASSWORDS: [&str; 4] = ["password", "passwd", "passphrase", "pwd"];
/// Longest name, in bytes.
const NAME_MAX: usize = 64;
/// Spaces and the like between name and value.
const GAP_MAX: usize = 6;
/// Shortest value of what is no password, in bytes.
const SHORTEST: usize = 4;
/// Values that are none.
const NOT_VALUES: [&str; 12] = [
    "true",
    "false",
    "null",
    "nil",
    "none",
    "undefined",
    "empty",
    "required",
    "optional",
    "string",
    "invalid",
    "redacted",
];

fn is_name(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'-' | b'.')
}

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let end = text.end_of(at, NAME_MAX, is_name);
    let start = text.unescaped(text.start_of(at, NAME_MAX, is_name));
    let name: Vec<u8> = text
        .slice(start..end)
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    let ends = |names: &[&str]| names.iter().any(|one| name.ends_with(one.as_bytes()));
    if !ends(&NAMES) {
        return None;
    }
    let (value, close) = value_start(text, end)?;
    let quoted_name = matches!(text.at(end), b'"' | b'\'' | b'\\');
    let sure = quoted_name || text.slice(end..value).contains(&b'=') || text.at(end) == b'%';
    let range = value..value_end(text, value, close);
    let bytes = text.slice(range.clone());
    let shortest = if ends(&PASSWORDS) { 1 } else { SHORTEST };
    let evident = sure || (bytes.len() >= 6 && bytes.iter().any(u8::is_ascii_digit));
    let fits = bytes.len() >= shortest && evident && !is_placeholder(bytes);
    let is_call = close == Close::Space && text.at(range.end) == b'(';
    (fits && !is_call).then_some(range)
}

/// What ends a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The first space or delimiter.
    Space,
    /// This quote behind so many backslashes, as it was opened.
    Quote(u8, usize),
}

/// Where the value begins behind a name that ends at `end`: `=`, `:`, `=>` or `:=`, with quotes around either.
pub(super) fn value_start(text: Text<'_>, end: usize) -> Option<(usize, Close)> {
    let is_gap = |byte: u8| matches!(byte, b' ' | b'\t' | b'\\' | b'"' | b'\'' | b']');
    let sign = text.end_of(end, GAP_MAX, is_gap);
    let behind = text.end_of(sign, 2, |byte| matches!(byte, b'=' | b':' | b'>'));
    if behind == sign || text.at(sign) == b'>' || text.has(sign, b"::") || text.has(sign, b"==") {
        return (text.has(sign, b"%3D") || text.has(sign, b"%3d"))
            .then_some((sign + 3, Close::Space));
    }
    let open = text.end_of(behind, GAP_MAX, |byte| matches!(byte, b' ' | b'\t' | b'['));
    let slashes = text.end_of(open, 16, |byte| byte == b'\\') - open;
    let quote = text.at(open + slashes);
    if matches!(quote, b'"' | b'\'') {
        return Some((open + slashes + 1, Close::Quote(quote, slashes)));
    }
    Some((open, Close::Space))
}

fn value_end(text: Text<'_>, start: usize, close: Close) -> usize {
    match close {
        Close::Space => text.end_of(start, usize::MAX, |byte| {
            byte > b' '
                && !matches!(
                    byte,
                    b',' | b';'
                        | b'&'
                        | b'"'
                        | b'\''
                        | b'('
                        | b')'
                        | b']'
                        | b'}'
                        | b'<'
                        | b'>'
                        | b'|'
                        | b'\\'
                )
        }),
        Close::Quote(..) => closed(text, start..text.0.len(), close),
    }
}

/// The end of the range, or the quote inside it that closes the value.
pub(super) fn closed(text: Text<'_>, range: Range<usize>, close: Close) -> usize {
    let Close::Quote(quote, slashes) = close else {
        return range.end;
    };
    let bytes = text.slice(range.clone());
    memchr::memchr_iter(quote, bytes)
        .map(|at| {
            (
                at,
                bytes
                    .iter()
                    .take(at)
                    .rev()
                    .take_while(|byte| **byte == b'\\')
                    .count(),
            )
        })
        .find(|(_, before)| *before <= slashes)
        .map_or(range.end, |(at, before)| range.start + at - before)
}

/// Whether something stands for a value without being one: `${PASSWORD}`, `<secret>`, `null`, stars.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    let names = [
        &b"${"[..],
        b"$(",
        b"{{",
        b"<",
        b"%(",
        b"%{",
        b"***",
        b"xxxx",
        b"XXXX",
        b"...",
    ];
    let is_word = |one: &&str| value.eq_ignore_ascii_case(one.as_bytes());
    let is_variable = value.first() == Some(&b'$')
        && value.get(1).is_some_and(u8::is_ascii_alphabetic)
        && value.iter().skip(1).all(|byte| is_name(*byte));
    let is_format = matches!(value, b"%s" | b"%v" | b"%d" | b"?" | b"{}" | b"-");
    is_variable
        || is_format
        || names.iter().any(|one| value.starts_with(one))
        || NOT_VALUES.iter().any(is_word)
}

/// Whether a sign follows a name whose part ends at `end`, so that [`find`] may find a value. Never says no wrongly.
pub(crate) fn follows(text: Text<'_>, end: usize) -> bool {
    let name = text.end_of(end, NAME_MAX, is_name);
    value_start(text, name).is_some()
}
