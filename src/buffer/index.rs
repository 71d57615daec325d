//! What lies in the buffer: all of it behind one lock.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::{
    aside::Asides,
    chunk::Parcel,
    gathering::Gathering,
    layout::{Group, Piece, Segment, Stored, chunk_of, complete},
    log::Begun,
    queue::{Cursor, Flying, Limits, Recent},
    status::Portion,
    tries::Tried,
};
use crate::telemetry::ledger::Account;

/// Everything that is stored. Always behind one lock, which is held for moments only.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) account: Account,
    pub(super) on_disk: bool,
    pub(super) segments: VecDeque<Segment>,
    /// Files of earlier processes that hold nothing but have names of segments.
    pub(super) stale: Vec<u64>,
    pub(super) groups: HashMap<u64, Group>,
    /// Groups to be delivered now.
    pub(super) draining: VecDeque<u64>,
    /// The newest frames.
    pub(super) recent: VecDeque<Recent>,
    pub(super) recent_events_len: usize,
    pub(super) recent_records: u64,
    pub(super) recent_limit: usize,
    /// Everything before it was handed out.
    pub(super) cursor: Cursor,
    /// Where to go on after a segment that could not be read when it was its turn.
    pub(super) resume: Option<Cursor>,
    /// When the frame at the cursor was stored, as far as it is only on disk.
    pub(super) backlog_ms: Option<u64>,
    /// The sequence after the newest frame.
    pub(super) next_sequence: u64,
    /// Chunks that were read, or came back.
    pub(super) ready: VecDeque<Parcel>,
    /// Chunks that wait for another try.
    pub(super) aside: Asides,
    /// What frames went through that are not done.
    pub(super) tried: Tried,
    pub(super) loading: bool,
    /// Chunks that grow and wait, where they have keys or an order.
    pub(super) gathering: Gathering,
    /// The chunk in line whose frames are to be read.
    pub(super) absent: Option<Parcel>,
    /// Chunks with the workers.
    pub(super) in_flight: BTreeMap<u64, Flying>,
    pub(super) next_number: u64,
    /// Everything up to this sequence is due.
    pub(super) flush_through: u64,
    pub(super) closed: bool,
    pub(super) opened: Instant,
}

impl Index {
    /// Nothing is stored; the next frame has the sequence `next`.
    pub(super) fn new(account: Account, next: u64, on_disk: bool, recent_limit: usize) -> Self {
        Self {
            account,
            on_disk,
            segments: VecDeque::new(),
            stale: Vec::new(),
            groups: HashMap::new(),
            draining: VecDeque::new(),
            recent: VecDeque::new(),
            recent_events_len: 0,
            recent_records: 0,
            recent_limit,
            cursor: Cursor {
                segment: next,
                offset: 0,
                sequence: next,
            },
            resume: None,
            backlog_ms: None,
            next_sequence: next,
            ready: VecDeque::new(),
            aside: Asides::default(),
            tried: Tried::default(),
            loading: false,
            gathering: Gathering::new(on_disk.then_some(recent_limit)),
            absent: None,
            in_flight: BTreeMap::new(),
            next_number: 0,
            flush_through: 0,
            closed: false,
            opened: Instant::now(),
        }
    }

    /// A new segment, to which everything is appended from now on.
    pub(super) fn begin_segment(&mut self, begun: &Begun) {
        if let Some(last) = self.segments.back_mut() {
            last.sealed = true;
            if let Some(sealed) = begun.sealed {
                (last.len, last.rest) = (sealed.len, sealed.rest);
            }
        }
        self.segments.push_back(Segment {
            first: begun.first,
            len: begun.len,
            voids: begun.voids,
            ..Segment::default()
        });
        // Sequences between the segments are not used.
        let is_up_to_date = !self.has_backlog() && self.recent.is_empty();
        self.next_sequence = self.next_sequence.max(begun.first);
        if is_up_to_date {
            self.cursor.sequence = self.next_sequence;
        }
    }

