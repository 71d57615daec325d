//! Detector `google_key`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_base64url};

pub(super) const DETECTOR: Detector = Detector {
    name: "google_key",
    about: "API keys, OAuth access tokens and client secrets of Google: their prefixes and lengths.",
    by_default: true,
    trigger: Trigger::Words(&["AIza", "ya29.", "GOCSPX-"]),
    find,
    same: Same::Exact,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    if !text.begins(at, is_base64url) {
        return None;
    }
    let (prefix, lengths) = match text.at(at) {
        b'A' => (4, 35..=35),
        b'y' => (5, 20..=2048),
        _ => (7, 28..=28),
    };
    let end = text.end_of(at + prefix, 2049, is_base64url);
    lengths.contains(&(end - at - prefix)).then_some(at..end)
}
