//! Input that makes filters panic. Its sender is not answered and sends it again, which helps when it was chance. What
//! does it again and again must not keep its sender waiting for ever.
//!
//! The text of a panic goes no further: it may hold what was in the record.

use std::{
    collections::VecDeque,
    hash::{BuildHasher as _, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use sdk::{
    event::{Edit, Tag},
    filter::Filter,
};

/// The reason that is told for records that make a filter panic.
pub(super) const FILTER_PANIC: &str = "filter_panic";
/// The time at which an input is not offered as a whole again.
const ENOUGH: u32 = 3;
/// Inputs that are remembered.
const KNOWN_MAX: usize = 256;

/// Inputs that made filters panic, and how often.
#[derive(Debug, Default)]
pub(super) struct Poison {
    hasher: RandomState,
    known: Mutex<VecDeque<(u64, u32)>>,
}

impl Poison {
    /// This input made a filter panic once more. Whether that is enough.
    pub(super) fn note(&self, tag: &Tag, events: &[u8]) -> bool {
        let hash = self.hash(tag, events);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) = known.iter_mut().find(|(other, _)| *other == hash) {
            *times += 1;
            return *times >= ENOUGH;
        }
        if known.len() >= KNOWN_MAX {
            known.pop_front();
        }
        known.push_back((hash, 1));
        false
    }

    /// Whether it would be enough if this input did it once more.
    pub(super) fn is_suspect(&self, tag: &Tag, events: &[u8]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return false;
        }
        let hash = self.hash(tag, events);
        let mut known = known.iter();
        known.any(|(other, times)| *other == hash && *times + 1 >= ENOUGH)
    }

    fn hash(&self, tag: &Tag, events: &[u8]) -> u64 {
        self.hasher.hash_one((tag.as_str(), events))
    }
}

/// A filter panicked.
#[derive(Debug)]
pub(super) struct Panicked;

/// Runs `work`.
///
/// # Errors
/// [`Panicked`]
pub(super) fn fenced<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Filters are `&self` and keep their own locks; what `work` had in hand is thrown away.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// A filter with a fence around each event: one that makes it panic has failed, and the others go on.
pub(super) struct Fenced(pub(super) Arc<dyn Filter>);

impl Filter for Fenced {
    fn filter(&self, edit: &mut Edit<'_>) {
        if fenced(|| self.0.filter(edit)).is_err() {
            edit.fail(FILTER_PANIC);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_time_is_enough_and_others_are_forgotten() {
        let poison = Poison::default();
        let tag = Tag::new("a");
        assert!(!poison.is_suspect(&tag, b"x"));
        assert!(!poison.note(&tag, b"x") && !poison.is_suspect(&tag, b"x"));
        assert!(!poison.note(&tag, b"y"));
        assert!(!poison.note(&tag, b"x") && poison.is_suspect(&tag, b"x"));
        assert!(!poison.is_suspect(&Tag::new("b"), b"x"));
        assert!(poison.note(&tag, b"x"));
        for number in 0..KNOWN_MAX as u64 {
            poison.note(&tag, &number.to_le_bytes());
        }
        assert!(!poison.is_suspect(&tag, b"x"));
    }
}
