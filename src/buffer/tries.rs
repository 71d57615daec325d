//! What the chunks of a buffer have gone through: kept by frame, so that it outlives the chunk and the process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{chunk::Mark, ranges::Ranges, state::Note};

/// Most frames of one note in the state file.
const NOTE_FRAMES: u64 = 1 << 16;

/// What one chunk has gone through. The attempts and the time outlive the process, the rest does not.
#[derive(Debug, Clone, Default)]
pub struct Tries {
    /// Failures that the chunk itself may have caused.
    pub attempts: u32,
    /// Failures in a row, of whatever cause.
    pub consecutive: u32,
    /// Panics of the plugin while it had the chunk.
    pub panics: u32,
    /// How often the secondary was tried.
    pub secondary: u32,
    /// The destination will never take it as a whole.
    pub is_refused: bool,
    /// How many chunks had got through when it failed last, for telling whether others fare better.
    pub others: Option<u64>,
    /// What was said the last time.
    pub last: Option<Arc<str>>,
    failing: Option<Failing>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    /// How long it had been failing at `since`.
    before: Duration,
    since: Instant,
}

impl Tries {
    /// What an earlier process noted.
    pub(super) fn noted(attempts: u32, failing: Duration) -> Self {
        let mut tries = Self {
            attempts,
            ..Self::default()
        };
        tries.fails_for(failing);
        tries
    }

    /// It has been failing for this long, unless it is known to have been for longer.
    pub fn fails_for(&mut self, before: Duration) {
        if self.failing.is_none() || before > self.failing_for() {
            self.failing = Some(Failing {
                before,
                since: Instant::now(),
            });
        }
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        self.failing.is_some()
    }

    /// How long it has been failing, without the time in which no process had it.
    pub fn failing_for(&self) -> Duration {
        let Some(failing) = self.failing else {
            return Duration::ZERO;
        };
        failing.before + failing.since.elapsed()
    }

    /// Whether an earlier or a later process can tell them apart, as far as it goes by the notes.
    fn is_noted_like(&self, other: &Self) -> bool {
        let before = |tries: &Self| tries.failing.map(|failing| failing.before);
        (self.attempts, before(self)) == (other.attempts, before(other))
    }
}

/// The frames of which something was tried, and what. Chunks are cut anew after a restart, and it goes by frames then.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried(BTreeMap<u64, (u64, Tries)>);

impl Tried {
    /// Whether nothing has failed; the case that must cost nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the chunk of this frame went through.
    pub(super) fn get(&self, sequence: u64) -> Option<&Tries> {
        let (_, (last, tries)) = self.0.range(..=sequence).next_back()?;
        (*last >= sequence).then_some(tries)
    }

    /// What a chunk of these frames went through: the most that any of them did.
    pub(super) fn of(&self, marks: &[Mark]) -> Tries {
        if self.is_empty() {
            return Tries::default();
        }
        let tries = marks.iter().filter_map(|mark| self.get(mark.sequence));
        let most = tries.max_by_key(|tries| (tries.attempts, tries.failing_for()));
        most.cloned().unwrap_or_default()
    }

