//! Obligations of a buffer that promises nothing itself: each is met when the destination took all its records, or
//! when they ended for a reason that was counted.

use std::collections::HashMap;

use sdk::obligation::Obligation;

use super::chunk::Mark;

/// What is owed for frames that are not settled, by sequence. Those of frames that never are break with it.
#[derive(Debug, Default)]
pub(super) struct Passage(HashMap<u64, Obligation>);

impl Passage {
    /// Keeps what is owed for a frame.
    pub(super) fn keep(&mut self, sequence: u64, due: Obligation) {
        self.0.insert(sequence, due);
    }

    /// These frames are done: their senders may be answered.
    pub(super) fn meet(&mut self, marks: &[Mark]) {
        if !self.0.is_empty() {
            let owed = marks
                .iter()
                .filter_map(|mark| self.0.remove(&mark.sequence));
            owed.for_each(Obligation::meet);
        }
    }

    /// These frames are gone without having been delivered.
    pub(super) fn give_up(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.0.remove(&mark.sequence);
        }
    }
}
