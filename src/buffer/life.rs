//! The life of a buffer: what its parts share, how it is opened, and how it ends.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicUsize},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sdk::metrics::Metrics;
use tokio::sync::Notify;

use super::{
    audit::Audit,
    background,
    ballast::Ballast,
    error::BufferError,
    files::{Files, OpenFile},
    inbox::Inbox,
    index::Index,
    load::Loader,
    mending::Mending,
    metrics::BufferMetrics,
    overflow::Untold,
    passage::Passage,
    recover::{self, Opened},
    room::Room,
    settings::{BufferKind, BufferSettings, Durability},
    state::StateFile,
    syncing::Lag,
    writer::Writer,
};
use crate::telemetry::ledger::Account;

/// What clones and chunks share; its end is the end of the writer.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    /// Looks through what an earlier process left.
    recovery: Option<JoinHandle<()>>,
    /// The lock of the directory; given back after the writer has ended.
    _lock: Option<OpenFile>,
}

/// What the writer, the workers and the senders share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) output_id: Arc<str>,
    pub(super) id: u128,
    settings: RwLock<Arc<BufferSettings>>,
    pub(super) files: Files,
    /// The directory of a disk buffer.
    pub(super) dir: Option<PathBuf>,
    pub(super) account: Account,
    pub(super) metrics: BufferMetrics,
    pub(super) room: Room,
    pub(super) inbox: Inbox,
    pub(super) index: Mutex<Index>,
    pub(super) loader: Mutex<Loader>,
    /// The state file of a disk buffer.
    pub(super) state: Option<Mutex<StateFile>>,
    /// Room on the volume of a disk buffer for what must be written when there is none.
    pub(super) ballast: Option<Mutex<Ballast>>,
    /// Something changed that a worker may wait for.
    pub(super) notify: Notify,
    /// Batches that were admitted and are not in the index yet.
    pub(super) unpublished: AtomicUsize,
    /// Why the disk takes nothing now.
    failure: Mutex<Option<String>>,
    /// Whether segments of an earlier process are still looked through.
    recovering: AtomicBool,
    /// Nobody uses the buffer any more.
    ending: AtomicBool,
}

impl Owner {
    /// Opens the files, if there are any, and starts the writer.
    ///
    /// # Errors
    /// [`BufferError`].
    pub(super) fn start(
        files: Files,
        settings: BufferSettings,
        output_id: Arc<str>,
        account: Account,
        metrics: &Metrics,
    ) -> Result<Self, BufferError> {
        let metrics = BufferMetrics::new(metrics, &settings);
        let room = Room::new(settings.total_limit_bytes, settings.overflow);
        let (dir, opened, disk, lock) = match &settings.kind {
            BufferKind::Memory => (None, Opened::in_memory(&account), None, None),
            BufferKind::File { path } => {
                let (opened, disk, lock) =
                    recover::open(&files, path, &settings, &account, &room, &metrics)?;
                (Some(path.clone()), opened, Some(disk), Some(lock))
            }
        };
        let shared = Arc::new(Shared {
            output_id,
            id: opened.id,
            settings: RwLock::new(Arc::new(settings)),
            files,
            dir,
            account,
            metrics,
            room,
            inbox: Inbox::default(),
            index: Mutex::new(opened.index),
            loader: Mutex::default(),
            state: opened.state.map(Mutex::new),
            ballast: opened.ballast.map(Mutex::new),
            notify: Notify::new(),
            unpublished: AtomicUsize::new(0),
            failure: Mutex::default(),
            recovering: AtomicBool::new(opened.recovery.is_some()),
            ending: AtomicBool::new(false),
        });
        let writer = Writer {
            mending: Mending::new(&shared.files),
            audit: Audit::new(&shared.files),
            lag: Lag::default(),
            shared,
            disk,
            passage: Passage::default(),
            has_window: opened.window.is_some(),
            window: opened.window.unwrap_or_default(),
            waiting: VecDeque::new(),
            next_sequence: opened.next_sequence,
            open_groups: HashMap::new(),
            backlog: VecDeque::new(),
            disk_full: false,
            rest_until: None,
            untold: Untold::default(),
        };
        let (shared, writer) = spawn(writer, opened.failure)?;
        let mut owner = Self {
            shared,
            writer: Some(writer),
            recovery: None,
            _lock: lock,
        };
        if let Some(recovery) = opened.recovery {
            // Before anybody can ask: nothing left would mean that all is known.
            owner.shared.metrics.recovery_left(recovery.left());
            let started = background::start(recovery, &owner.shared);
            owner.recovery = Some(started.map_err(BufferError::Thread)?);
        }
        Ok(owner)
    }
}

/// Starts the writer thread. `failure`: why there is no segment yet.
fn spawn(
    mut writer: Writer,
    failure: Option<String>,
) -> Result<(Arc<Shared>, JoinHandle<()>), BufferError> {
    let shared = Arc::clone(&writer.shared);
    let watch = Watch(Arc::clone(&shared));
    if let Some(reason) = failure {
        writer.fail(&reason);
    }
    let run = move || {
        let _watch = watch;
        writer.run();
    };
    let thread = thread::Builder::new().name("buffer".to_owned());
    let thread = thread.spawn(run).map_err(BufferError::Thread)?;
    Ok((shared, thread))
}

impl Shared {
    /// How the buffer behaves now.
    pub(super) fn settings(&self) -> Arc<BufferSettings> {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&settings)
    }

    /// Behaves otherwise from now on. Where it is and what an answer means to a sender stay.
    pub(super) fn change(&self, settings: &BufferSettings) {
        let before = self.settings();
        let settings = BufferSettings {
            kind: before.kind.clone(),
            durability: match before.durability {
                Durability::Delivered => Durability::Delivered,
                _ => settings.durability,
            },
            ..settings.clone()
        };
        self.room
            .set_limit(settings.total_limit_bytes, settings.overflow);
        self.metrics.promise(&settings);
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.inbox.poke();
        self.notify.notify_waiters();
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the disk takes nothing now.
    pub(super) fn failure(&self) -> Option<String> {
        let failure = self.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The disk takes nothing, for this reason; or it does again.
    pub(super) fn set_failure(&self, reason: Option<&str>) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = reason.map(str::to_owned);
        drop(failure);
        self.room.set_failure(reason);
    }

    /// Whether segments of an earlier process are still looked through.
    pub(super) fn is_recovering(&self) -> bool {
        self.recovering.load(Ordering::Acquire)
    }

    /// All of them were looked through, or tried.
    pub(super) fn set_recovered(&self) {
        self.recovering.store(false, Ordering::Release);
        self.tell_looked_through();
    }

    /// There may be something to deliver, or to remove.
    pub(super) fn tell_looked_through(&self) {
        self.inbox.poke();
        self.notify.notify_waiters();
    }

    /// Whether nobody uses the buffer any more.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
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
        self.shared.ending.store(true, Ordering::Relaxed);
        if let Some(recovery) = self.recovery.take() {
            recovery.thread().unpark();
            // It has said itself that it panicked.
            drop(recovery.join());
        }
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
            self.0.set_failure(Some("the writer panicked"));
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
