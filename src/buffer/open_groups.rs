//! Large messages of which not all pieces have come, as the writer sees them.

use std::sync::{Arc, Weak, atomic::Ordering};

use sdk::{
    event::{Batch, Group},
    obligation::Obligation,
};

use super::{error::Refusal, writer::Writer};
use crate::telemetry::ledger::DropReason;

/// A group that is not complete.
#[derive(Debug)]
pub(super) struct OpenGroup {
    /// Sequence of its first frame.
    pub(super) id: u64,
    pub(super) sender: Weak<Group>,
    /// Met when the group is complete: until then, nothing of it is sure to stay.
    pub(super) due: Vec<Obligation>,
    /// A piece of it was refused, so it must never become complete.
    pub(super) broken: bool,
}

/// The id of a group of which no frame was ever stored, or will be.
pub(super) const NEVER: u64 = u64::MAX;

impl OpenGroup {
    pub(super) fn new(sender: &Arc<Group>, id: u64) -> Self {
        Self {
            id,
            sender: Arc::downgrade(sender),
            due: Vec::new(),
            broken: false,
        }
    }

    /// It will not become complete, and its sender gets no answer. `next`: sequences from there on are not used yet.
    pub(super) fn break_off(&mut self, next: u64) {
        if self.id >= next {
            self.id = NEVER;
        }
        self.due.clear();
        self.broken = true;
    }
}

impl Writer {
    /// Discards what was stored of messages that will never be complete.
    pub(super) fn give_up_groups(&mut self) {
        let gone = |open: &OpenGroup| open.sender.strong_count() == 0;
        if !self.open_groups.values().any(gone) {
            return self.refuse_if_stuck();
        }
        let mut marks = Vec::new();
        self.open_groups.retain(|_, open| {
            let gone = gone(open);
            if gone {
                marks.extend(self.shared.index().abort(open.id, DropReason::Aborted));
            }
            !gone
        });
        tracing::warn!(output = %self.shared.output_id, frames = marks.len(), "a large message was cut off; discarded");
        self.passage.give_up(&marks);
        self.settle(&marks);
    }

    /// Whether the first `count` of the backlog, which are staged, hold a piece of this batch's message.
    pub(super) fn is_begun(&self, count: usize, batch: &Batch) -> bool {
        let Some(piece) = &batch.piece else {
            return false;
        };
        let staged = self.backlog.iter().take(count);
        let mut pieces = staged.filter_map(|pending| pending.batch.piece.as_ref());
        pieces.any(|other| other.group.id == piece.group.id)
    }

    /// Whether a piece of this batch's message was refused.
    pub(super) fn is_broken(&self, batch: &Batch) -> bool {
        let open = batch
            .piece
            .as_ref()
            .and_then(|piece| self.open_groups.get(&piece.group.id));
        open.is_some_and(|open| open.broken)
    }

    /// When all room is taken by messages that are not complete, waiting for room would never end.
    fn refuse_if_stuck(&self) {
        let at_rest =
            !self.open_groups.is_empty() && self.shared.unpublished.load(Ordering::Acquire) == 0;
        if at_rest && self.shared.room.is_stuck() && self.shared.index().is_barren() {
            self.shared.room.refuse_waiting(&Refusal::Full);
        }
    }
}