    /// Takes in what has become durable.
    pub(super) fn publish(&mut self, stored: Vec<Stored>) {
        #[cfg(feature = "defects")]
        let stored = without_last(stored);
        for stored in stored {
            let is_up_to_date = !self.has_backlog() && self.recent.is_empty();
            self.next_sequence = stored.frame.sequence + 1;
            let (records, place) = (u64::from(stored.frame.count), stored.place);
            if let Some(segment) = self.segments.back_mut() {
                segment.frames += 1;
                segment.live_bytes += place.len;
                segment.len = place.offset + place.len;
                if stored.piece.is_none() {
                    segment.untaken_frames += 1;
                    segment.untaken_records += records;
                }
            }
            match stored.piece {
                None => self.push_recent(Recent {
                    commits: None,
                    ..Recent::from(stored)
                }),
                Some((group, last)) => self.publish_piece(group, last, stored, is_up_to_date),
            }
        }
        self.evict();
    }

    fn publish_piece(&mut self, id: u64, last: bool, stored: Stored, is_up_to_date: bool) {
        let sequence = stored.frame.sequence;
        let group = self.groups.entry(id).or_default();
        let held = (!self.on_disk).then(|| (stored.frame.clone(), stored.arrived));
        let (count, place, stored_ms) = (stored.frame.count, stored.place, stored.stored_ms);
        group.pieces.push_back(Piece {
            sequence,
            count,
            place,
            stored_ms,
            held,
        });
        if !last {
            group.others_left += 1;
            if is_up_to_date {
                // Nothing lies between the cursor and this piece, so nobody needs to look for it on disk.
                let offset = place.offset + place.len;
                self.move_to(Cursor {
                    segment: place.segment,
                    offset,
                    sequence: sequence + 1,
                });
            }
            return;
        }
        group.marker = Some(sequence);
        group.chunk = chunk_of(&stored.frame);
        if self.on_disk {
            // A large message is read back: pieces do not crowd the memory that is meant for the newest frames.
            let mut recent = Recent {
                commits: Some(id),
                ..Recent::from(stored)
            };
            recent.frame.events = bytes::Bytes::new();
            recent.frame.count = 0;
            self.push_recent(recent);
        } else if let Some(group) = self.groups.remove(&id) {
            self.release_held(group);
        }
    }

    /// The pieces of a complete group in a memory buffer are frames like others.
    fn release_held(&mut self, group: Group) {
        for Piece {
            place,
            stored_ms,
            held,
            ..
        } in group.pieces
        {
            if let Some((mut frame, arrived)) = held {
                complete(&mut frame, &group.chunk);
                self.push_recent(Recent {
                    frame,
                    commits: None,
                    place,
                    arrived,
                    stored_ms,
                });
            }
        }
    }

    /// The sender's chunk id of a group; empty when it has none.
    pub(super) fn chunk_of_group(&self, id: u64) -> bytes::Bytes {
        let group = self.groups.get(&id);
        group.map(|group| group.chunk.clone()).unwrap_or_default()
    }

    /// Whether there is nothing to deliver and nothing on its way: what is stored are pieces of open groups.
    pub(super) fn is_barren(&self) -> bool {
        let at_rest = self.in_flight.is_empty() && !self.loading && self.ready.is_empty();
        let has_no_chunk = self.aside.is_empty() && self.gathering.is_empty();
        at_rest && has_no_chunk && self.recent.is_empty() && self.is_up_to_date()
    }

