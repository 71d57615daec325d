//! A chunk: frames on their way to the destination, and what becomes of them.

use std::{sync::Arc, time::Duration};

use sdk::output::{Bitmap, Frame};
use tokio::time::Instant;

use super::{Owner, chunk_keys::Key, layout::Place, now_ms, tries::Tries};

/// A frame as the buffer keeps account of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) sequence: u64,
    /// Sequence of the first frame of its group.
    pub(super) group: Option<u64>,
    /// Records in it.
    pub(super) count: u32,
    pub(super) place: Place,
}

/// The content of a chunk.
#[derive(Debug, Clone, Default)]
pub(super) struct Parcel {
    pub(super) frames: Vec<Frame>,
    pub(super) marks: Vec<Mark>,
    /// When its oldest frame was stored, in milliseconds since 1970.
    pub(super) oldest_ms: u64,
    /// The records that are not settled, after some were; `None`: all of them.
    pub(super) live: Option<Bitmap>,
    /// When its oldest frame was stored, if that is known to the monotonic clock.
    pub(super) arrived: Option<Instant>,
    /// What its records have in common, where chunks have keys.
    pub(super) key: Option<Key>,
}

impl Parcel {
    /// Adds a frame. One without records has nothing to deliver but must be accounted for.
    pub(super) fn push(&mut self, frame: Frame, mark: Mark, stored_ms: u64) {
        self.oldest_ms = if self.marks.is_empty() {
            stored_ms
        } else {
            self.oldest_ms.min(stored_ms)
        };
        self.marks.push(mark);
        if frame.count > 0 {
            self.frames.push(frame);
        }
    }

    /// Sequence of its first frame.
    pub(super) fn first(&self) -> u64 {
        self.marks.first().map_or(0, |mark| mark.sequence)
    }

    /// Records in it.
    pub(super) fn records(&self) -> u64 {
        self.marks.iter().map(|mark| u64::from(mark.count)).sum()
    }

    /// Records in it that are not settled.
    pub(super) fn live_records(&self) -> u64 {
        let live = self.live.as_ref().map(|live| u64::from(live.alive()));
        live.unwrap_or_else(|| self.records())
    }

    /// Whether its frames need not be read.
    pub(super) fn is_in_memory(&self) -> bool {
        !self.frames.is_empty() || self.marks.is_empty()
    }

    /// Bytes of its events, as far as they are in memory.
    pub(super) fn events_len(&self) -> usize {
        self.frames.iter().map(|frame| frame.events.len()).sum()
    }
}

/// What becomes of a chunk that nobody has any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It is the first to be handed out again.
    Back,
    /// It waits, and others go on.
    Aside(Instant),
    /// Its frames need not be kept.
    Done,
}

/// Frames that one flush worker delivers. Dropping it unfinished puts it back at the front of the buffer.
#[derive(Debug)]
pub struct Chunk {
    owner: Arc<Owner>,
    number: u64,
    parcel: Parcel,
    live: Bitmap,
    /// What it has gone through.
    pub tries: Tries,
    ending: Ending,
}

impl Chunk {
    pub(super) fn new(owner: Arc<Owner>, number: u64, mut parcel: Parcel, tries: Tries) -> Self {
        let records = u32::try_from(parcel.records()).unwrap_or(u32::MAX);
        let live = parcel.live.take();
        Self {
            owner,
            number,
            live: live.unwrap_or_else(|| Bitmap::full(records)),
            parcel,
            tries,
            ending: Ending::Back,
        }
    }

    /// Number of records in all frames.
    pub fn record_count(&self) -> u32 {
        self.live.len()
    }

    /// The frames, in the order in which they were stored.
    pub fn frames(&self) -> &[Frame] {
        &self.parcel.frames
    }

    /// The records that are not settled.
    pub fn live(&self) -> &Bitmap {
        &self.live
    }

    /// A number that no other chunk of this buffer has at the same time.
    pub fn first_sequence(&self) -> u64 {
        self.parcel.first()
    }

    /// How long its oldest record has been stored: by the wall clock when it was read from disk.
    pub fn age(&self) -> Duration {
        if let Some(arrived) = self.parcel.arrived {
            return arrived.elapsed();
        }
        Duration::from_millis(now_ms().saturating_sub(self.parcel.oldest_ms))
    }

    /// Only these records are not settled; the others are no longer held. The caller says elsewhere how they ended.
    pub fn settle(&mut self, live: Bitmap) {
        let settled = self.live.alive().saturating_sub(live.alive());
        self.live = live;
        self.owner.shared.account.release(u64::from(settled));
    }

    /// Notes what it has gone through, so that a restart knows it too.
    pub async fn note_tries(&self) {
        let (owner, tries) = (Arc::clone(&self.owner), self.tries.clone());
        let ranges = super::tries::ranges(&self.parcel.marks);
        if owner.shared.state.is_none() {
            return owner.shared.note_tries(&ranges, &tries);
        }
        let note = move || owner.shared.note_tries(&ranges, &tries);
        // Without it, a restart tries more often than it should.
        drop(tokio::task::spawn_blocking(note).await);
    }

    /// Leaves its worker until then, so that others go on meanwhile.
    pub fn set_aside(mut self, until: Instant) {
        self.ending = Ending::Aside(until);
    }

    /// Every record is settled: its frames need not be kept. When this returns, a restart knows it too, unless the
    /// state file cannot be written. Blocking: one small write for a disk buffer.
    pub fn finish(mut self) {
        self.ending = Ending::Done;
    }

    /// The same, from where nobody may block.
    pub async fn finish_off_thread(self) {
        if self.owner.shared.state.is_none() {
            return self.finish();
        }
        #[cfg(feature = "defects")]
        if crate::telemetry::defects::is_on("note_after_next_chunk") {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                self.finish();
            });
            return;
        }
        // A thread that is gone has dropped the chunk, which then comes back.
        drop(tokio::task::spawn_blocking(move || self.finish()).await);
    }

    fn end(&mut self) {
        // Nothing is left over when the caller kept its books; if not, the ledger must show it.
        let (shared, left) = (&self.owner.shared, u64::from(self.live.alive()));
        if left > 0 {
            tracing::error!(output = %shared.output_id, records = left, "a chunk ended with records unsettled");
            shared.account.release(left);
        }
        shared.done(std::mem::take(&mut self.parcel.marks));
        let mut index = shared.index();
        index.land(self.number);
        let is_awaited = index.is_awaited();
        drop(index);
        if is_awaited {
            shared.notify.notify_waiters();
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.owner);
        let shared = &shared.shared;
        if self.ending == Ending::Done {
            return self.end();
        }
        let mut parcel = std::mem::take(&mut self.parcel);
        let is_whole = self.live.alive() == self.live.len();
        parcel.live = (!is_whole).then(|| self.live.clone());
        let mut index = shared.index();
        let back = match self.ending {
            Ending::Aside(until) => index.set_aside(self.number, parcel, until).err(),
            Ending::Back | Ending::Done => Some(parcel),
        };
        if let Some(parcel) = back {
            index.come_back(self.number, parcel);
        }
        drop(index);
        shared.notify.notify_waiters();
    }
}
