//! Large messages: which are complete, so that their pieces are to be delivered.

use bytes::Bytes;

use super::{Inspection, Tally};

/// A large message.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The frame that completes it is there.
    pub(super) is_complete: bool,
    pub(super) newest: u64,
    pub(super) chunk: Bytes,
    /// Pieces that are not done: place of the segment, size, and when they were stored.
    pub(super) pieces: Vec<(usize, Tally, u64)>,
}

impl Inspection {
    /// The pieces of a message are held when it is complete, or when the frame that completes it may be lost.
    pub(super) fn settle_groups(&mut self) {
        for group in self.groups.values_mut() {
            let is_held = group.is_held(self.newest_lost);
            for (place, size, stored_ms) in group.pieces.drain(..) {
                let Some(view) = self.segments.get_mut(place) else {
                    continue;
                };
                if is_held {
                    view.hold(size, stored_ms);
                } else {
                    view.open.add(size);
                }
            }
        }
    }
}

impl Group {
    pub(super) fn is_held(&self, newest_lost: Option<u64>) -> bool {
        self.is_complete || newest_lost.is_some_and(|lost| lost > self.newest)
    }
}
