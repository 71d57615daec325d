//! Detector `aws_access_key`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "aws_access_key",
    about: "Access key ids of AWS: a prefix of a kind of key and sixteen characters of base32.",
    by_default: true,
    trigger: Trigger::Words(&["AKIA", "ASIA", "ABIA", "ACCA"]),
    find,
    same: Same::Exact,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let end = text.end_of(at + 4, 17, |byte| {
        byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7')
    });
    let fits = end - at == 20 && text.begins(at, is_word) && !is_word(text.at(end));
    fits.then_some(at..end)
}
