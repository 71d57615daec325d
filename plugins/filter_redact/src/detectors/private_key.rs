//! Detector `private_key`.

use std::ops::Range;

use memchr::memmem;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_base64};

pub(super) const DETECTOR: Detector = Detector {
    name: "private_key",
    about: "Private keys in PEM, also with line ends written as `\\n`: a label that ends in PRIVATE KEY and a body of \
            base64. A block without an end is taken to the end of the text.",
    by_default: true,
    trigger: Trigger::Words(&["-----BEGIN "]),
    find,
    same: Same::Exact,
};

/// Longest label, in bytes.
const LABEL_MAX: usize = 48;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let label = at + "-----BEGIN ".len();
    let end = text.end_of(label, LABEL_MAX, |byte| {
        byte.is_ascii_uppercase() || byte == b' '
    });
    let name = text.slice(label..end);
    let is_private = name.ends_with(b"PRIVATE KEY") || name.ends_with(b"PRIVATE KEY BLOCK");
    if !is_private || !text.has(end, b"-----") || !has_body(text, end + 5) {
        return None;
    }
    let rest = text.slice(end..text.0.len());
    let stop = memmem::find(rest, b"-----END ").map_or(text.0.len(), |found| {
        let close = end + found + "-----END ".len();
        let close = text.end_of(close, LABEL_MAX, |byte| byte != b'-');
        text.end_of(close, 5, |byte| byte == b'-')
    });
    Some(at..stop)
}

/// Whether base64 follows, or a header such as `Proc-Type: 4,ENCRYPTED`.
fn has_body(text: Text<'_>, from: usize) -> bool {
    let mut body = text.end_of(from, 8, |byte| matches!(byte, b' ' | b'\r' | b'\n' | b'\\'));
    while matches!(text.at(body), b'n' | b'r') && text.before(body) == b'\\' {
        body = text.end_of(body + 1, 8, |byte| {
            matches!(byte, b' ' | b'\r' | b'\n' | b'\\')
        });
    }
    let base64 = text.end_of(body, 16, is_base64) - body;
    let header = text.end_of(body, 16, |byte| byte.is_ascii_alphabetic() || byte == b'-');
    base64 >= 16 || (header > body && text.at(header) == b':')
}