    /// The chunks that no worker has.
    fn chunks(&self) -> impl Iterator<Item = &Parcel> + '_ {
        let held = self.ready.iter().chain(&self.absent);
        held.chain(self.aside.iter()).chain(self.gathering.iter())
    }

    /// Records and bytes that no worker has got, for a memory buffer that ends.
    pub(super) fn leftover(&self) -> (u64, u64) {
        let chunks = self.chunks();
        let ready = chunks.map(|parcel| (parcel.live_records(), parcel.events_len()));
        let recent = (self.recent_records, self.recent_events_len);
        let pieces = self.groups.values().flat_map(|group| &group.pieces);
        let held = pieces.filter_map(|piece| piece.held.as_ref());
        let held = held.map(|(frame, _)| (u64::from(frame.count), frame.events.len()));
        let all = ready.chain([recent]).chain(held);
        all.fold((0, 0), |(records, bytes), more| {
            (records + more.0, bytes + more.1 as u64)
        })
    }

    /// Since when something is due or under way, at the latest since the buffer was opened.
    pub(super) fn due_since(&self, limits: &Limits) -> Option<Instant> {
        let is_under_way = self.loading || !self.in_flight.is_empty() || !self.ready.is_empty();
        if is_under_way || !self.is_up_to_date() || self.aside.has_due() {
            return Some(self.opened);
        }
        if limits.is_grouped() {
            return self.gathered_due_since();
        }
        let due_at = self.recent.front()?.arrived + limits.interval;
        (due_at <= Instant::now()).then_some(due_at)
    }

    /// What is being gathered, and what waits for delivery, of `used` bytes in all.
    pub(super) fn portions(&self, used: u64, chunk_bytes: usize) -> (Portion, Portion) {
        let chunks = |bytes: u64| bytes.div_ceil(chunk_bytes.max(1) as u64);
        let (growing, waiting) = self.gathering.counts();
        let recent = self.recent_events_len as u64;
        let staged = (recent + self.gathering.growing_bytes() as u64).min(used);
        let stage = Portion {
            chunks: chunks(recent) + growing as u64,
            bytes: staged,
        };
        let held = self.in_flight.len() + self.ready.len() + self.aside.len();
        let counted = (held + waiting) as u64;
        if counted == 0 && self.is_up_to_date() {
            // What a disk buffer occupies beyond the stage are segments that are not removed yet.
            return (stage, Portion::default());
        }
        let bytes = used - staged;
        let chunks = if self.is_up_to_date() {
            counted
        } else {
            counted.max(chunks(bytes))
        };
        (stage, Portion { chunks, bytes })
    }

    /// When the newest frame was stored, as far as it is in memory, in milliseconds since 1970.
    pub(super) fn newest_ms(&self) -> Option<u64> {
        let flying = self.in_flight.values().map(|flying| flying.oldest_ms);
        let chunks = self.chunks();
        let ready = chunks.map(|parcel| parcel.oldest_ms);
        let recent = self.recent.back().map(|recent| recent.stored_ms);
        let backlog = self.backlog_ms.filter(|_| self.has_backlog());
        flying.chain(ready).chain(recent).chain(backlog).max()
    }

    /// When the oldest frame was stored, in milliseconds since 1970.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        let flying = self.in_flight.values().map(|flying| flying.oldest_ms);
        let chunks = self.chunks();
        let ready = chunks.map(|parcel| parcel.oldest_ms);
        let groups = self
            .groups
            .values()
            .filter_map(|group| Some(group.pieces.front()?.stored_ms));
        let recent = self.recent.front().map(|recent| recent.stored_ms);
        let backlog = self.backlog_ms.filter(|_| self.has_backlog());
        flying
            .chain(ready)
            .chain(groups)
            .chain(recent)
            .chain(backlog)
            .min()
    }
}

impl From<Stored> for Recent {
    fn from(stored: Stored) -> Self {
        let Stored {
            frame,
            place,
            arrived,
            stored_ms,
            ..
        } = stored;
        Self {
            frame,
            commits: None,
            place,
            arrived,
            stored_ms,
        }
    }
}

#[cfg(feature = "defects")]
fn without_last(mut stored: Vec<Stored>) -> Vec<Stored> {
    if stored.len() > 1 && crate::telemetry::defects::is_on("lose_last_frame") {
        stored.pop();
    }
    stored
}
