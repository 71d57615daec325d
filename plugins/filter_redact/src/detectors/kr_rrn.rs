//! Detector `kr_rrn`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::{
    numbers::{digits, digits_end, grouped, stands_alone, value},
    text::Text,
};

pub(super) const DETECTOR: Detector = Detector {
    name: "kr_rrn",
    about: "Korean resident registration numbers and those of foreigners: the date of birth and the check digit; for \
            births from October 2020 on, whose last digits are random, the date decides. Without the hyphen the check \
            digit must fit.",
    by_default: true,
    trigger: Trigger::Digits,
    find,
    same: Same::Alphanumeric,
};

/// Born since October 2020, the last six digits are random. Written as a date: year, month, day.
const RANDOM_SINCE: u32 = 20_201_000;
/// Dates of birth, as above, that the milliseconds of today's clocks look like.
const LIKE_MILLIS: Range<u32> = 19_170_000..19_190_000;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let plain = digits_end(text, at);
    let (end, hyphen) = match grouped(text, at, &[6, 7], b"-") {
        Some(end) => (end, true),
        None => (plain, false),
    };
    let range = at..end;
    let number: Vec<u32> = digits(text.slice(range.clone())).collect();
    let born = born(text.slice(at..at + 6), *number.get(6)?)?;
    let looks_like_millis = !hyphen && LIKE_MILLIS.contains(&born);
    let fits = number.len() == 13
        && (checks(&number) || (hyphen && born >= RANDOM_SINCE))
        && !looks_like_millis
        && stands_alone(text, &range);
    fits.then_some(range)
}

/// The date of birth as a number such as 19990131; the seventh digit tells the century.
fn born(date: &[u8], seventh: u32) -> Option<u32> {
    let century = match seventh {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => return None,
    };
    let date = value(date);
    let (year, month, day) = (century + date / 10_000, date / 100 % 100, date % 100);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=days)
        .contains(&day)
        .then_some(year * 10_000 + month * 100 + day)
}

fn checks(number: &[u32]) -> bool {
    let weights = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let sum: u32 = number
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let foreign = number.get(6).is_some_and(|digit| *digit >= 5);
    let base = if foreign { 13 } else { 11 };
    number.get(12) == Some(&((base - sum % 11) % 10))
}
