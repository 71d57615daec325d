//! Which frames come next: the newest from memory, older ones from disk, large messages when they are complete.

use std::{ops::Range, sync::Arc, time::Duration};

use sdk::output::Frame;
use tokio::time::Instant;

use super::{
    chunk::{Mark, Parcel},
    chunk_keys::{ChunkKeys, ChunkOrder, Key},
    index::Index,
    layout::{Group, Place},
    segment::SEGMENT_HEADER_LEN,
    settings::BufferSettings,
    tries::Tries,
};
use crate::telemetry::ledger::DropReason;

/// What an entry of the newest frames costs besides its events, in bytes.
const RECENT_COST: usize = 256;

/// The place up to which frames were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// First sequence of the segment.
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// Every frame before this sequence was handed out.
    pub(super) sequence: u64,
}

impl Cursor {
    /// The first frame of a segment.
    pub(super) fn at_start_of(segment: u64) -> Self {
        Self {
            segment,
            offset: SEGMENT_HEADER_LEN as u64,
            sequence: segment,
        }
    }
}

/// One of the newest frames.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) frame: Frame,
    /// The frame completes this group, which is read from disk.
    pub(super) commits: Option<u64>,
    pub(super) place: Place,
    pub(super) arrived: Instant,
    pub(super) stored_ms: u64,
}

/// A chunk with a worker.
#[derive(Debug)]
pub(super) struct Flying {
    /// When its oldest frame was stored, in milliseconds since 1970.
    pub(super) oldest_ms: u64,
    pub(super) key: Option<Key>,
}

/// How large a chunk may be, how long it may wait, and what goes together.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) records: u64,
    pub(super) interval: Duration,
    pub(super) keys: Arc<ChunkKeys>,
    pub(super) order: ChunkOrder,
}

impl Limits {
    pub(super) fn of(settings: &BufferSettings) -> Self {
        Self {
            bytes: settings.chunk_limit_bytes,
            records: settings
                .chunk_limit_records
                .map_or(u64::from(u32::MAX), u64::from),
            interval: settings.flush_interval,
            keys: Arc::clone(&settings.chunk_keys),
            order: settings.ordering,
        }
    }

    /// Whether frames are gathered by key first.
    pub(super) fn is_grouped(&self) -> bool {
        !self.keys.is_empty() || self.order != ChunkOrder::None
    }

    /// Whether a chunk that holds `bytes` and `records` has room for this frame too.
    pub(super) fn admits(
        &self,
        (bytes, records): (usize, u64),
        frame_bytes: usize,
        frame_records: u64,
    ) -> bool {
        records == 0
            || (bytes + frame_bytes <= self.bytes && records + frame_records <= self.records)
    }
}

/// What a worker that wants a chunk has to do.
#[derive(Debug)]
pub(super) enum Pick {
    /// Deliver this.
    Chunk(u64, Parcel, Tries),
    /// See to it that the next chunk is read from disk.
    Load,
    /// Wait, until this instant at the latest.
    Wait(Option<Instant>),
    /// There will be nothing more.
    End,
}

impl Index {
    /// The sequence from which on frames are in memory.
    pub(super) fn stop(&self) -> u64 {
        self.recent
            .front()
            .map_or(self.next_sequence, |recent| recent.frame.sequence)
    }

    /// Whether there are frames that are only on disk.
    pub(super) fn has_backlog(&self) -> bool {
        self.on_disk && self.cursor.sequence < self.stop()
    }

