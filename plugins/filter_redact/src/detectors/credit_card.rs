//! Detector `credit_card`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::{
    numbers::{digits, digits_end, grouped, stands_alone, value},
    text::Text,
};

pub(super) const DETECTOR: Detector = Detector {
    name: "credit_card",
    about: "Payment card numbers of 13 to 19 digits, plain or in the groups that are printed on cards: the range of an \
            issuer, its lengths and the Luhn check digit; not inside longer numbers. An integer counts too.",
    by_default: true,
    trigger: Trigger::Digits,
    find,
    same: Same::Alphanumeric,
};

/// How the digits are grouped on cards.
const GROUPS: [&[usize]; 6] = [
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 1],
];
/// First and last number of a range, by leading digits; the lengths that its issuers use.
const ISSUERS: [(u32, u32, &[usize]); 20] = [
    (4, 4, &[13, 16, 19]),
    (51, 55, &[16]),
    (2221, 2720, &[16]),
    (34, 34, &[15]),
    (37, 37, &[15]),
    (6011, 6011, &[16, 19]),
    (644, 649, &[16, 19]),
    (65, 65, &[16, 19]),
    (62, 62, &[16, 17, 18, 19]),
    (300, 305, &[14, 16]),
    (36, 36, &[14]),
    (38, 39, &[14, 16]),
    (3528, 3589, &[16, 19]),
    (2200, 2204, &[16, 17, 18, 19]),
    (5018, 5020, &[16, 18, 19]),
    (5893, 5893, &[16]),
    (6304, 6304, &[16]),
    (6759, 6763, &[16, 18, 19]),
    (9792, 9792, &[16]),
    (94, 94, &[16]),
];

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let plain = digits_end(text, at);
    let ends = std::iter::once(Some(plain)).chain(
        GROUPS
            .iter()
            .map(|lengths| grouped(text, at, lengths, b" -")),
    );
    ends.flatten().map(|end| at..end).find(|range| {
        is_card(text.slice(range.clone())) && stands_alone(text, range) && !is_column(text, range)
    })
}

/// Whether the groups go on in either direction with the separator they have, as in a column of numbers.
fn is_column(text: Text<'_>, range: &Range<usize>) -> bool {
    let is_grouped = !text.at(range.start + 4).is_ascii_digit();
    let four = |from: usize| {
        text.slice(from..from + 4).len() == 4
            && text.slice(from..from + 4).iter().all(u8::is_ascii_digit)
    };
    is_grouped
        && text.at(range.end) == text.at(range.start + 4)
        && four(range.end + 1)
        && !text.at(range.end + 5).is_ascii_digit()
}

/// Whether digits, perhaps with separators, are the number of a card.
pub(crate) fn is_card(number: &[u8]) -> bool {
    let count = digits(number).count();
    (13..=19).contains(&count) && has_issuer(number, count) && luhn(number)
}

fn has_issuer(number: &[u8], count: usize) -> bool {
    let lead: Vec<u32> = digits(number).take(4).collect();
    ISSUERS.iter().any(|(first, last, lengths)| {
        let len = first.checked_ilog10().unwrap_or(0) + 1;
        let head = lead
            .iter()
            .take(len as usize)
            .fold(0, |sum, digit| sum * 10 + digit);
        (*first..=*last).contains(&head) && lengths.contains(&count)
    })
}

fn luhn(number: &[u8]) -> bool {
    let sum: u32 = digits(number)
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, doubled)| match digit * 2 {
            _ if !doubled => digit,
            twice if twice > 9 => twice - 9,
            twice => twice,
        })
        .sum();
    sum.is_multiple_of(10) && value(number) > 0
}
