//! Detector `github_token`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "github_token",
    about: "Tokens of GitHub: a prefix of a kind of token and its length.",
    by_default: true,
    trigger: Trigger::Words(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"]),
    find,
    same: Same::Exact,
};

/// Longest token, in bytes; GitHub says that lengths may grow to it.
const LONGEST: usize = 256;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    if !text.begins(at, is_word) {
        return None;
    }
    let end = text.end_of(at, LONGEST, is_word);
    let fine = text.has(at, b"github_pat_");
    let (prefix, shortest) = if fine { (11, 82) } else { (4, 36) };
    let body = text.slice(at + prefix..end);
    let plain = fine || body.iter().all(u8::is_ascii_alphanumeric);
    (body.len() >= shortest && plain).then_some(at..end)
}