    /// Whether nothing is to be read from disk.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.draining.is_empty() && !self.has_backlog()
    }

    pub(super) fn push_recent(&mut self, recent: Recent) {
        if recent.frame.count == 0 && recent.commits.is_none() {
            return;
        }
        self.recent_events_len += recent.frame.events.len();
        self.recent_records += u64::from(recent.frame.count);
        self.recent.push_back(recent);
    }

    pub(super) fn pop_recent(&mut self) -> Option<Recent> {
        let recent = self.recent.pop_front()?;
        self.recent_events_len -= recent.frame.events.len();
        self.recent_records -= u64::from(recent.frame.count);
        Some(recent)
    }

    /// Forgets those of the newest frames.
    pub(super) fn forget_recent(&mut self, which: impl Fn(&Recent) -> bool) {
        self.recent.retain(|recent| {
            let goes = which(recent);
            if goes {
                self.recent_events_len -= recent.frame.events.len();
                self.recent_records -= u64::from(recent.frame.count);
            }
            !goes
        });
    }

    /// Forgets the oldest of the newest frames when they are too many; they will be read from disk.
    pub(super) fn evict(&mut self) {
        while self.on_disk
            && self.recent_events_len + self.recent.len() * RECENT_COST > self.recent_limit
        {
            let Some(recent) = self.pop_recent() else {
                return;
            };
            self.backlog_ms.get_or_insert(recent.stored_ms);
        }
    }

    /// What a worker has to do. `urgent`: somebody waits for room. `unpublished`: batches are on their way.
    pub(super) fn pick(&mut self, limits: &Limits, urgent: bool, unpublished: bool) -> Pick {
        if limits.is_grouped() || !self.gathering.is_empty() {
            return self.pick_grouped(limits, urgent, unpublished);
        }
        if let Some(parcel) = self.ready.pop_front() {
            return self.hand_out(parcel);
        }
        if self.loading {
            return Pick::Wait(None);
        }
        let is_aside_due = self.aside.is_due();
        if !self.on_disk
            && let Some(parcel) = self.aside.take_due()
        {
            return self.hand_out(parcel);
        }
        if is_aside_due || !self.is_up_to_date() {
            if !is_aside_due && self.draining.is_empty() && self.awaits_recovery() {
                return Pick::Wait(self.aside.next_at());
            }
            self.loading = true;
            return Pick::Load;
        }
        let Some(front) = self.recent.front() else {
            return if self.closed && !unpublished && self.aside.is_empty() {
                Pick::End
            } else {
                Pick::Wait(self.aside.next_at())
            };
        };
        let due_at = front.arrived + limits.interval;
        if !urgent && !self.is_due(front, limits) && Instant::now() < due_at {
            let aside_at = self.aside.next_at().unwrap_or(due_at);
            return Pick::Wait(Some(due_at.min(aside_at)));
        }
        if front.commits.is_some() {
            // The front is the marker of a group that only the disk has: the loader comes to it as to any backlog.
            self.pop_recent();
            self.loading = true;
            return Pick::Load;
        }
        let parcel = self.gather(limits);
        self.hand_out(parcel)
    }

    fn is_due(&self, front: &Recent, limits: &Limits) -> bool {
        self.closed
            || limits.interval.is_zero()
            || front.frame.sequence <= self.flush_through
            || self.recent_events_len >= limits.bytes
            || self.recent_records >= limits.records
    }

    pub(super) fn hand_out(&mut self, parcel: Parcel) -> Pick {
        let number = self.next_number;
        self.next_number += 1;
        let flying = Flying {
            oldest_ms: parcel.oldest_ms,
            key: parcel.key.clone(),
        };
        self.in_flight.insert(number, flying);
        let tries = self.tried.of(&parcel.marks);
        Pick::Chunk(number, parcel, tries)
    }

    /// A chunk from the newest frames.
    fn gather(&mut self, limits: &Limits) -> Parcel {
        let mut parcel = Parcel::default();
        let mut size = (0, 0);
        while let Some(front) = self.recent.front() {
            let (bytes, records) = (front.frame.events.len(), u64::from(front.frame.count));
            if front.commits.is_some() || !limits.admits(size, bytes, records) {
                break;
            }
            let Some(Recent {
                frame,
                place,
                arrived,
                stored_ms,
                ..
            }) = self.pop_recent()
            else {
                break;
            };
            size = (size.0 + bytes, size.1 + records);
            let mark = Mark {
                sequence: frame.sequence,
                group: None,
                count: frame.count,
                place,
            };
            self.taken(place.segment, 1, records);
            let offset = place.offset + place.len;
            self.move_to(Cursor {
                segment: place.segment,
                offset,
                sequence: frame.sequence + 1,
            });
            parcel.arrived.get_or_insert(arrived);
            parcel.push(frame, mark, stored_ms);
        }
        parcel
    }

    pub(super) fn taken(&mut self, segment: u64, frames: u32, records: u64) {
        if let Some(segment) = self.segment_at(segment) {
            segment.untaken_frames = segment.untaken_frames.saturating_sub(frames);
            segment.untaken_records = segment.untaken_records.saturating_sub(records);
        }
    }

    /// Moves the cursor. Whatever nobody got of a segment that it leaves cannot be read: it is lost.
    pub(super) fn move_to(&mut self, cursor: Cursor) {
        let left = self.cursor.segment..cursor.segment;
        self.cursor = cursor;
        if !left.is_empty() {
            self.leave(&left);
        }
    }

    /// Leaves a segment that was out of its order, and goes on where it was before.
    pub(super) fn go_on_at(&mut self, resume: Cursor) {
        let left = self.cursor.segment..self.cursor.segment + 1;
        self.cursor = resume;
        self.leave(&left);
    }

    /// The cursor has left these segments.
    fn leave(&mut self, left: &Range<u64>) {
        for segment in self
            .segments
            .iter_mut()
            .filter(|segment| left.contains(&segment.first))
        {
            let (frames, records) = (segment.untaken_frames, segment.untaken_records);
            if frames > 0 {
                (segment.untaken_frames, segment.untaken_records) = (0, 0);
                segment.done_frames += frames;
                self.account.release(records);
                self.account.dropped(DropReason::Corrupt, records, 0);
                tracing::error!(
                    segment = segment.first,
                    records,
                    "records are lost: their frames are damaged"
                );
            }
        }
        let missed = |(id, group): (&u64, &mut Group)| {
            let is_missed =
                !group.queued && group.marker.is_some_and(|marker| left.contains(&marker));
            group.queued |= is_missed;
            is_missed.then_some(*id)
        };
        let missed: Vec<u64> = self.groups.iter_mut().filter_map(missed).collect();
        self.draining.extend(missed);
    }

    /// No worker has this chunk any more.
    pub(super) fn land(&mut self, number: u64) {
        self.in_flight.remove(&number);
    }

    /// A chunk comes back; it is among the first to be handed out again.
    pub(super) fn come_back(&mut self, number: u64, parcel: Parcel) {
        self.land(number);
        // Others may have come back before it.
        let older = |other: &Parcel| other.first() < parcel.first();
        let place = self.ready.partition_point(older);
        self.ready.insert(place, parcel);
    }
}
