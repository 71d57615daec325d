//! The life of a buffer: what its parts share, how it is opened, and how it ends.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicUsize},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sdk::metrics::Metrics;
use tokio::sync::Notify;

use super::{
    error::{BufferError, Refusal},
    inbox::Inbox,
    index::Index,
    load::Loader,
    metrics::BufferMetrics,
    recover::{self, Opened},
    room::Room,
    settings::{BufferKind, BufferSettings},
    window::Window,
    writer::{Disk, Writer},
};
use crate::telemetry::ledger::Account;

/// What clones and chunks share; its end is the end of the writer.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    /// The lock of the directory; given back after the writer has ended.
    _lock: Option<File>,
}

/// What the writer, the workers and the senders share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) output_id: Arc<str>,
    pub(super) id: u128,
    pub(super) settings: BufferSettings,
    /// The directory of a disk buffer.
    pub(super) dir: Option<PathBuf>,
    pub(super) account: Account,
    pub(super) metrics: BufferMetrics,
    pub(super) room: Room,
    pub(super) inbox: Inbox,
    pub(super) index: Mutex<Index>,
    pub(super) loader: Mutex<Loader>,
    /// Something changed that a worker may wait for.
    pub(super) notify: Notify,
    /// Batches that were admitted and are not in the index yet.
    pub(super) unpublished: AtomicUsize,
    pub(super) failure: OnceLock<String>,
}

impl Owner {
    /// Opens the files, if there are any, and starts the writer.
    ///
    /// # Errors
    /// [`BufferError`].
    pub(super) fn start(
        settings: BufferSettings,
        output_id: Arc<str>,
        account: Account,
        metrics: &Metrics,
    ) -> Result<Self, BufferError> {
        let metrics = BufferMetrics::new(metrics);
        let room = Room::new(settings.total_limit_bytes, settings.overflow);
        let (dir, opened, disk, lock) = match &settings.kind {
            BufferKind::Memory => (None, Opened::in_memory(&account), None, None),
            BufferKind::File { path } => {
                let (opened, disk, lock) =
                    recover::open(path, &settings, &account, &room, &metrics)?;
                (Some(path.clone()), opened, Some(disk), Some(lock))
            }
        };
        let shared = Arc::new(Shared {
            output_id,
            id: opened.id,
            settings,
            dir,
            account,
            metrics,
            room,
            inbox: Inbox::default(),
            index: Mutex::new(opened.index),
            loader: Mutex::default(),
            notify: Notify::new(),
            unpublished: AtomicUsize::new(0),
            failure: OnceLock::new(),
        });
        let writer = spawn(
            Arc::clone(&shared),
            disk,
            opened.window,
            opened.next_sequence,
        )?;
        Ok(Self {
            shared,
            writer: Some(writer),
            _lock: lock,
        })
    }
}

/// Starts the writer thread.
fn spawn(
    shared: Arc<Shared>,
    disk: Option<Disk>,
    window: Window,
    next_sequence: u64,
) -> Result<JoinHandle<()>, BufferError> {
    let watch = Watch(Arc::clone(&shared));
    let (open_groups, backlog) = (HashMap::new(), VecDeque::new());
    let writer = Writer {
        shared,
        disk,
        window,
        next_sequence,
        open_groups,
        backlog,
        disk_full: false,
    };
    let run = move || {
        let _watch = watch;
        writer.run();
    };
    thread::Builder::new()
        .name("buffer".to_owned())
        .spawn(run)
        .map_err(BufferError::Thread)
}

impl Shared {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    pub(super) fn set_failure(&self, reason: &str) {
        // The first reason is the one that counts.
        drop(self.failure.set(reason.to_owned()));
    }

    /// Somebody found no room: what can be delivered is due now, and what can be freed is.
    pub(super) fn overflowed(&self) {
        self.metrics.overflow.inc();
        self.inbox.poke();
        self.notify.notify_waiters();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.inbox.end();
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been reported by its watch.
            drop(writer.join());
        }
    }
}

/// Marks the buffer as failed if the writer panics, so that nobody waits for it for ever.
#[derive(Debug)]
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = "the writer panicked".to_owned();
            self.0.set_failure(&reason);
            self.0.room.close(&Refusal::Failed { reason });
            drop(self.0.inbox.take(Some(Duration::ZERO), None));
            self.0.notify.notify_waiters();
        }
    }
}

/// The wall clock in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A new identity. The keys of `RandomState` come from the operating system.
pub(super) fn new_id() -> u128 {
    let half = || u128::from(RandomState::new().hash_one((now_ms(), std::process::id())));
    half() << 64 | half()
}
