//! Detector `kr_driver_licence`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::{
    numbers::{grouped, stands_alone, value},
    text::Text,
};

pub(super) const DETECTOR: Detector = Detector {
    name: "kr_driver_licence",
    about: "Korean driver's licences, written `11-12-345678-90`: the region is one of 11 to 28.",
    by_default: true,
    trigger: Trigger::Digits,
    find,
    same: Same::Alphanumeric,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let range = at..grouped(text, at, &[2, 2, 6, 2], b"-")?;
    let region = value(text.slice(at..at + 2));
    ((11..=28).contains(&region) && stands_alone(text, &range)).then_some(range)
}
