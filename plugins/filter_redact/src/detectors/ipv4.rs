//! Detector `ipv4`.

use std::{net::Ipv4Addr, ops::Range};

use super::{Detector, Same, Trigger};
use crate::{numbers::stands_alone, text::Text};

pub(super) const DETECTOR: Detector = Detector {
    name: "ipv4",
    about: "IPv4 addresses, but not those of this host or of no host. Off by default: most logs need them.",
    by_default: false,
    trigger: Trigger::FewDigits,
    find,
    same: Same::Exact,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let range = at..text.end_of(at, 16, |byte| byte.is_ascii_digit() || byte == b'.');
    let whole = text.slice(range.clone());
    let whole = whole.strip_suffix(b".").unwrap_or(whole);
    let address: Ipv4Addr = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let range = at..at + whole.len();
    let fits = !address.is_loopback() && !address.is_unspecified() && !address.is_broadcast();
    (fits && stands_alone(text, &range)).then_some(range)
}
