//! Detector `kr_passport`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::{
    numbers::{digits_end, stands_alone},
    text::{Text, is_word},
};

pub(super) const DETECTOR: Detector = Detector {
    name: "kr_passport",
    about: "Korean passport numbers, `M12345678` and `M123A4567`: the letter of a kind of passport and the shape. There \
            is no check digit, so it is off by default.",
    by_default: false,
    trigger: Trigger::FewDigits,
    find,
    same: Same::AnyCase,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at.checked_sub(1)?;
    if !matches!(text.at(start), b'M' | b'S' | b'R' | b'O' | b'G' | b'D') {
        return None;
    }
    let middle = digits_end(text, at);
    let end = match middle - at {
        8 => middle,
        3 if text.at(middle).is_ascii_uppercase() && digits_end(text, middle + 1) == middle + 5 => {
            middle + 5
        }
        _ => return None,
    };
    let range = start..end;
    (stands_alone(text, &range) && text.begins(start, is_word)).then_some(range)
}
