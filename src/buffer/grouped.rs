//! Which chunk comes next where chunks have keys or an order: frames are gathered by key (`gathering.rs`) instead of
//! straight to a worker.

use tokio::time::Instant;

use super::{
    chunk::{Mark, Parcel},
    chunk_keys::{ChunkOrder, Key},
    gathering::Arrival,
    index::Index,
    queue::{Cursor, Limits, Pick, Recent},
};

impl Index {
    /// What a worker has to do. `urgent`: somebody waits for room. `unpublished`: batches are on their way.
    pub(super) fn pick_grouped(
        &mut self,
        limits: &Limits,
        urgent: bool,
        unpublished: bool,
    ) -> Pick {
        self.gathering.obey(limits);
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
        if is_aside_due || self.gather_recent(limits) {
            return self.load();
        }
        let is_up_to_date = self.is_up_to_date();
        let must_wait = self.draining.is_empty() && self.awaits_recovery();
        let may_load = !is_up_to_date && !must_wait && !self.gathering.is_crowded();
        let parcel = self.take_gathered(urgent, may_load);
        if let Some(parcel) = parcel {
            if parcel.is_in_memory() {
                return self.hand_out(parcel);
            }
            self.absent = Some(parcel);
            return self.load();
        }
        if may_load {
            return self.load();
        }
        let is_over = self.aside.is_empty() && self.gathering.is_empty() && self.recent.is_empty();
        if self.closed && !unpublished && is_over && is_up_to_date {
            return Pick::End;
        }
        let next = self.gathering.next_due().into_iter();
        Pick::Wait(next.chain(self.aside.next_at()).min())
    }

    fn load(&mut self) -> Pick {
        self.loading = true;
        Pick::Load
    }

    /// Gathers the newest frames, unless older ones come first. `true`: what comes next must be read.
    fn gather_recent(&mut self, limits: &Limits) -> bool {
        while limits.is_grouped() && self.is_up_to_date() && !self.gathering.is_crowded() {
            let Some(Recent {
                frame,
                commits,
                place,
                arrived,
                stored_ms,
            }) = self.pop_recent()
            else {
                return false;
            };
            if commits.is_some() {
                // It completes a group that only the disk has: the loader comes to it as to any backlog.
                return true;
            }
            let mark = Mark {
                sequence: frame.sequence,
                group: None,
                count: frame.count,
                place,
            };
            self.taken(place.segment, 1, u64::from(frame.count));
            self.move_to(Cursor {
                segment: place.segment,
                offset: place.offset + place.len,
                sequence: frame.sequence + 1,
            });
            self.gather_one(Arrival {
                frame,
                mark,
                stored_ms,
                arrived: Some(arrived),
            });
        }
        false
    }

    fn gather_one(&mut self, arrival: Arrival) {
        let is_due = arrival.mark.sequence <= self.flush_through;
        let (tried, sequence) = (&self.tried, arrival.mark.sequence);
        let is_alike = |first| tried.are_alike(first, sequence);
        self.gathering.take_in(arrival, is_due, is_alike);
    }

    /// Takes in what was read from disk. Returns the frames that have nothing to deliver.
    pub(super) fn gather_read(&mut self, parcel: Parcel) -> Vec<Mark> {
        let Parcel {
            frames,
            marks,
            oldest_ms,
            ..
        } = parcel;
        self.gathering
            .read(frames.iter().map(|frame| frame.events.len()).sum());
        let mut frames = frames.into_iter();
        let mut empty = Vec::new();
        for mark in marks {
            let frame = if mark.count > 0 { frames.next() } else { None };
            match frame {
                Some(frame) => self.gather_one(Arrival {
                    frame,
                    mark,
                    stored_ms: oldest_ms,
                    arrived: None,
                }),
                None => empty.push(mark),
            }
        }
        empty
    }

    /// The next gathered chunk whose key nobody has. `may_load`: there is more to be read first.
    fn take_gathered(&mut self, urgent: bool, may_load: bool) -> Option<Parcel> {
        if self.closed && !may_load || self.gathering.is_stuffed() {
            self.gathering.enqueue_all();
        }
        let order = self.gathering.limits.order;
        let (in_flight, aside) = (&self.in_flight, &self.aside);
        let is_free = |lane: &Key| match order {
            ChunkOrder::None => true,
            ChunkOrder::Strict => in_flight.is_empty() && aside.is_empty(),
            ChunkOrder::PerChunkKey => {
                let has_it = |key: &Option<Key>| key.as_ref() == Some(lane);
                !in_flight.values().any(|flying| has_it(&flying.key)) && !aside.holds(lane)
            }
        };
        let parcel = self.gathering.take(may_load && !urgent, is_free);
        if parcel.is_none() && urgent && in_flight.is_empty() {
            // Whoever waits for room waits for what is oldest, due or not.
            self.gathering.enqueue_oldest();
            return self.gathering.take(false, is_free);
        }
        parcel
    }

    /// Whether somebody may wait for a chunk to end.
    pub(super) fn is_awaited(&self) -> bool {
        let is_ordered = self.gathering.limits.order != ChunkOrder::None;
        is_ordered && !self.gathering.is_empty() || self.gathering.is_crowded()
    }

    /// Everything stored is due now.
    pub(super) fn flush(&mut self) {
        self.flush_through = self.next_sequence.saturating_sub(1);
        self.gathering.enqueue_all();
        self.aside.release();
    }

    /// Since when a chunk with a key is due; `None` when none is.
    pub(super) fn gathered_due_since(&self) -> Option<Instant> {
        if self.gathering.has_queued() {
            return Some(self.opened);
        }
        self.gathering
            .first_due()
            .filter(|due| *due <= Instant::now())
    }
}
