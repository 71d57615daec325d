//! The bounded queue in front of a stage. Waiting for room in it is the back-pressure.

use std::sync::Arc;

use sdk::{event::Batch, metrics::Gauge};
use tokio::sync::{
    Mutex, OwnedSemaphorePermit, Semaphore,
    mpsc::{Receiver, Sender, channel},
};

/// Bytes that may wait. A batch that is larger waits alone.
const QUEUE_BYTES: u32 = 16 << 20;
/// Batches that may wait: the smallest takes this part of the bytes.
const QUEUE_BATCHES: u32 = 1_024;

/// Batches in the order in which they came, up to a limit.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<Queued>,
    /// Locked by the task of the stage as long as it runs; the next one goes on where it ended.
    pub(super) receiver: Mutex<Receiver<Queued>>,
    room: Arc<Semaphore>,
    bytes: Gauge,
}

/// Room for one batch.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

/// A batch that waits, with its room.
#[derive(Debug)]
pub(super) struct Queued(Batch, Room);

/// The router is ending.
#[derive(Debug)]
pub(super) struct Closed;

impl Queue {
    /// An empty queue; `bytes` is its gauge.
    pub(super) fn new(bytes: Gauge) -> Self {
        let (sender, receiver) = channel(QUEUE_BATCHES as usize);
        Self {
            sender,
            receiver: Mutex::new(receiver),
            room: Arc::new(Semaphore::new(QUEUE_BYTES as usize)),
            bytes,
        }
    }

    /// Waits for room for a batch of this size.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<Room, Closed> {
        let room = Arc::clone(&self.room).acquire_many_owned(charge(bytes));
        room.await.map(Room).map_err(|_| Closed)
    }

    /// Stores a batch in its room. `false` when nobody takes it any more; then its obligation breaks.
    pub(super) fn append(&self, room: Room, batch: Batch) -> bool {
        let bytes = signed(batch.events.len());
        self.bytes.inc_by(bytes);
        // Who has room never finds it full: the smallest charge is that of a place.
        let is_taken = self.sender.try_send(Queued(batch, room)).is_ok();
        if !is_taken {
            self.bytes.dec_by(bytes);
        }
        is_taken
    }

    /// The batch, and its room is free again.
    pub(super) fn taken(&self, queued: Queued) -> Batch {
        let Queued(batch, Room(permit)) = queued;
        drop(permit);
        self.bytes.dec_by(signed(batch.events.len()));
        batch
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.sender.capacity() == self.sender.max_capacity()
    }

    /// Refuses what comes from now on.
    pub(super) fn close(&self) {
        self.room.close();
    }
}

fn charge(bytes: usize) -> u32 {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    bytes.clamp(QUEUE_BYTES / QUEUE_BATCHES, QUEUE_BYTES)
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
