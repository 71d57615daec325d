//! Detector `url_credentials`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::Text;

pub(super) const DETECTOR: Detector = Detector {
    name: "url_credentials",
    about: "The user and password in a URL, `scheme://user:password@host`, of any scheme.",
    by_default: true,
    trigger: Trigger::At,
    find,
    same: Same::Exact,
};

/// Longest user and password, in bytes.
const LONGEST: usize = 512;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let part =
        |byte: u8| !matches!(byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>' | b'\\') && byte > b' ';
    let start = text.start_of(at, LONGEST, part);
    let scheme_end = start.checked_sub(3)?;
    if !text.has(scheme_end, b"://") || !text.before(scheme_end).is_ascii_alphanumeric() {
        return None;
    }
    // A password may hold `@` itself: the last one counts.
    let authority = text.end_of(at, LONGEST, part);
    let behind = text.slice(at..authority);
    let last = behind.iter().rposition(|byte| *byte == b'@').unwrap_or(0);
    let range = start..at + last;
    let pair = text.slice(range.clone());
    let host = text.at(range.end + 1);
    let has_password = pair
        .iter()
        .position(|byte| *byte == b':')
        .is_some_and(|at| at + 1 < pair.len());
    let has_host =
        host.is_ascii_alphanumeric() || matches!(host, b'[' | b'_' | b'$' | b'{') || host >= 0x80;
    (has_password && has_host).then_some(range)
}
