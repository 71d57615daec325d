//! `overflow_action = "drop_oldest_chunk"`: what is given up so that something newer can be taken.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    chunk::Mark,
    index::Index,
    layout::{Group, Segment},
    ranges::Ranges,
    segment::FRAMES_MAX,
    settings::Overflow,
    state::Note,
    writer::Writer,
};
use crate::telemetry::ledger::DropReason;

/// How often it is said that records are dropped.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What was given up.
#[derive(Debug, Default)]
pub(super) struct Victims {
    pub(super) records: u64,
    /// What it occupied, roughly.
    pub(super) bytes: u64,
    /// Sequences that are done with it.
    done: Ranges,
    /// Frames of a memory buffer, of which each has its own room.
    marks: Vec<Mark>,
}

/// What could be given up, since no worker has it.
#[derive(Debug)]
struct Free {
    /// Complete groups: for each, the frames that are not done.
    groups: HashMap<u64, Vec<u64>>,
    /// Whole batches in chunks that were set aside or wait for more, in order.
    aside: Vec<u64>,
}

/// Records that were dropped and not told yet.
#[derive(Debug, Default)]
pub(super) struct Untold {
    records: u64,
    bytes: u64,
    said: Option<Instant>,
}

impl Writer {
    /// Whether what is oldest goes when there is no room.
    pub(super) fn may_drop_oldest(&self) -> bool {
        self.shared.settings().overflow == Overflow::DropOldestChunk
    }

    /// Gives up the oldest records until those who wait find room, or nothing more can be given up.
    pub(super) fn drop_oldest(&mut self) {
        while self.may_drop_oldest() && self.shared.room.is_short() {
            if !self.drop_some() {
                // All that is there is under way, or the disk gives nothing back: senders wait.
                self.shared.room.set_full();
                break;
            }
        }
        self.tell_dropped(SAY_EVERY);
    }

    /// Gives up as little as gives room. `false` when there is nothing.
    pub(super) fn drop_some(&mut self) -> bool {
        let mut victims = self.shared.index().drop_oldest();
        if victims.is_none()
            && self.shared.index().is_newest_droppable()
            && self.rotate_on_ballast().is_ok()
        {
            victims = self.shared.index().drop_oldest();
        }
        let Some(victims) = victims else {
            return false;
        };
        self.book(&victims);
        let used = self.shared.room.used();
        if self.disk.is_none() {
            self.passage.meet(&victims.marks);
            let bytes = victims.marks.iter().map(|mark| mark.place.len).sum();
            self.shared.room.free(bytes);
        } else {
            let done = victims.done.iter();
            let notes: Vec<Note> = done.map(|(first, last)| Note::Done(first, last)).collect();
            self.shared.note(&notes);
            self.remove_spent();
        }
        // A segment that cannot be removed gives no room; to give up the next one would not help.
        self.shared.room.used() < used
    }

    fn book(&mut self, victims: &Victims) {
        let Victims { records, bytes, .. } = *victims;
        self.untold.records += records;
        self.untold.bytes += bytes;
        let account = &self.shared.account;
        account.release(records);
        #[cfg(feature = "defects")]
        if crate::telemetry::defects::is_on("evict_uncounted") {
            return;
        }
        account.dropped(DropReason::Overflow, records, bytes);
    }

    /// Says what was dropped since it was last said, unless that is too short ago.
    pub(super) fn tell_dropped(&mut self, every: Duration) {
        let is_early = self.untold.said.is_some_and(|said| said.elapsed() < every);
        if self.untold.records == 0 || is_early {
            return;
        }
        let Untold { records, bytes, .. } = std::mem::take(&mut self.untold);
        self.untold.said = Some(Instant::now());
        tracing::warn!(output = %self.shared.output_id, records, bytes, "the buffer is full; its oldest records were dropped");
    }
}

impl Index {
    /// Takes out the oldest records whose room can be given back and that no worker has: of a disk buffer those of a
    /// whole segment, since less gives no room.
    fn drop_oldest(&mut self) -> Option<Victims> {
        if !self.on_disk {
            return self.drop_oldest_frame();
        }
        if self.has_unseen() {
            // What is oldest is not known yet.
            return None;
        }
        let free = self.free();
        let at =
            self.segments.iter().enumerate().position(|(at, segment)| {
                segment.sealed && self.is_droppable(at, segment, &free)
            })?;
        Some(self.drop_segment(at, &free))
    }

    /// Whether the segment that is appended to could be given up, were it sealed.
    fn is_newest_droppable(&self) -> bool {
        let at = self.segments.len().saturating_sub(1);
        let free = self.free();
        let newest = self.segments.back().filter(|segment| !segment.sealed);
        newest.is_some_and(|segment| self.is_droppable(at, segment, &free))
    }

    /// What was set aside and the newest frames are all that a memory buffer can give up.
    fn drop_oldest_frame(&mut self) -> Option<Victims> {
        let oldest = self
            .aside
            .take_oldest()
            .or_else(|| self.gathering.take_oldest());
        if let Some(parcel) = oldest {
            self.tried.forget(&parcel.marks);
            return Some(Victims {
                records: parcel.live_records(),
                bytes: parcel.marks.iter().map(|mark| mark.place.len).sum(),
                done: Ranges::default(),
                marks: parcel.marks,
            });
        }
        let recent = self.pop_recent()?;
        let mark = Mark {
            sequence: recent.frame.sequence,
            group: None,
            count: recent.frame.count,
            place: recent.place,
        };
        Some(Victims {
            records: u64::from(recent.frame.count),
            bytes: recent.place.len,
            done: Ranges::default(),
            marks: vec![mark],
        })
    }

