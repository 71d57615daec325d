//! Buffers: where the records of an output wait, in memory or on disk, and the dead letter.
//!
//! Begin with [`Buffer`]. A batch reserves room (`room.rs`) and goes through the inbox (`inbox.rs`) to the
//! writer thread (`writer.rs`), which appends frames to the log (`log.rs`) and syncs once for all that wait.
//! What is stored stands in the index (`index.rs`), from which workers take chunks (`queue.rs`), by key or in
//! order where that is asked for (`grouped.rs`), reading back from disk what is no longer in memory (`load.rs`).
//! At start, `recover.rs` opens the directory, and `background.rs` looks through what is there.
//! `docs/BUFFER_FORMAT.md` has every byte of the files.

mod active;
mod adopting;
mod aside;
mod audit;
mod background;
mod backlog;
mod ballast;
mod bytes_in;
mod chunk;
mod chunk_keys;
mod claim;
mod clearing;
mod dead_letter;
mod dead_lines;
mod error;
mod evacuate;
mod files;
mod frame;
mod gathering;
mod grouped;
mod identity;
mod inbox;
mod index;
mod inspect;
mod inventory;
mod layout;
mod life;
mod line;
mod load;
mod log;
mod mending;
mod metrics;
mod notes;
mod noting;
mod old_groups;
mod open_groups;
mod overflow;
mod parting;
mod passage;
mod quarantine;
mod queue;
mod ranges;
mod recover;
mod reread;
mod resuming;
mod room;
mod salt;
mod scan;
mod segment;
mod settings;
mod settle;
mod space;
mod state;
mod status;
mod store;
mod survey;
mod syncing;
mod tries;
mod walk;
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
    chunk_keys::{ChunkKeys, ChunkOrder, TimeKey},
    claim::Claim,
    dead_letter::{DeadLetter, DeadLetterError, DeadRecord},
    dead_lines::{BadLine, DeadLine, DeadLines, dead_files, dead_lines},
    error::{BufferError, Refusal},
    inspect::{DamageView, Held, Inspection, SegmentView, Tally},
    room::Reservation,
    settings::{BufferKind, BufferSettings, Durability, Overflow},
    status::{Portion, Status},
    tries::Tries,
};
use self::{
    files::Files,
    inbox::Pending,
    life::{Owner, Shared, new_id, now_ms},
    load::load,
    queue::{Limits, Pick},
    room::{InLine, Request},
};
use crate::telemetry::ledger::Account;

/// The buffer of one output. Cheap to clone; when the last clone and the last chunk are gone, the writer
/// finishes what it has and the directory is free again.
#[derive(Debug, Clone)]
pub struct Buffer(Arc<Owner>);

impl Buffer {
    /// Opens a buffer. What an earlier process left in it is looked through while it already takes records. Blocking.
    ///
    /// # Errors
    /// [`BufferError`]: the directory cannot be used.
    pub fn open(
        settings: BufferSettings,
        output_id: Arc<str>,
        account: Account,
        metrics: &Metrics,
    ) -> Result<Self, BufferError> {
        Self::open_on(Files::system(), settings, output_id, account, metrics)
    }

    /// As [`Buffer::open`], on another file system.
    fn open_on(
        files: Files,
        settings: BufferSettings,
        output_id: Arc<str>,
        account: Account,
        metrics: &Metrics,
    ) -> Result<Self, BufferError> {
        let owner = Owner::start(files, settings, output_id, account, metrics)?;
        Ok(Self(Arc::new(owner)))
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
        let keys = Arc::clone(&shared.settings().chunk_keys);
        let parts = parting::part(&keys, batch);
        shared.unpublished.fetch_add(parts.len(), Ordering::Release);
        // The first part stands for the whole room: it is given back when that is stored.
        let (mut reserved, arrived) = (reservation.into_bytes(), Instant::now());
        for batch in parts {
            shared.inbox.push(Pending {
                batch,
                reserved: std::mem::take(&mut reserved),
                arrived,
            });
        }
    }

    /// The next chunk that is due. `None` when the buffer is closed and nothing more will come.
    pub async fn next_chunk(&self) -> Option<Chunk> {
        let shared = &self.0.shared;
        loop {
            let limits = Limits::of(&shared.settings());
            let mut changed = pin!(shared.notify.notified());
            changed.as_mut().enable();
            let unpublished = shared.unpublished.load(Ordering::Acquire) > 0;
            let pick = shared
                .index()
                .pick(&limits, shared.room.is_wanted(), unpublished);
            match pick {
                Pick::Chunk(number, parcel, tries) => {
                    return Some(Chunk::new(Arc::clone(&self.0), number, parcel, tries));
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

    /// Since when something is due or under way, at the latest since the buffer was opened; `None` when nothing is.
    pub fn due_since(&self) -> Option<Instant> {
        let limits = Limits::of(&self.0.shared.settings());
        self.0.shared.index().due_since(&limits)
    }

    /// Everything stored is due now.
    pub fn flush(&self) {
        self.0.shared.index().flush();
        self.0.shared.notify.notify_waiters();
    }

    /// Chunks that were set aside are due now: what made them fail is over.
    pub fn release_aside(&self) {
        self.0.shared.index().aside.release();
        self.0.shared.notify.notify_waiters();
    }

    /// Takes nothing more; what is stored is due now.
    pub fn close(&self) {
        self.0.shared.room.close(&Refusal::Closed);
        self.0.shared.index().closed = true;
        self.0.shared.notify.notify_waiters();
    }

    /// Behaves as these settings say from now on, with what is stored. The kind of buffer and its directory stay as they
    /// are.
    pub fn change(&self, settings: &BufferSettings) {
        self.0.shared.change(settings);
    }

    /// Whether a batch is answered for only when the destination took it.
    pub fn is_passage(&self) -> bool {
        self.0.shared.settings().durability == Durability::Delivered
    }

    /// Whether nothing is stored, under way, or on its way into the buffer.
    pub fn is_empty(&self) -> bool {
        let shared = &self.0.shared;
        let at_rest = shared.unpublished.load(Ordering::Acquire) == 0;
        let index = shared.index();
        let mut groups = index.groups.values();
        // What is left of a message of which a piece is lost is for the next start.
        at_rest && index.is_barren() && groups.all(|group| group.pieces.is_empty())
    }

    /// A look at the buffer.
    pub fn status(&self) -> Status {
        let shared = &self.0.shared;
        let bytes = shared.room.used();
        let settings = shared.settings();
        let chunk_bytes = settings.chunk_limit_bytes;
        let index = shared.index();
        let (stage, queue) = index.portions(bytes, chunk_bytes);
        let (oldest_ms, newest_ms) = (index.oldest_ms(), index.newest_ms());
        let pinned_bytes = index.pinned_bytes();
        drop(index);
        Status {
            bytes,
            stage,
            queue,
            newest_ms,
            records: u64::try_from(shared.account.held_now()).unwrap_or(0),
            limit_bytes: settings.total_limit_bytes,
            is_full: shared.room.is_full(),
            oldest_age: oldest_ms
                .map(|oldest| Duration::from_millis(now_ms().saturating_sub(oldest))),
            disk_free_bytes: shared
                .dir
                .as_deref()
                .and_then(|dir| shared.files.volume(dir))
                .map(|volume| volume.free),
            pinned_bytes,
            is_recovering: shared.is_recovering(),
            failed: shared.failure(),
        }
    }

    /// Unique id of the buffer: made with its directory, or with the process when it is in memory.
    pub fn id(&self) -> u128 {
        self.0.shared.id
    }
}
