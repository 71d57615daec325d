//! Detector `kr_business`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::{
    numbers::{digits, grouped, stands_alone},
    text::Text,
};

pub(super) const DETECTOR: Detector = Detector {
    name: "kr_business",
    about: "Korean business registration numbers, written `123-45-67891`: the check digit.",
    by_default: true,
    trigger: Trigger::Digits,
    find,
    same: Same::Alphanumeric,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let range = at..grouped(text, at, &[3, 2, 5], b"-")?;
    (checks(text.slice(range.clone())) && stands_alone(text, &range)).then_some(range)
}

fn checks(number: &[u8]) -> bool {
    let weights = [1, 3, 7, 1, 3, 7, 1, 3, 5];
    let sum: u32 = digits(number)
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let ninth = digits(number).nth(8).unwrap_or(0);
    let office = digits(number)
        .take(3)
        .fold(0, |sum, digit| sum * 10 + digit);
    let sum = sum + ninth * 5 / 10;
    office > 100 && digits(number).nth(9) == Some((10 - sum % 10) % 10)
}
