//! Detector `ipv6`.

use std::{net::Ipv6Addr, ops::Range};

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "ipv6",
    about: "IPv6 addresses, but not those of this host or of no host. Off by default: most logs need them.",
    by_default: false,
    trigger: Trigger::Colon,
    find,
    same: Same::AnyCase,
};

/// Longest form, in bytes.
const LONGEST: usize = 46;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = text.start_of(at, 5, |byte| byte.is_ascii_hexdigit());
    if !text.begins(start, |byte| is_word(byte) || matches!(byte, b':' | b'.')) {
        return None;
    }
    let end = text.end_of(start, LONGEST, |byte| {
        byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
    });
    let whole = text.slice(start..end);
    let whole = whole.strip_suffix(b".").unwrap_or(whole);
    let lone = whole
        .strip_suffix(b":")
        .filter(|rest| !rest.ends_with(b":"));
    let whole = lone.unwrap_or(whole);
    let address: Ipv6Addr = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let range = start..start + whole.len();
    let has_digit = whole.iter().any(u8::is_ascii_digit);
    let fits = has_digit && !address.is_loopback() && !address.is_unspecified();
    (fits && !is_word(text.at(range.end))).then_some(range)
}