    /// Whether these two frames may be in one chunk: what fails again and again must not take others along.
    pub(super) fn are_alike(&self, one: u64, other: u64) -> bool {
        if self.is_empty() {
            return true;
        }
        match (self.get(one), self.get(other)) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_noted_like(other),
            _ => false,
        }
    }

    /// Notes what the chunk of these frames went through, in the place of what was known.
    pub(super) fn insert(&mut self, first: u64, last: u64, tries: Tries) {
        self.remove(first, last);
        self.0.insert(first, (last, tries));
    }

    /// Forgets these frames.
    pub(super) fn remove(&mut self, first: u64, last: u64) {
        if self.is_empty() {
            return;
        }
        let overlapping = self.0.range(..=last).rev();
        let overlapping = overlapping.take_while(|(_, (end, _))| *end >= first);
        let starts: Vec<u64> = overlapping.map(|(start, _)| *start).collect();
        for start in starts {
            let Some((end, tries)) = self.0.remove(&start) else {
                continue;
            };
            if end > last {
                self.0.insert(last + 1, (end, tries.clone()));
            }
            if start < first {
                self.0.insert(start, (first - 1, tries));
            }
        }
    }

    /// Forgets the frames that these stand for.
    pub(super) fn forget(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.remove(mark.sequence, mark.sequence);
        }
    }

    /// What of it concerns the sequences from `first` to `last`.
    pub(super) fn within(&self, first: u64, last: u64) -> Self {
        let mut part = Self::default();
        let overlapping = self.0.range(..=last).rev();
        for (start, (end, tries)) in overlapping.take_while(|(_, (end, _))| *end >= first) {
            let (start, end) = ((*start).max(first), (*end).min(last));
            part.0.insert(start, (end, tries.clone()));
        }
        part
    }

    /// Takes in what concerns other frames.
    pub(super) fn extend(&mut self, other: Self) {
        for (first, (last, tries)) in other.0 {
            self.insert(first, last, tries);
        }
    }

    /// What the state file should tell.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> + '_ {
        let all = self.0.iter();
        all.flat_map(|(first, (last, tries))| notes(*first, *last, tries))
    }
}

/// The sequences of these frames.
pub(super) fn ranges(marks: &[Mark]) -> Ranges {
    let mut ranges = Ranges::default();
    for mark in marks {
        ranges.insert(mark.sequence, mark.sequence);
    }
    ranges
}

/// What the state file should tell about these frames.
pub(super) fn notes(first: u64, last: u64, tries: &Tries) -> Vec<Note> {
    let attempts = u16::try_from(tries.attempts).unwrap_or(u16::MAX);
    let failing_secs = u32::try_from(tries.failing_for().as_secs()).unwrap_or(u32::MAX);
    let starts = (first..=last).step_by(usize::try_from(NOTE_FRAMES).unwrap_or(1));
    let note = |start: u64| Note::Tried {
        first: start,
        last: last.min(start + NOTE_FRAMES - 1),
        attempts,
        failing_secs,
    };
    starts.map(note).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Model;

    use proptest::prelude::*;

    use super::*;

    fn tries(attempts: u32) -> Tries {
        Tries {
            attempts,
            ..Tries::default()
        }
    }

    proptest! {
        #[test]
        fn equals_a_map(steps in prop::collection::vec((0_u64..40, 0_u64..9, prop::option::of(0_u32..5)), 0..20)) {
            let mut tried = Tried::default();
            let mut model = Model::new();
            for (first, len, attempts) in steps {
                let last = first + len;
                match attempts {
                    Some(attempts) => tried.insert(first, last, tries(attempts)),
                    None => tried.remove(first, last),
                }
                for number in first..=last {
                    match attempts {
                        Some(attempts) => drop(model.insert(number, attempts)),
                        None => drop(model.remove(&number)),
                    }
                }
            }
            let part = tried.within(10, 20);
            for number in 0..60 {
                let expected = model.get(&number).copied();
                prop_assert_eq!(tried.get(number).map(|tries| tries.attempts), expected);
                let expected = expected.filter(|_| (10..=20).contains(&number));
                prop_assert_eq!(part.get(number).map(|tries| tries.attempts), expected);
            }
        }
    }

    #[test]
    fn long_runs_of_frames_are_several_notes() {
        let notes = notes(5, 70_000, &tries(100_000));
        let expected = |first, last| Note::Tried {
            first,
            last,
            attempts: u16::MAX,
            failing_secs: 0,
        };
        assert_eq!(notes, [expected(5, 65_540), expected(65_541, 70_000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_counted_from_the_first_failure_and_goes_on() {
        let mut tries = Tries::noted(3, Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(5)).await;
        tries.fails_for(Duration::ZERO);
        assert_eq!(tries.failing_for(), Duration::from_secs(65));
        tries.fails_for(Duration::from_secs(100));
        assert_eq!(tries.failing_for(), Duration::from_secs(100));
    }
}
