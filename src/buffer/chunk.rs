//! A chunk: frames on their way to the destination, and what becomes of them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sdk::output::Frame;

use super::Owner;

/// A frame as the buffer keeps account of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) sequence: u64,
    /// Sequence of the first frame of its group.
    pub(super) group: Option<u64>,
    /// What it occupies, in bytes.
    pub(super) bytes: u64,
}

/// The content of a chunk.
#[derive(Debug, Clone, Default)]
pub(super) struct Parcel {
    pub(super) frames: Vec<Frame>,
    pub(super) marks: Vec<Mark>,
    /// When its oldest frame was stored, in milliseconds since 1970.
    pub(super) oldest_ms: u64,
    /// Records that were settled before it came back.
    pub(super) settled: u64,
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

    /// Records in it.
    pub(super) fn records(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.count)).sum()
    }

    /// Bytes of its events.
    pub(super) fn events_len(&self) -> usize {
        self.frames.iter().map(|frame| frame.events.len()).sum()
    }
}

/// Frames that one flush worker delivers. Dropping it unfinished puts it back at the front of the buffer.
#[derive(Debug)]
pub struct Chunk {
    owner: Arc<Owner>,
    number: u64,
    parcel: Parcel,
    settled: AtomicU64,
    finished: bool,
}

impl Chunk {
    pub(super) fn new(owner: Arc<Owner>, number: u64, parcel: Parcel) -> Self {
        Self {
            owner,
            number,
            parcel,
            settled: AtomicU64::new(0),
            finished: false,
        }
    }

    /// Number of records in all frames.
    pub fn record_count(&self) -> u32 {
        u32::try_from(self.parcel.records()).unwrap_or(u32::MAX)
    }

    /// The frames, in the order in which they were stored.
    pub fn frames(&self) -> &[Frame] {
        &self.parcel.frames
    }

    /// This many records of it are no longer held; the caller says elsewhere how they ended.
    pub fn settle(&self, records: u64) {
        self.settled.fetch_add(records, Ordering::Relaxed);
        self.owner.shared.account.release(records);
    }

    /// Every record is settled: its frames need not be kept.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let shared = &self.owner.shared;
        let settled = self.settled.load(Ordering::Relaxed);
        if self.finished {
            // Nothing is left over when the caller kept its books; if not, the ledger must show it.
            let left = self.parcel.records().saturating_sub(settled);
            if left > 0 {
                tracing::error!(output = %shared.output_id, records = left, "a chunk ended with records unsettled");
                shared.account.release(left);
            }
            shared.index().left(self.number);
            shared.inbox.done(std::mem::take(&mut self.parcel.marks));
        } else {
            let mut parcel = std::mem::take(&mut self.parcel);
            parcel.settled = settled;
            shared.index().come_back(self.number, parcel);
            shared.notify.notify_waiters();
        }
    }
}
