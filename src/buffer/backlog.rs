//! What has to be read back from disk, and what came of it.

use std::{collections::VecDeque, ops::Range};

use super::{
    chunk::{Mark, Parcel},
    index::Index,
    layout::Piece,
    queue::{Cursor, Limits},
    ranges::Ranges,
    segment::FRAMES_MAX,
    tries::Tried,
};

/// What is to be read from disk.
#[derive(Debug)]
pub(super) enum Job {
    Segment(SegmentJob),
    Group(u64, Vec<Piece>),
    /// A chunk of which only the places are in memory.
    Again(Parcel),
}

/// A part of a segment to be read.
#[derive(Debug)]
pub(super) struct SegmentJob {
    pub(super) cursor: Cursor,
    /// Where the segment ends, as far as it is durable and not in memory.
    pub(super) end: u64,
    /// Frames from this sequence on are in memory.
    pub(super) stop: u64,
    pub(super) done: Ranges,
    pub(super) known_damage: Vec<Range<u64>>,
    pub(super) tried: Tried,
}

impl SegmentJob {
    /// Whether this counts as damaged already. It may be readable now; then it is for the next start.
    pub(super) fn knows(&self, range: &Range<u64>) -> bool {
        let holds = |known: &Range<u64>| known.start <= range.start && range.end <= known.end;
        self.known_damage.iter().any(holds)
    }
}

/// What came of reading a segment.
#[derive(Debug)]
pub(super) struct SegmentRead {
    pub(super) parcel: Parcel,
    pub(super) cursor: Cursor,
    /// When the newest frame read was stored.
    pub(super) newest_ms: Option<u64>,
    /// Sequence of a frame that completes a group, if reading stopped there.
    pub(super) marker: Option<u64>,
    pub(super) new_damage: Vec<Range<u64>>,
    pub(super) uncopied: bool,
}

impl Index {
    /// What is to be read now; `None` when nothing is.
    pub(super) fn job(&mut self, limits: &Limits) -> Option<Job> {
        if let Some(parcel) = self.absent.take() {
            return Some(Job::Again(parcel));
        }
        if let Some(parcel) = self.aside.take_due() {
            return Some(Job::Again(parcel));
        }
        if let Some(id) = self.draining.front().copied() {
            return Some(Job::Group(id, self.take_pieces(id, limits)));
        }
        if self.awaits_recovery() {
            return None;
        }
        let stop = self.stop();
        if self.segment_at(self.cursor.segment).is_none() {
            self.cursor = self.resume.take().unwrap_or(self.cursor);
        }
        if self.segment_at(self.cursor.segment).is_none() {
            // Its segment is gone, since everything in it is done.
            match self.segment_after(self.cursor.segment) {
                Some(next) => self.move_to(Cursor::at_start_of(next)),
                None => self.cursor.sequence = stop,
            }
        }
        let cursor = self.cursor;
        let segment = self.segment_at(cursor.segment)?;
        let (len, done, known_damage) =
            (segment.len, segment.done.clone(), segment.damaged.clone());
        let end = self.unread_end(cursor.segment, len);
        Some(Job::Segment(SegmentJob {
            cursor,
            end,
            stop,
            done,
            known_damage,
            tried: self
                .tried
                .within(cursor.segment, cursor.segment + u64::from(FRAMES_MAX)),
        }))
    }

    fn take_pieces(&mut self, id: u64, limits: &Limits) -> Vec<Piece> {
        let mut taken: Vec<Piece> = Vec::new();
        let mut size = (0, 0);
        let tried = &self.tried;
        if let Some(group) = self.groups.get_mut(&id) {
            while let Some(piece) = group.pieces.front() {
                let bytes = usize::try_from(piece.place.len).unwrap_or(usize::MAX);
                let alike = |first: &Piece| tried.are_alike(first.sequence, piece.sequence);
                if !limits.admits(size, bytes, u64::from(piece.count))
                    || !taken.first().is_none_or(alike)
                {
                    break;
                }
                size = (size.0 + bytes, size.1 + u64::from(piece.count));
                taken.extend(group.pieces.pop_front());
            }
            if !group.pieces.is_empty() {
                return taken;
            }
        }
        self.draining.pop_front();
        taken
    }

