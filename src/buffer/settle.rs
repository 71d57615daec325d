//! What becomes of frames that are done, and of the segments and groups they were in.

use super::{
    chunk::Mark,
    index::Index,
    layout::{Removable, Segment},
    ranges::Ranges,
    state::Note,
};
use crate::telemetry::ledger::DropReason;

impl Index {
    /// Notes frames that need not be kept. Returns the sequences that are done now, as ranges.
    pub(super) fn settle(&mut self, marks: &[Mark]) -> Ranges {
        let mut done = Ranges::default();
        for mark in marks {
            self.tried.remove(mark.sequence, mark.sequence);
            let Some(id) = mark.group.filter(|id| self.groups.contains_key(id)) else {
                self.mark_done(mark.sequence, mark.place.len, &mut done);
                continue;
            };
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            let is_marker = group.marker == Some(mark.sequence);
            if is_marker {
                (group.marker_done, group.marker_bytes) = (true, mark.place.len);
            } else {
                group.others_left = group.others_left.saturating_sub(1);
            }
            let marker = group
                .marker
                .filter(|_| group.marker_done && group.others_left == 0);
            let marker_bytes = group.marker_bytes;
            if !is_marker {
                self.mark_done(mark.sequence, mark.place.len, &mut done);
            }
            // Only now: without its marker a group on disk is incomplete, and would be discarded at a restart.
            if let Some(marker) = marker {
                self.groups.remove(&id);
                // A lost frame may stand for the ends of several.
                if !self.is_marker(marker) {
                    self.mark_done(marker, marker_bytes, &mut done);
                }
            }
        }
        done
    }

    /// Whether a message that is not done ends with this frame.
    pub(super) fn is_marker(&self, sequence: u64) -> bool {
        let mut groups = self.groups.values();
        groups.any(|group| group.marker == Some(sequence))
    }

    /// A frame that cannot be read now. It is not done: the next start tries it again, for which the piece of a group
    /// needs the frame that makes the group valid.
    pub(super) fn lose(&mut self, mark: &Mark) {
        let group = mark.group.and_then(|id| self.groups.get(&id));
        let is_marker = group.is_some_and(|group| group.marker == Some(mark.sequence));
        let segment = self.segment_of(mark.sequence);
        if let Some(segment) = segment.filter(|_| !is_marker) {
            segment.done_frames += 1;
        }
    }

    fn mark_done(&mut self, sequence: u64, bytes: u64, done: &mut Ranges) {
        let Some(segment) = self.segment_of(sequence) else {
            return;
        };
        if !segment.done.contains(sequence) {
            segment.done.insert(sequence, sequence);
            segment.done_frames += 1;
            #[cfg(feature = "defects")]
            if crate::telemetry::defects::is_on("count_done_twice") {
                segment.done_frames += 1;
            }
            segment.live_bytes = segment.live_bytes.saturating_sub(bytes);
            done.insert(sequence, sequence);
        }
    }

    pub(super) fn segment_of(&mut self, sequence: u64) -> Option<&mut Segment> {
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

    /// The segments of which nothing is needed any more, oldest first.
    pub(super) fn removable(&self) -> Vec<Removable> {
        // The newest one goes last of all: its name tells which sequences were used.
        let names = self.segments.back().map(|segment| segment.first);
        let newest = names.into_iter().chain(self.stale.iter().copied()).max();
        let is_alone = self.segments.len() == 1 && self.stale.is_empty();
        let stale = self.stale.iter().filter(|first| Some(**first) != newest);
        let mut removable: Vec<Removable> = stale.map(|first| Removable::empty(*first)).collect();
        let mut all_go = true;
        for segment in &self.segments {
            let is_newest = Some(segment.first) == newest;
            let is_idle = segment.sealed && !segment.unseen && !segment.held;
            let may_go = is_idle && (is_alone || !is_newest);
            let is_done = may_go && segment.done_frames >= segment.frames;
            #[cfg(feature = "defects")]
            let is_done = is_done || may_go && is_almost_done(segment);
            if is_done && (all_go || !segment.voids) {
                removable.push(Removable {
                    first: segment.first,
                    bytes: segment.len + segment.rest,
                    uncopied: segment.uncopied,
                });
            } else {
                all_go = false;
            }
        }
        removable
    }

    /// These segments are gone.
    pub(super) fn forget(&mut self, gone: &[u64]) {
        self.segments
            .retain(|segment| !gone.contains(&segment.first));
        self.stale.retain(|first| !gone.contains(first));
    }

    /// Whether the newest segment holds frames, and all of them are done.
    pub(super) fn is_newest_spent(&self) -> bool {
        self.segments
            .back()
            .is_some_and(|segment| segment.frames > 0 && segment.done_frames >= segment.frames)
    }

    /// What the state file should tell, and nothing else.
    pub(super) fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        for segment in &self.segments {
            notes.push(Note::Begun(segment.first));
            notes.extend(
                segment
                    .done
                    .iter()
                    .map(|(first, last)| Note::Done(first, last)),
            );
        }
        notes.extend(self.tried.notes());
        notes
    }
}

/// Whether one frame is missing, and it would be too early to let the segment go.
#[cfg(feature = "defects")]
fn is_almost_done(segment: &Segment) -> bool {
    segment.done_frames + 1 >= segment.frames
        && crate::telemetry::defects::is_on("drop_segment_early")
}
