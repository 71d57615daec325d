//! How what an earlier process left becomes part of the index, one segment after the other.

use super::{
    index::Index,
    layout::{Group, Segment},
    queue::Cursor,
    survey::Survey,
};

impl Index {
    /// Takes in what was found in a segment, with the messages that are complete with it.
    pub(super) fn adopt(&mut self, survey: Survey, groups: Vec<(u64, Group)>) {
        let segment = survey.segment;
        let place = self.segment_at(segment.first);
        let is_late = place.is_none();
        if let Some(place) = place {
            *place = segment;
        } else {
            self.insert_late(segment);
        }
        for (id, group) in groups {
            self.adopt_group(id, group, is_late);
        }
        self.backlog_ms = self.backlog_ms.into_iter().chain(survey.oldest_ms).min();
    }

    /// Takes in a complete message. When it is late, its last piece may have been passed by.
    pub(super) fn adopt_group(&mut self, id: u64, mut group: Group, is_late: bool) {
        let mut pieces = group.pieces.iter();
        let has_marker = pieces.any(|piece| Some(piece.sequence) == group.marker);
        group.queued = is_late || !has_marker;
        if group.queued {
            self.draining.push_back(id);
        }
        self.groups.insert(id, group);
    }

    /// Whether [`Index::adopt`] may be called for this segment now.
    pub(super) fn may_adopt(&mut self, first: u64) -> bool {
        self.segment_at(first).is_some() || (!self.loading && self.resume.is_none())
    }

    /// A segment that could not be read before. Reading goes back to it, and then on where it was.
    fn insert_late(&mut self, segment: Segment) {
        let first = segment.first;
        let at = self.segments.partition_point(|other| other.first < first);
        self.segments.insert(at, segment);
        if self.cursor.segment > first {
            self.resume = Some(self.cursor);
            self.cursor = Cursor::at_start_of(first);
        }
    }

    /// The segment of a lost frame stays until the message is done that it may have completed, so that the next start
    /// decides alike.
    pub(super) fn keep_for(&mut self, lost: u64) {
        if let Some(segment) = self.segment_of(lost) {
            segment.frames += 1;
        }
    }

    /// Whether what comes next was not looked through yet.
    pub(super) fn awaits_recovery(&self) -> bool {
        let cursor = self.cursor.segment;
        let mut segments = self.segments.iter();
        let next = segments.find(|segment| segment.first >= cursor);
        next.is_some_and(|segment| segment.unseen)
    }

    /// Whether something was not looked through yet.
    pub(super) fn has_unseen(&self) -> bool {
        self.segments.iter().any(|segment| segment.unseen)
    }

    /// What was not looked through never will be.
    pub(super) fn forget_unseen(&mut self) {
        self.segments.retain(|segment| !segment.unseen);
    }

    /// Everything was looked through, so nothing stays for what only it knows.
    pub(super) fn free_held(&mut self) {
        for segment in &mut self.segments {
            segment.held = false;
        }
    }
}