    /// Where a segment of so many bytes ends for who reads it: what is in memory is not read.
    fn unread_end(&self, segment: u64, len: u64) -> u64 {
        let front = self.recent.front().map(|recent| recent.place);
        let front = front.filter(|place| place.segment == segment);
        front.map_or(len, |place| place.offset)
    }

    fn segment_after(&self, first: u64) -> Option<u64> {
        self.segments
            .iter()
            .map(|segment| segment.first)
            .find(|other| *other > first)
    }

    /// Takes in what was read of a segment. Returns the frames that need no delivery.
    pub(super) fn segment_read(&mut self, read: SegmentRead) -> Vec<Mark> {
        let SegmentRead {
            parcel,
            cursor,
            newest_ms,
            marker,
            new_damage,
            uncopied,
        } = read;
        let frames = u32::try_from(parcel.marks.len()).unwrap_or(u32::MAX);
        self.taken(cursor.segment, frames, parcel.records());
        let mut exhausted = true;
        if let Some(segment) = self.segment_at(cursor.segment) {
            segment.damaged.extend(new_damage);
            segment.uncopied |= uncopied;
            let len = segment.len;
            exhausted = cursor.offset >= self.unread_end(cursor.segment, len);
        }
        self.move_to(cursor);
        if let Some(id) = marker.and_then(|marker| self.group_of(marker)) {
            self.draining.push_back(id);
        }
        if let Some(resume) = self.resume.take_if(|_| exhausted) {
            self.go_on_at(resume);
            exhausted = false;
        }
        match self.segment_after(cursor.segment).filter(|_| exhausted) {
            Some(next) if next < self.stop() => self.move_to(Cursor::at_start_of(next)),
            // Nothing more can come before what is in memory, even if frames are missing.
            _ if exhausted => self.cursor.sequence = self.stop(),
            _ => {}
        }
        self.backlog_ms = newest_ms.or(self.backlog_ms).filter(|_| self.has_backlog());
        self.take_read(parcel)
    }

    /// Takes in frames that were read for the first time. Returns those that have nothing to deliver.
    pub(super) fn take_read(&mut self, parcel: Parcel) -> Vec<Mark> {
        if self.gathering.limits.is_grouped() {
            self.gather_read(parcel)
        } else {
            self.stash(parcel)
        }
    }

    /// Keeps a chunk for the next worker. Returns the frames of one that has nothing to deliver.
    pub(super) fn stash(&mut self, parcel: Parcel) -> Vec<Mark> {
        if parcel.frames.is_empty() {
            return parcel.marks;
        }
        self.ready.push_back(parcel);
        Vec::new()
    }

    /// Pieces that could not be read now are read first the next time.
    pub(super) fn put_back(&mut self, id: u64, pieces: VecDeque<Piece>) {
        if pieces.is_empty() {
            return;
        }
        if let Some(group) = self.groups.get_mut(&id) {
            pieces
                .into_iter()
                .rev()
                .for_each(|piece| group.pieces.push_front(piece));
            if self.draining.front() != Some(&id) {
                self.draining.push_front(id);
            }
        }
    }

    /// Some damaged bytes of a segment may exist only there.
    pub(super) fn note_uncopied(&mut self, segment: u64) {
        if let Some(segment) = self.segment_at(segment) {
            segment.uncopied = true;
        }
    }

    /// The group that this frame completes, from now on in line for delivery.
    fn group_of(&mut self, marker: u64) -> Option<u64> {
        let (id, group) = self
            .groups
            .iter_mut()
            .find(|(_, group)| group.marker == Some(marker))?;
        let is_new = !std::mem::replace(&mut group.queued, true);
        is_new.then_some(*id)
    }
}
