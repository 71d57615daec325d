//! Opening a buffer directory: the lock, the identity, and a segment for what comes. What earlier processes left is only
//! listed; `background.rs` looks through it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    ballast::Ballast,
    error::BufferError,
    files::{Files, OpenFile},
    identity,
    index::Index,
    layout::Segment,
    log::{Begun, Log, Trouble},
    metrics::BufferMetrics,
    new_id, now_ms,
    queue::Cursor,
    ranges::Ranges,
    room::Room,
    segment::{FRAMES_MAX, SegmentHeader},
    settings::BufferSettings,
    space::Space,
    state::StateFile,
    survey::FoundPiece,
    tries::Tried,
    window::{Found, Window},
    writer::Disk,
};
use crate::telemetry::ledger::Account;

/// What a buffer begins with.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: u128,
    pub(super) index: Index,
    /// `None` as long as old segments are not looked through.
    pub(super) window: Option<Window>,
    pub(super) next_sequence: u64,
    /// Why no segment could be made.
    pub(super) failure: Option<String>,
    /// `None` in a memory buffer.
    pub(super) state: Option<StateFile>,
    /// `None` in a memory buffer.
    pub(super) ballast: Option<Ballast>,
    /// `None` when there is nothing to look through.
    pub(super) recovery: Option<Recovery>,
}

impl Opened {
    /// An empty buffer in memory.
    pub(super) fn in_memory(account: &Account) -> Self {
        let index = Index::new(account.clone(), 1, false, usize::MAX);
        Self {
            id: new_id(),
            index,
            window: Some(Window::default()),
            next_sequence: 1,
            failure: None,
            state: None,
            ballast: None,
            recovery: None,
        }
    }
}

/// Opens the directory of a buffer. The lock is to be held as long as it is in use.
///
/// # Errors
/// [`BufferError`].
pub(super) fn open(
    files: &Files,
    dir: &Path,
    settings: &BufferSettings,
    account: &Account,
    room: &Room,
    metrics: &BufferMetrics,
) -> Result<(Opened, Disk, OpenFile), BufferError> {
    files
        .make_dir(dir)
        .map_err(BufferError::io("make directory", dir))?;
    let lock = files.lock(dir)?;
    let recovery = Recovery::begin(files, dir, metrics)?;
    let (id, next) = (recovery.id, recovery.next_sequence);
    let (space, mut ballast) = Space::open(files, dir, settings, metrics);
    let limit = space.segment_limit(settings);
    let mut log = Log::new(files, dir.to_owned(), id, settings.durability, limit);
    let mut begun = log.begin(next);
    while matches!(begun, Err(Trouble::NoRoom(_))) && ballast.release() {
        begun = log.begin(next);
    }
    let (begun, failure) = match begun {
        Ok(begun) => (Some(begun), None),
        // What is there is delivered all the same. The writer waits for room.
        Err(Trouble::NoRoom(_)) => (None, None),
        Err(Trouble::Failed(reason)) => (None, Some(reason)),
    };
    if let Err(error) = identity::write_format(files, dir, id) {
        tracing::warn!(path = %dir.display(), %error, "the segments alone tell whose directory it is");
    }
    let next = begun.map_or(next, |begun| begun.first);
    let mut index = recovery.index(account, next, settings.recent_bytes, begun);
    room.occupy(index.segments.iter().map(|segment| segment.len).sum());
    let mut state = StateFile::new(files, dir, id);
    if let Err(error) = state.rewrite(&index.notes()) {
        tracing::warn!(path = %dir.display(), %error, "the state file cannot be written; a restart would repeat records");
    }
    // Without a segment of this process, their names may be needed.
    index.stale = if begun.is_some() {
        recovery.remove_empty()
    } else {
        recovery.empty.clone()
    };
    let (path, segments) = (dir.display(), recovery.segments.len());
    tracing::info!(%path, segments, durability = ?settings.durability, "buffer opened");
    let recovery = Some(recovery).filter(|recovery| !recovery.segments.is_empty());
    let window = || Window::recover(files, dir, id, Vec::new(), now_ms());
    let opened = Opened {
        id,
        index,
        window: recovery.is_none().then(window),
        next_sequence: next,
        failure,
        state: Some(state),
        ballast: Some(ballast),
        recovery,
    };
    Ok((opened, Disk { log, space }, lock))
}

/// A segment of an earlier process.
#[derive(Debug)]
pub(super) struct Old {
    pub(super) first: u64,
    /// `None` when it is damaged or could not be read.
    pub(super) header: Option<SegmentHeader>,
    /// Length of the file.
    pub(super) len: u64,
}

impl Old {
    /// Whether it tells that frames in older segments do not count.
    pub(super) fn voids(&self) -> bool {
        self.header.is_some_and(|header| header.void_from.is_some())
    }
}

/// What is known of a directory while its old segments are looked through.
#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) files: Files,
    pub(super) dir: PathBuf,
    pub(super) id: u128,
    /// First sequences of the segments found.
    pub(super) names: Vec<u64>,
    /// A sequence that was never used.
    pub(super) next_sequence: u64,
    /// What is to be looked through, oldest first.
    pub(super) segments: Vec<Old>,
    /// What could not be read.
    pub(super) unreadable: Vec<Old>,
    /// Files that hold nothing.
    pub(super) empty: Vec<u64>,
    /// Frames that were written and never became durable.
    pub(super) void: Ranges,
    /// Frames that are done, as the state file tells.
    pub(super) done: Ranges,
    /// What frames went through that are not done.
    pub(super) tried: Tried,
    /// Pieces of messages that are not complete, by message.
    pub(super) pieces: BTreeMap<u64, Vec<FoundPiece>>,
    /// Sequences of frames that are lost.
    pub(super) lost: Vec<u64>,
    /// First sequences of files in quarantine: what was in them is lost as well.
    pub(super) aside: Vec<u64>,
    /// Messages that may come again, with their segments.
    pub(super) known: Vec<(u64, Found)>,
}

impl Recovery {
    /// The index before anything was looked through.
    fn index(
        &self,
        account: &Account,
        next: u64,
        recent_limit: usize,
        begun: Option<Begun>,
    ) -> Index {
        let mut index = Index::new(account.clone(), next, true, recent_limit);
        let segments = self.segments.iter().map(|old| Segment {
            first: old.first,
            len: old.len,
            sealed: true,
            unseen: true,
            voids: old.voids(),
            done: self
                .done
                .within(old.first, old.first + u64::from(FRAMES_MAX)),
            ..Segment::default()
        });
        index.segments = segments.collect();
        for Old { first, .. } in &self.segments {
            let end = first + u64::from(FRAMES_MAX) - 1;
            index.tried.extend(self.tried.within(*first, end));
        }
        if let Some(begun) = &begun {
            index.begin_segment(begun);
        }
        let oldest = index.segments.front().map_or(next, |segment| segment.first);
        index.cursor = Cursor::at_start_of(oldest);
        index.flush_through = next.saturating_sub(1);
        index
    }
}
