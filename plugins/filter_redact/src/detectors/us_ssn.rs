//! Detector `us_ssn`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::{
    numbers::{grouped, stands_alone, value},
    text::Text,
};

pub(super) const DETECTOR: Detector = Detector {
    name: "us_ssn",
    about: "Social security numbers of the United States, written `123-45-6789`: no area 000, 666 or from 900 on, no \
            group 00, no serial 0000.",
    by_default: true,
    trigger: Trigger::Digits,
    find,
    same: Same::Alphanumeric,
};

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let range = at..grouped(text, at, &[3, 2, 4], b"-")?;
    let area = value(text.slice(at..at + 3));
    let group = value(text.slice(at + 4..at + 6));
    let serial = value(text.slice(at + 7..at + 11));
    let fits = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    (fits && stands_alone(text, &range)).then_some(range)
}