    fn free(&self) -> Free {
        let mut pieces: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut aside = Vec::new();
        let chunks = self.aside.iter().chain(self.gathering.iter());
        for mark in chunks.flat_map(|parcel| &parcel.marks) {
            match mark.group {
                Some(id) => pieces.entry(id).or_default().push(mark.sequence),
                None => aside.push(mark.sequence),
            }
        }
        aside.sort_unstable();
        let mut frames = |(id, group): (&u64, &Group)| {
            let aside = pieces.remove(id).unwrap_or_default();
            Some((*id, group.free_frames(aside)?))
        };
        let groups = self.groups.iter().filter_map(&mut frames).collect();
        Free { groups, aside }
    }

    /// Whether everything in a segment that is not done can be given up, and its file can go then.
    fn is_droppable(&self, at: usize, segment: &Segment, free: &Free) -> bool {
        let is_being_read = self.loading && self.cursor.segment == segment.first;
        // It tells what does not count in older segments, so it stays as long as they do.
        let must_stay = segment.held || (segment.voids && at > 0);
        if is_being_read || must_stay {
            return false;
        }
        let sequences = self.sequences_of(at, segment);
        let pieces = free.groups.values().flatten();
        let pieces = pieces.filter(|sequence| sequences.contains(sequence));
        let before = |end: u64| free.aside.partition_point(|sequence| *sequence < end);
        let aside = before(sequences.end) - before(sequences.start);
        let live = u64::from(segment.frames.saturating_sub(segment.done_frames));
        let untaken = u64::from(segment.untaken_frames);
        live > 0 && live == untaken + (pieces.count() + aside) as u64
    }

    /// The sequences that may stand in a segment.
    fn sequences_of(&self, at: usize, segment: &Segment) -> std::ops::Range<u64> {
        let next = self.segments.get(at + 1);
        let end = next.map_or(self.next_sequence, |next| next.first);
        segment.first..end.min(segment.first + u64::from(FRAMES_MAX))
    }

    fn drop_segment(&mut self, at: usize, free: &Free) -> Victims {
        let mut victims = Victims::default();
        let Some(segment) = self.segments.get(at) else {
            return victims;
        };
        let (first, sequences) = (segment.first, self.sequences_of(at, segment));
        let is_in = |frames: &Vec<u64>| frames.iter().any(|frame| sequences.contains(frame));
        let groups = free.groups.iter();
        let groups: HashSet<u64> = groups
            .filter(|(_, frames)| is_in(frames))
            .map(|(id, _)| *id)
            .collect();
        for id in &groups {
            self.drop_group(*id, &mut victims);
        }
        self.draining.retain(|id| !groups.contains(id));
        let is_in = |mark: &Mark| mark.group.is_none() && sequences.contains(&mark.sequence);
        let gone = self.remove_waiting(is_in, &mut victims);
        self.tried.forget(&gone);
        if let Some(segment) = self.segments.get_mut(at) {
            victims.records += std::mem::take(&mut segment.untaken_records);
            victims.bytes += segment.len;
            (segment.untaken_frames, segment.live_bytes) = (0, 0);
            segment.done_frames = segment.frames;
            let last = sequences.end.saturating_sub(1);
            segment.done.insert(first, last);
            victims.done.insert(first, last);
        }
        self.forget_recent(|recent| {
            let is_of_group = recent.commits.is_some_and(|id| groups.contains(&id));
            recent.place.segment == first || is_of_group
        });
        if !self.has_backlog() {
            self.backlog_ms = None;
        }
        victims
    }

    /// Takes frames out of the chunks that no worker has.
    fn remove_waiting(
        &mut self,
        which: impl Fn(&Mark) -> bool,
        victims: &mut Victims,
    ) -> Vec<Mark> {
        let (aside, mut gone) = self.aside.remove(&which);
        let (gathered, more) = self.gathering.remove(&which);
        victims.records += aside + gathered;
        gone.extend(more);
        gone
    }

    /// Gives up a group as a whole: half a message is worth nothing.
    fn drop_group(&mut self, id: u64, victims: &mut Victims) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let pieces = std::mem::take(&mut group.pieces);
        victims.records += pieces
            .iter()
            .map(|piece| u64::from(piece.count))
            .sum::<u64>();
        let mut marks: Vec<Mark> = pieces.iter().map(|piece| piece.mark(Some(id))).collect();
        marks.extend(self.remove_waiting(|mark| mark.group == Some(id), victims));
        for (first, last) in self.settle(&marks).iter() {
            victims.done.insert(first, last);
        }
    }
}

impl Group {
    /// The sequences of its frames that are not done, when it is complete and no worker has any of them.
    /// `aside`: those of them in chunks that were set aside.
    fn free_frames(&self, aside: Vec<u64>) -> Option<Vec<u64>> {
        let marker = self.marker?;
        let mut frames = aside;
        frames.extend(self.pieces.iter().map(|piece| piece.sequence));
        let others = frames
            .iter()
            .filter(|sequence| **sequence != marker)
            .count();
        let has_marker = others < frames.len();
        if others != self.others_left || !(has_marker || self.marker_done) {
            return None;
        }
        if !has_marker {
            frames.push(marker);
        }
        Some(frames)
    }
}
