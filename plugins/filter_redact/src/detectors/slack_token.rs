//! Detector `slack_token`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "slack_token",
    about: "Tokens of Slack, by their prefix and parts, and the secret path of its incoming webhooks.",
    by_default: true,
    trigger: Trigger::Words(&[
        "xoxb-",
        "xoxp-",
        "xoxa-",
        "xoxr-",
        "xoxs-",
        "xoxe",
        "xoxo-",
        "xapp-",
        "slack.com/services/",
    ]),
    find,
    same: Same::Exact,
};

/// Shortest token behind its prefix, in bytes.
const SHORTEST: usize = 20;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    if text.at(at) == b's' {
        let path = at + "slack.com/services/".len();
        let end = text.end_of(path, 256, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'/'
        });
        let parts = text.slice(path..end).split(|byte| *byte == b'/');
        let fits = text.at(path) == b'T' && parts.filter(|part| part.len() >= 8).count() >= 3;
        return fits.then_some(path..end);
    }
    let end = text.end_of(at, 512, |byte| {
        is_word(byte) || byte == b'-' || byte == b'.'
    });
    let end = end - usize::from(text.before(end) == b'.');
    let body = text.slice(at + 5..end);
    let parts = body.split(|byte| *byte == b'-').count();
    let fits = body.len() >= SHORTEST && parts >= 2 && body.iter().any(u8::is_ascii_digit);
    (fits && text.begins(at, is_word)).then_some(at..end)
}
