//! Buffers: where the records of an output wait, in memory or on disk, and the dead letter.
//!
//! Begin with [`Buffer`]. A batch reserves room (`room.rs`) and goes through the inbox (`inbox.rs`) to the
//! writer thread (`writer.rs`), which appends frames to the log (`log.rs`) and syncs once for all that wait.
//! What is stored stands in the index (`index.rs`), from which workers take chunks (`queue.rs`), reading back
//! from disk what is no longer in memory (`load.rs`). At start, `recover.rs` finds out what is there.
//! `docs/BUFFER_FORMAT.md` has every byte of the files.

mod backlog;
mod bytes_in;
mod chunk;
mod clearing;
mod dead_letter;
mod error;
mod files;
mod frame;
mod identity;
mod inbox;
mod index;
mod layout;
mod life;
mod load;
mod log;
mod metrics;
mod notes;
mod quarantine;
mod queue;
mod ranges;
mod recover;
mod room;
mod scan;
mod segment;
mod settings;
mod settle;
mod state;
mod status;
mod survey;
mod window;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sdk::{event::Batch, metrics::Metrics};
use tokio::time::Instant;

pub use self::{
    chunk::Chunk,
    dead_letter::{DeadLetter, DeadLetterError, DeadRecord},
    error::{BufferError, Refusal},
    room::Reservation,
    settings::{BufferKind, BufferSettings, Durability, Overflow},
    status::Status,
};
use self::{
    inbox::Pending,
    life::{Owner, Shared, new_id, now_ms},
    load::load,
    queue::{Limits, Pick},
    room::{Request, Room},
};
use crate::telemetry::ledger::Account;

/// The buffer of one output. Cheap to clone; when the last clone and the last chunk are gone, the writer
/// finishes what it has and the directory is free again.
#[derive(Debug, Clone)]
pub struct Buffer(Arc<Owner>);

impl Buffer {
    /// Opens a buffer and recovers what an earlier process left in it. Blocking.
    ///
    /// # Errors
    /// [`BufferError`]: the directory cannot be used.
    pub fn open(
        settings: BufferSettings,
        output_id: Arc<str>,
        account: Account,
        metrics: &Metrics,
    ) -> Result<Self, BufferError> {
        Owner::start(settings, output_id, account, metrics).map(|owner| Self(Arc::new(owner)))
    }

    /// Reserves room for a batch with this many bytes of events. With `overflow_action = "block"` it waits for
    /// room, in the order of the requests; dropping the future gives up the place in the line.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn reserve(&self, bytes: usize) -> Result<Reservation, Refusal> {
        let shared = &self.0.shared;
        let answer = match shared.room.request(bytes) {
            Request::Now(answer) => answer,
            Request::Later(later) => {
                shared.overflowed();
                let _line = InLine(&shared.room);
                return later.await.unwrap_or(Err(Refusal::Closed));
            }
        };
        if answer
            .as_ref()
            .is_err_and(|refusal| *refusal == Refusal::Full)
        {
            shared.overflowed();
        }
        answer
    }

    /// Stores a batch. Its obligation is met when it is durable, a piece's when its whole group is. If it cannot
    /// be stored, the obligation is dropped unmet and the records are counted as dropped.
    pub fn append(&self, reservation: Reservation, batch: Batch) {
        let shared = &self.0.shared;
        if batch.count == 0 && batch.piece.is_none() {
            return batch.due.meet();
        }
        shared.account.hold(u64::from(batch.count));
        shared.unpublished.fetch_add(1, Ordering::Release);
        shared.inbox.push(Pending {
            batch,
            reserved: reservation.into_bytes(),
            arrived: Instant::now(),
        });
    }

    /// The next chunk that is due. `None` when the buffer is closed and nothing more will come.
    pub async fn next_chunk(&self) -> Option<Chunk> {
        let shared = &self.0.shared;
        let limits = Limits::of(&shared.settings);
        loop {
            let mut changed = pin!(shared.notify.notified());
            changed.as_mut().enable();
            let unpublished = shared.unpublished.load(Ordering::Acquire) > 0;
            let pick = shared
                .index()
                .pick(&limits, shared.room.is_wanted(), unpublished);
            match pick {
                Pick::Chunk(number, parcel) => {
                    return Some(Chunk::new(Arc::clone(&self.0), number, parcel));
                }
                Pick::End => return None,
                Pick::Load => {
                    let shared = Arc::clone(shared);
                    // Not awaited: if this future is dropped, the chunk waits for the next worker.
                    drop(tokio::task::spawn_blocking(move || load(&shared)));
                    changed.await;
                }
                Pick::Wait(None) => changed.await,
                Pick::Wait(Some(until)) => {
                    // Either way, the next look tells what to do.
                    drop(tokio::time::timeout_at(until, changed).await);
                }
            }
        }
    }

    /// Everything stored is due now.
    pub fn flush(&self) {
        let mut index = self.0.shared.index();
        index.flush_through = index.next_sequence.saturating_sub(1);
        drop(index);
        self.0.shared.notify.notify_waiters();
    }

    /// Takes nothing more; what is stored is due now.
    pub fn close(&self) {
        self.0.shared.room.close(&Refusal::Closed);
        self.0.shared.index().closed = true;
        self.0.shared.notify.notify_waiters();
    }

    /// A look at the buffer.
    pub fn status(&self) -> Status {
        let shared = &self.0.shared;
        let oldest_ms = shared.index().oldest_ms();
        Status {
            bytes: shared.room.used(),
            records: u64::try_from(shared.account.held_now()).unwrap_or(0),
            limit_bytes: shared.settings.total_limit_bytes,
            is_full: shared.room.is_full(),
            oldest_age: oldest_ms
                .map(|oldest| Duration::from_millis(now_ms().saturating_sub(oldest))),
            disk_free_bytes: shared.dir.as_deref().and_then(files::free_bytes),
            failed: shared.failure().map(str::to_owned),
        }
    }

    /// Unique id of the buffer: made with its directory, or with the process when it is in memory.
    pub fn id(&self) -> u128 {
        self.0.shared.id
    }
}

/// Gives the next in line a chance when a request for room is given up.
struct InLine<'a>(&'a Room);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.serve();
    }
}
