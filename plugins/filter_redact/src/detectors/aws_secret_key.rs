//! Detector `aws_secret_key`.

use std::ops::Range;

use super::{Detector, Same, Trigger, assignment};
use crate::text::{Text, is_base64};

pub(super) const DETECTOR: Detector = Detector {
    name: "aws_secret_key",
    about: "Secret access keys of AWS, by the name in front of them: exactly forty characters of base64.",
    by_default: true,
    trigger: Trigger::Words(&[
        "ecret_access_key",
        "ecretAccessKey",
        "ECRET_ACCESS_KEY",
        "ecret_key",
        "ECRET_KEY",
    ]),
    find,
    same: Same::Exact,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let name = text.end_of(at, 17, |byte| byte.is_ascii_alphabetic() || byte == b'_');
    let (start, _) = assignment::value_start(text, name)?;
    let end = text.end_of(start, 41, is_base64);
    let value = text.slice(start..end);
    let mixed = value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic);
    (value.len() == 40 && mixed).then_some(start..end)
}
