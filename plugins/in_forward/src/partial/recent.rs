//! The lines that were stored last: a part of one of them that comes again adds nothing.

use std::collections::{HashSet, VecDeque};

use super::lines::Key;

/// So many are known. A sender repeats what it sent last, as soon as it is connected again.
const RECENT_MAX: usize = 1024;

/// The lines that were stored last.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    order: VecDeque<Key>,
    set: HashSet<Key>,
}

impl Recent {
    /// A line was stored.
    pub(super) fn add(&mut self, key: Key) {
        if !self.set.insert(key.clone()) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }

    /// Whether a line is one of them.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.set.contains(key)
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.order.iter()
    }
}
