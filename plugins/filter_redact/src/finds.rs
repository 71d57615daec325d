//! What is found in one text.

use std::ops::Range;

use sdk::config::Pattern;

use crate::{
    action::is_stand_in,
    detectors::{DETECTORS, Detector, Trigger},
    numbers,
    scan::{Place, What},
    text::Text,
};

/// A value in a text and who found it: an index into the filter's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Find {
    pub(crate) range: Range<usize>,
    pub(crate) by: usize,
}

/// Looks at the places of a text, which `start` moves to its own offsets, and then for the patterns of the
/// configuration. What overlaps is joined; the first detector of the list gives it its name.
pub(crate) fn finds(
    text: Text<'_>,
    start: usize,
    places: &[Place],
    on: u32,
    patterns: &[Pattern],
) -> Vec<Find> {
    let mut search = Search {
        text,
        on,
        found: Vec::new(),
        ends: vec![0; DETECTORS.len()],
    };
    let mut numbers_done = false;
    for place in places {
        if place.what == What::Number && !numbers_done {
            // Its offset tells nothing: the number may seem to begin with the length byte of the text.
            numbers_done = true;
            numbers::each_group(text, |at| {
                search.look(at, |_, one| {
                    matches!(one.trigger, Trigger::Digits | Trigger::FewDigits)
                });
            });
        }
        let Some(at) = place.at.checked_sub(start) else {
            continue;
        };
        match place.what {
            What::Word(set) => search.look(at, |index, _| set & (1 << index) != 0),
            What::At => search.look(at, |_, detector| detector.trigger == Trigger::At),
            What::Colon => search.look(at, |_, detector| detector.trigger == Trigger::Colon),
            What::Number | What::Integer => {}
        }
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let ranges = pattern.regex().find_iter(text.0).map(|found| found.range());
        search.found.extend(
            ranges
                .filter(|range| !range.is_empty() && !is_stand_in(text.slice(range.clone())))
                .map(|range| Find {
                    range,
                    by: DETECTORS.len() + 1 + index,
                }),
        );
    }
    join(search.found)
}

struct Search<'a> {
    text: Text<'a>,
    on: u32,
    found: Vec<Find>,
    /// Where the last find of each detector ended: it does not look inside of it again.
    ends: Vec<usize>,
}

impl Search<'_> {
    #[inline]
    fn look(&mut self, at: usize, wanted: impl Fn(usize, &Detector) -> bool) {
        for ((index, detector), end) in DETECTORS.iter().enumerate().zip(&mut self.ends) {
            if self.on & (1 << index) == 0 || at < *end || !wanted(index, detector) {
                continue;
            }
            if let Some(range) = (detector.find)(self.text, at)
                && !range.is_empty()
                && !is_stand_in(self.text.slice(range.clone()))
            {
                *end = range.end;
                self.found.push(Find { range, by: index });
            }
        }
    }
}

fn join(mut found: Vec<Find>) -> Vec<Find> {
    found.sort_by_key(|find| (find.range.start, find.by));
    let mut joined: Vec<Find> = Vec::with_capacity(found.len());
    for find in found {
        match joined
            .last_mut()
            .filter(|last| find.range.start < last.range.end)
        {
            Some(last) => {
                last.range.end = last.range.end.max(find.range.end);
                last.by = last.by.min(find.by);
            }
            None => joined.push(find),
        }
    }
    joined
}
