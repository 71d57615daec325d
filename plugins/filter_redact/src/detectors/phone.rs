//! Detector `phone`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::{
    numbers::{digits, digits_end, grouped, stands_alone, value},
    text::Text,
};

pub(super) const DETECTOR: Detector = Detector {
    name: "phone",
    about: "Telephone numbers: international ones with `+`, a country code that exists and its lengths; Korean mobile \
            and area numbers; North American ones by the rules of the numbering plan; the common groupings of the \
            United Kingdom and Japan.",
    by_default: true,
    trigger: Trigger::Digits,
    find,
    same: Same::Alphanumeric,
};

/// Country codes of one and two digits; every other begins one of three.
const SHORT_CODES: [u32; 46] = [
    1, 7, 20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54,
    55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];
/// First digits of country codes of three.
const LONG_CODES: [u32; 11] = [21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42];
/// More of them.
const MORE_LONG_CODES: [u32; 9] = [50, 59, 67, 68, 69, 85, 88, 96, 97];
/// Most groups of digits behind the `+`.
const GROUPS_MAX: usize = 6;
/// How national numbers with a leading 0 are grouped.
const NATIONAL: [&[usize]; 8] = [
    &[3, 4, 4],
    &[3, 3, 4],
    &[2, 4, 4],
    &[2, 3, 4],
    &[4, 4, 4],
    &[4, 3, 4],
    &[5, 3, 3],
    &[5, 6],
];

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    if text.before(at) == b'+' {
        return international(text, at);
    }
    let range = if text.at(at) == b'0' {
        korean_mobile(text, at).or_else(|| national(text, at))
    } else {
        north_american(text, at)
    }?;
    stands_alone(text, &range).then_some(range)
}

fn international(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let first = digits_end(text, at);
    let code = country_code(text.slice(at..first))?;
    // A code that is a group of its own, or the whole number in one.
    let together = first - at > code;
    let (mut end, mut groups) = (first, 1);
    while groups < GROUPS_MAX && !(together && first - at >= 10) {
        let gap = text.end_of(end, 3, |byte| {
            matches!(byte, b' ' | b'-' | b'.' | b'(' | b')')
        });
        let next = digits_end(text, gap);
        if gap == end || next == gap {
            break;
        }
        if digits(text.slice(at..next)).count() > 15 {
            break;
        }
        (end, groups) = (next, groups + 1);
    }
    let count = digits(text.slice(at..end)).count();
    let fits = match text.slice(at..at + code) {
        b"1" => count == 11,
        b"82" => (11..=13).contains(&count),
        _ => (10..=15).contains(&count),
    };
    let range = at - 1..end;
    let before = text.before(range.start);
    (fits && !before.is_ascii_alphanumeric() && stands_alone(text, &range)).then_some(range)
}

/// How many digits the country code has that a number begins with.
fn country_code(number: &[u8]) -> Option<usize> {
    let lead: Vec<u32> = digits(number).take(3).collect();
    match *lead.as_slice() {
        [first @ (1 | 7), ..] if SHORT_CODES.contains(&first) => Some(1),
        [first, second, ..] if SHORT_CODES.contains(&(first * 10 + second)) => Some(2),
        [first, second, _] => {
            let head = first * 10 + second;
            (LONG_CODES.contains(&head) || MORE_LONG_CODES.contains(&head)).then_some(3)
        }
        _ => None,
    }
}

/// `01012345678`.
fn korean_mobile(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let end = digits_end(text, at);
    let fits = end - at == 11 && text.has(at, b"010") && matches!(text.at(at + 3), b'2'..=b'9');
    fits.then_some(at..end)
}

/// Groups behind a 0: `010-1234-5678`, `02)123-4567`, `020 7946 0958`.
fn national(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let area = digits_end(text, at);
    let area_number = value(text.slice(at..area));
    let end = if text.at(area) == b')' {
        let behind = area + 1 + usize::from(text.at(area + 1) == b' ');
        [[3, 4], [4, 4]]
            .iter()
            .find_map(|lengths| grouped(text, behind, lengths, b"-. "))?
    } else {
        NATIONAL
            .iter()
            .find_map(|lengths| grouped(text, at, lengths, b"-. "))?
    };
    let zeros = text.has(at, b"00");
    let five = area - at == 5;
    let two_groups = grouped(text, at, &[5, 6], b"-. ").is_some();
    let british_mobile = (7000..=7999).contains(&area_number);
    let fits = !zeros && area_number > 0 && (!five || !two_groups || british_mobile);
    let start = at - usize::from(text.before(at) == b'(' && text.at(area) == b')');
    fits.then_some(start..end)
}

/// `415-555-0132`, `(415) 555-0132`.
fn north_american(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let has_country = text.has(at, b"1-") || text.has(at, b"1 (");
    let area = if has_country { at + 2 } else { at };
    let area = area + usize::from(text.at(area) == b'(');
    let (start, end) = if text.before(area) == b'(' && text.at(area + 3) == b')' {
        let rest = area + 4 + usize::from(text.at(area + 4) == b' ');
        let open = if has_country { at } else { area - 1 };
        (open, grouped(text, rest, &[3, 4], b"-. ")?)
    } else {
        (at, grouped(text, area, &[3, 3, 4], b"-.")?)
    };
    let number: Vec<u32> = digits(text.slice(area..end)).collect();
    match *number.as_slice() {
        [area, tens, ones, exchange, next_tens, next_ones, ..] => {
            let service = |tens: u32, ones: u32| tens == 1 && ones == 1;
            let is_service = service(tens, ones) || service(next_tens, next_ones);
            let fits = area >= 2 && exchange >= 2 && !is_service;
            fits.then_some(start..end)
        }
        _ => None,
    }
}
