//! Digits in text: groups, their separators, and what stands around them.

use std::ops::Range;

use crate::text::{Text, is_word};

/// The most digits in a row that are looked at.
const DIGITS_MAX: usize = 40;
/// Shortest run of digits and separators in what a number detector of the default set finds, in bytes: the account of
/// a Dutch IBAN.
const SHORTEST: usize = 10;
/// Fewest digits in it.
const FEWEST: usize = 9;

/// Behind the digits that begin at `at`.
pub(crate) fn digits_end(text: Text<'_>, at: usize) -> usize {
    text.end_of(at, DIGITS_MAX, |byte| byte.is_ascii_digit())
}

/// Whether digit groups of exactly these lengths begin at `at`, with one and the same of `separators` between them.
/// Returns the end.
pub(crate) fn grouped(
    text: Text<'_>,
    at: usize,
    lengths: &[usize],
    separators: &[u8],
) -> Option<usize> {
    let mut end = at;
    let mut separator = None;
    for (index, length) in lengths.iter().enumerate() {
        if index > 0 {
            let here = text.at(end);
            if !separators.contains(&here) || separator.is_some_and(|one| one != here) {
                return None;
            }
            separator = Some(here);
            end += 1;
        }
        let next = digits_end(text, end);
        if next - end != *length {
            return None;
        }
        end = next;
    }
    Some(end)
}

/// Whether a number stands alone: it is not part of a word, a longer number, a version or a fraction.
pub(crate) fn stands_alone(text: Text<'_>, range: &Range<usize>) -> bool {
    let joins = |byte: u8| matches!(byte, b'-' | b'.');
    let before = text.before(range.start);
    let goes_on_left = joins(before) && text.before(range.start - 1).is_ascii_digit();
    let after = text.at(range.end);
    let goes_on_right = joins(after) && text.at(range.end + 1).is_ascii_digit();
    text.begins(range.start, is_word) && !goes_on_left && !goes_on_right && !is_word(after)
}

/// The digits of a text, as numbers.
pub(crate) fn digits(bytes: &[u8]) -> impl DoubleEndedIterator<Item = u32> + Clone + '_ {
    bytes
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| u32::from(byte - b'0'))
}

/// The number that these digits make; at most nine of them.
pub(crate) fn value(bytes: &[u8]) -> u32 {
    digits(bytes)
        .take(FEWEST)
        .fold(0, |sum, digit| sum * 10 + digit)
}

/// Which numbers are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of the default detectors, which are long.
    Long,
    /// Short ones too: addresses, passports.
    Short,
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'+')
}

/// Calls for each place in `bytes`, which are an encoded record, where a number may stand that a detector knows.
/// It may say yes too often, never too seldom. Most bytes are not looked at: what is found is at least so long.
#[inline]
pub(crate) fn places(bytes: &[u8], scope: Scope, mut found: impl FnMut(usize)) {
    let stride = if scope == Scope::Long { SHORTEST } else { 3 };
    let text = Text(bytes);
    let mut at = stride - 1;
    while let Some(byte) = bytes.get(at) {
        if !is_part(*byte) {
            at += stride;
            continue;
        }
        let start = text.start_of(at, at, is_part);
        let end = text.end_of(at, usize::MAX, is_part);
        if end - start >= stride
            && (scope == Scope::Short || is_plausible(text, start..end))
            && let Some(first) = (start..end).find(|at| text.at(*at).is_ascii_digit())
        {
            found(first);
        }
        at = end + stride;
    }
}

/// Whether a run of digits and separators can hold a long number. The run may begin with the length byte of its
/// string, and end with a byte of what follows the string.
fn is_plausible(text: Text<'_>, run: Range<usize>) -> bool {
    let mut left = digits(text.slice(run.clone())).count();
    if left < FEWEST {
        return false;
    }
    let header = |byte: u8| matches!(byte, 0xc4..=0xc6 | 0xd9..=0xdb);
    let near = text.slice(run.start.saturating_sub(4)..run.start);
    if near.iter().any(|byte| header(*byte)) || text.before(run.start).is_ascii_uppercase() {
        return true;
    }
    let mut at = run.start;
    while left >= FEWEST && at < run.end {
        let group = digits_end(text, at).min(run.end);
        if group > at {
            if is_long_number(text, at, group)
                || (group < run.end && begins_number(text, at, group, run.end))
            {
                return true;
            }
            left -= group - at;
        }
        at = group.max(at) + 1;
    }
    false
}

/// Whether the group `at..group` may be a whole number: of a card or a person, or of a mobile phone.
fn is_long_number(text: Text<'_>, at: usize, group: usize) -> bool {
    let phone = text.has(at, b"01") || text.before(at) == b'+';
    group - at >= 13 || (group - at >= 10 && phone)
}

/// Whether the group `at..group` begins a number in several groups.
fn begins_number(text: Text<'_>, at: usize, group: usize, end: usize) -> bool {
    if matches!(text.before(at), b'+' | b'(') {
        return true;
    }
    let next = digits_end(text, group + 1).min(end);
    let (first, second) = (group - at, next.saturating_sub(group + 1));
    let zero = text.at(at) == b'0';
    match first {
        2 => (zero && (3..=4).contains(&second)) || second == 2,
        3 => (2..=4).contains(&second),
        4 => second == 4 || second == 6 || zero && second >= 2,
        5 => zero && second >= 3,
        6 => second >= 7,
        _ => false,
    }
}

/// Calls for the start of each group of digits in a string.
pub(crate) fn each_group(text: Text<'_>, mut found: impl FnMut(usize)) {
    let mut at = 0;
    while at < text.0.len() {
        if text.at(at).is_ascii_digit() {
            found(at);
            at = text.end_of(at, usize::MAX, |byte| byte.is_ascii_digit());
        }
        at += 1;
    }
}
