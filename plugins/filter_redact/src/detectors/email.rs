//! Detector `email`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::Text;

pub(super) const DETECTOR: Detector = Detector {
    name: "email",
    about: "E-mail addresses whose domain has valid labels and ends in letters; file names such as `icon@2x.png` and \
            the user of a URL are not addresses.",
    by_default: true,
    trigger: Trigger::At,
    find,
    same: Same::AnyCase,
};

/// Longest part in front of the `@`, in bytes (RFC 5321).
const LOCAL_MAX: usize = 64;
/// Longest label of a domain, in bytes.
const LABEL_MAX: usize = 63;
/// Most labels that are looked at.
const LABELS_MAX: usize = 16;
/// Endings of file names, and of what packages call their versions.
const NOT_DOMAINS: [&str; 20] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "mjs", "ts", "tsx", "json",
    "html", "xml", "yaml", "yml", "txt", "log", "php",
];

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let local = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
    };
    let mut start = text.unescaped(text.start_of(at, LOCAL_MAX, local));
    while start < at && !text.at(start).is_ascii_alphanumeric() && text.at(start) != b'_' {
        start += 1;
    }
    if start == at || text.before(at) == b'.' || is_url_user(text, start) {
        return None;
    }
    let end = domain_end(text, at + 1)?;
    let remote_git = text.slice(start..at) == b"git" && text.at(end) == b':';
    (!remote_git).then_some(start..end)
}

/// Behind a domain of at least two labels, the last of letters.
fn domain_end(text: Text<'_>, from: usize) -> Option<usize> {
    let (mut end, mut at) = (None, from);
    for index in 0..LABELS_MAX {
        let label = text.end_of(at, LABEL_MAX + 1, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'-'
        });
        let whole = text.slice(at..label);
        let trimmed = whole.len() - whole.iter().rev().take_while(|byte| **byte == b'-').count();
        if trimmed == 0 || trimmed > LABEL_MAX || text.at(at) == b'-' {
            break;
        }
        if index > 0 && is_top(text.slice(at..at + trimmed)) {
            end = Some(at + trimmed);
        } else if index > 0 && text.at(label) != b'.' {
            end = None;
        }
        if text.at(label) != b'.' || trimmed < whole.len() {
            break;
        }
        at = label + 1;
    }
    let end = end?;
    let last = text.start_of(end, LABEL_MAX, |byte| byte != b'.');
    let name = text.slice(last..end).to_ascii_lowercase();
    let is_file = NOT_DOMAINS.iter().any(|one| one.as_bytes() == name);
    (!is_file && text.at(end) != b'_').then_some(end)
}

fn is_top(label: &[u8]) -> bool {
    let letters = label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic);
    letters || label.to_ascii_lowercase().starts_with(b"xn--")
}

/// Whether what begins at `start` is the user or the password of a URL.
fn is_url_user(text: Text<'_>, start: usize) -> bool {
    let user = text.start_of(start, 2 * LOCAL_MAX, |byte| {
        !matches!(byte, b'/' | b' ' | b'"' | b'<' | b'>' | b'?')
    });
    text.before(user) == b'/' && text.has(user.saturating_sub(3), b"://")
}
