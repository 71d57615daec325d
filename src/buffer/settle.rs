//! What becomes of frames that are done, and of the segments and groups they were in.

use std::collections::VecDeque;

use super::{
    chunk::Mark,
    index::Index,
    layout::{Removable, Segment},
    ranges::Ranges,
};
use crate::telemetry::ledger::DropReason;

impl Index {
    /// Notes frames that need not be kept. Returns the sequences that are done now, as ranges.
    pub(super) fn settle(&mut self, marks: &[Mark]) -> Ranges {
        let mut done = Ranges::default();
        for mark in marks {
            let Some(id) = mark.group.filter(|id| self.groups.contains_key(id)) else {
                self.mark_done(mark.sequence, &mut done);
                continue;
            };
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            let is_marker = group.marker == Some(mark.sequence);
            if is_marker {
                group.marker_done = true;
            } else {
                group.others_left = group.others_left.saturating_sub(1);
            }
            let marker = group
                .marker
                .filter(|_| group.marker_done && group.others_left == 0);
            if !is_marker {
                self.mark_done(mark.sequence, &mut done);
            }
            // Only now: without its marker a group on disk is incomplete, and would be discarded at a restart.
            if let Some(marker) = marker {
                self.groups.remove(&id);
                self.mark_done(marker, &mut done);
            }
        }
        done
    }

    fn mark_done(&mut self, sequence: u64, done: &mut Ranges) {
        let Some(segment) = self.segment_of(sequence) else {
            return;
        };
        if !segment.done.contains(sequence) {
            segment.done.insert(sequence, sequence);
            segment.done_frames += 1;
            done.insert(sequence, sequence);
        }
    }

    fn segment_of(&mut self, sequence: u64) -> Option<&mut Segment> {
        let behind = self
            .segments
            .partition_point(|segment| segment.first <= sequence);
        self.segments.get_mut(behind.checked_sub(1)?)
    }

    /// The segment whose first sequence this is.
    pub(super) fn segment_at(&mut self, first: u64) -> Option<&mut Segment> {
        self.segment_of(first)
            .filter(|segment| segment.first == first)
    }

    /// Gives up a group that will never be complete, for this reason, and says what it occupied.
    pub(super) fn abort(&mut self, id: u64, reason: DropReason) -> Vec<Mark> {
        let Some(group) = self.groups.remove(&id) else {
            return Vec::new();
        };
        let records = group
            .pieces
            .iter()
            .map(|piece| u64::from(piece.count))
            .sum();
        let bytes = group.pieces.iter().map(|piece| piece.place.len).sum();
        self.account.release(records);
        self.account.dropped(reason, records, bytes);
        group.pieces.iter().map(|piece| piece.mark(None)).collect()
    }

    /// Takes out the segments of which nothing is needed any more.
    pub(super) fn take_removable(&mut self) -> Vec<Removable> {
        let is_removable =
            |segment: &Segment| segment.sealed && segment.done_frames >= segment.frames;
        if !self.segments.iter().any(is_removable) {
            return Vec::new();
        }
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            self.segments.drain(..).partition(is_removable);
        self.segments = kept;
        let removable = |segment: Segment| {
            let Segment {
                first,
                len,
                uncopied,
                ..
            } = segment;
            Removable {
                first,
                len,
                uncopied,
            }
        };
        gone.into_iter().map(removable).collect()
    }

    /// Whether the newest segment holds frames, and all of them are done.
    pub(super) fn is_newest_spent(&self) -> bool {
        self.segments
            .back()
            .is_some_and(|segment| segment.frames > 0 && segment.done_frames >= segment.frames)
    }

    /// Everything that is done in segments that still exist.
    pub(super) fn all_done(&self) -> Ranges {
        let mut all = Ranges::default();
        for (first, last) in self.segments.iter().flat_map(|segment| segment.done.iter()) {
            all.insert(first, last);
        }
        all
    }
}
