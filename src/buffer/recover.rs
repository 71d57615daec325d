//! Opening a buffer directory: the lock, the identity, and what earlier processes left behind.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    chunk::Mark,
    error::BufferError,
    files, identity,
    index::Index,
    layout::Group,
    log::Log,
    metrics::BufferMetrics,
    new_id, now_ms,
    quarantine::Quarantine,
    queue::Cursor,
    room::Room,
    scan::find_salt,
    segment::{FRAMES_MAX, SEGMENT_HEADER_LEN},
    settings::BufferSettings,
    state::{self, StateFile},
    survey::{FoundPiece, Surroundings, Survey, survey},
    window::Window,
    writer::Disk,
};
use crate::telemetry::ledger::{Account, DropReason};

/// What a buffer begins with.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: u128,
    pub(super) index: Index,
    pub(super) window: Window,
    pub(super) next_sequence: u64,
}

impl Opened {
    /// An empty buffer in memory.
    pub(super) fn in_memory(account: &Account) -> Self {
        let index = Index::new(account.clone(), 1, false, usize::MAX);
        Self {
            id: new_id(),
            index,
            window: Window::default(),
            next_sequence: 1,
        }
    }
}

/// Opens the directory of a buffer and finds out what is in it. The lock is to be held as long as it is in use.
///
/// # Errors
/// [`BufferError`].
pub(super) fn open(
    dir: &Path,
    settings: &BufferSettings,
    account: &Account,
    room: &Room,
    metrics: &BufferMetrics,
) -> Result<(Opened, Disk, File), BufferError> {
    files::make_dir(dir).map_err(BufferError::io("make directory", dir))?;
    let lock = files::lock(dir)?;
    let mut recovery = Recovery::begin(dir)?;
    recovery.survey(metrics)?;
    let groups = recovery.groups();
    recovery.book(&groups, account);
    let next = recovery.next_sequence();
    let log = Log::create(
        dir.to_owned(),
        recovery.id,
        next,
        settings.durability,
        settings.segment_limit(),
    )
    .map_err(BufferError::io("make a segment in", dir))?;
    identity::write_format(dir, recovery.id)?;
    let window = recovery.window();
    let mut index = recovery.index(groups, account, next, settings.recent_bytes);
    room.occupy(index.segments.iter().map(|segment| segment.len).sum());
    index.settle(&recovery.discarded);
    let state = StateFile::create(dir, recovery.id, &index.all_done())
        .map_err(BufferError::io("write the state file in", dir))?;
    let (path, records) = (dir.display(), account.held_now());
    tracing::info!(%path, records, durability = ?settings.durability, "buffer opened");
    let opened = Opened {
        id: recovery.id,
        index,
        window,
        next_sequence: next,
    };
    Ok((opened, Disk { log, state }, lock))
}

struct Recovery {
    dir: PathBuf,
    id: u128,
    /// First sequences of the segments found.
    names: Vec<u64>,
    surveys: Vec<Survey>,
    /// Frames of groups that are given up.
    discarded: Vec<Mark>,
    discarded_records: u64,
}

impl Recovery {
    fn begin(dir: &Path) -> Result<Self, BufferError> {
        let names = files::segments(dir).map_err(BufferError::io("list", dir))?;
        let mut id = None;
        for first in names.iter().rev() {
            id = id.or(identity::header(dir, *first)?.map(|header| header.buffer));
        }
        let noted = identity::read_format(dir)?;
        // A new identity when there is no segment: the sequences that were used before are not known.
        let id = id
            .or_else(|| noted.filter(|_| !names.is_empty()))
            .unwrap_or_else(new_id);
        Ok(Self {
            dir: dir.to_owned(),
            id,
            names,
            surveys: Vec::new(),
            discarded: Vec::new(),
            discarded_records: 0,
        })
    }

    fn survey(&mut self, metrics: &BufferMetrics) -> Result<(), BufferError> {
        let done = state::read(&self.dir, self.id);
        let quarantine = Quarantine::new(&self.dir);
        let around = Surroundings {
            done: &done,
            quarantine: &quarantine,
            metrics,
        };
        for first in &self.names {
            let path = files::segment_path(&self.dir, *first);
            let fail = |what| BufferError::io(what, path.clone());
            let known = identity::header(&self.dir, *first)?;
            let foreign =
                known.is_some_and(|header| header.buffer != self.id || header.first != *first);
            let (file, len) = files::open(&path).map_err(fail("open"))?;
            let salt = match known {
                Some(header) => Some(header.salt),
                None => find_salt(&file, SEGMENT_HEADER_LEN as u64, len).map_err(fail("read"))?,
            };
            let Some(salt) = salt.filter(|_| !foreign) else {
                self.set_aside(&path, foreign, len)?;
                continue;
            };
            self.surveys.push(survey(file, *first, salt, len, around));
        }
        Ok(())
    }

    /// A file that is not a segment of this buffer goes into quarantine as it is.
    fn set_aside(&self, path: &Path, foreign: bool, len: u64) -> Result<(), BufferError> {
        if len <= SEGMENT_HEADER_LEN as u64 && !foreign {
            // A segment that was being made, or that never got a frame.
            return files::remove(path).map_err(BufferError::io("remove", path));
        }
        tracing::error!(path = %path.display(), foreign, "not a segment of this buffer; moved into quarantine");
        Quarantine::new(&self.dir)
            .take_file(path)
            .map_err(BufferError::io("move into quarantine", path))
    }

    /// The groups that are to be delivered. Others are given up.
    fn groups(&mut self) -> BTreeMap<u64, Group> {
        let mut found: BTreeMap<u64, Vec<FoundPiece>> = BTreeMap::new();
        for piece in self
            .surveys
            .iter_mut()
            .flat_map(|survey| survey.pieces.drain(..))
        {
            found.entry(piece.group).or_default().push(piece);
        }
        let mut groups = BTreeMap::new();
        for (id, pieces) in found {
            if pieces.iter().all(|piece| piece.done) {
                continue;
            }
            let newest = pieces
                .iter()
                .map(|piece| piece.piece.sequence)
                .max()
                .unwrap_or(id);
            let last = pieces.iter().find(|piece| piece.last);
            let chunk = last.map(|last| last.chunk.clone()).unwrap_or_default();
            let marker = last.map(|last| (last.piece.sequence, last.done));
            match marker.or_else(|| self.lost_marker(newest)) {
                Some((marker, marker_done)) => {
                    let pieces = pieces
                        .into_iter()
                        .filter(|piece| !piece.done)
                        .map(|piece| piece.piece);
                    let mut group = Group {
                        pieces: pieces.collect(),
                        marker: Some(marker),
                        marker_done,
                        chunk,
                        ..Group::default()
                    };
                    group.others_left = group
                        .pieces
                        .iter()
                        .filter(|piece| piece.sequence != marker)
                        .count();
                    groups.insert(id, group);
                }
                None => self.give_up(pieces),
            }
        }
        groups
    }

    /// A frame behind `newest` that is lost: it may have completed the group, and a record too often is better
    /// than one too few. Its segment is kept until the group is done, so that the next start decides alike.
    fn lost_marker(&mut self, newest: u64) -> Option<(u64, bool)> {
        let survey = self
            .surveys
            .iter_mut()
            .rev()
            .find(|survey| survey.lost.iter().any(|lost| *lost > newest))?;
        let lost = survey
            .lost
            .iter()
            .copied()
            .filter(|lost| *lost > newest)
            .max()?;
        survey.segment.frames += 1;
        Some((lost, true))
    }

    fn give_up(&mut self, pieces: Vec<FoundPiece>) {
        for FoundPiece { piece, .. } in pieces.into_iter().filter(|piece| !piece.done) {
            self.discarded_records += u64::from(piece.count);
            self.discarded.push(piece.mark(None));
        }
    }

    fn book(&self, groups: &BTreeMap<u64, Group>, account: &Account) {
        let whole: u64 = self.surveys.iter().map(|survey| survey.live_records).sum();
        let pieces = groups.values().flat_map(|group| &group.pieces);
        account.recovered(whole + pieces.map(|piece| u64::from(piece.count)).sum::<u64>());
        let corrupt: u64 = self
            .surveys
            .iter()
            .map(|survey| survey.corrupt_records)
            .sum();
        let corrupt_bytes: u64 = self.surveys.iter().map(|survey| survey.corrupt_bytes).sum();
        let aborted_bytes = self.discarded.iter().map(|mark| mark.bytes).sum();
        if corrupt_bytes > 0 {
            tracing::error!(
                records = corrupt,
                bytes = corrupt_bytes,
                "records are lost: their frames are damaged"
            );
        }
        let dropped = [
            (DropReason::Corrupt, corrupt, corrupt_bytes),
            (DropReason::Aborted, self.discarded_records, aborted_bytes),
        ];
        for (reason, records, bytes) in dropped {
            account.recovered(records);
            account.release(records);
            account.dropped(reason, records, bytes);
        }
    }

    /// A sequence that was never used: neither by what was found, nor by what a power cut may have undone.
    fn next_sequence(&self) -> u64 {
        let seen = self
            .surveys
            .iter()
            .map(|survey| survey.next_sequence)
            .max()
            .unwrap_or(1);
        let named = self
            .names
            .last()
            .map_or(1, |newest| newest + u64::from(FRAMES_MAX));
        seen.max(named)
    }

    fn window(&mut self) -> Window {
        let mut frames = Vec::new();
        for survey in &mut self.surveys {
            let segment = survey.segment.first;
            frames.extend(survey.known.drain(..).map(|found| (segment, found)));
        }
        Window::recover(&self.dir, self.id, frames, now_ms())
    }

    fn index(
        &mut self,
        groups: BTreeMap<u64, Group>,
        account: &Account,
        next: u64,
        recent_limit: usize,
    ) -> Index {
        let mut index = Index::new(account.clone(), next, true, recent_limit);
        index.backlog_ms = self
            .surveys
            .iter()
            .filter_map(|survey| survey.oldest_ms)
            .min();
        index.segments = self
            .surveys
            .drain(..)
            .map(|survey| survey.segment)
            .collect();
        index.begin_segment(next, SEGMENT_HEADER_LEN as u64, None);
        let oldest = index.segments.front().map_or(next, |segment| segment.first);
        index.cursor = Cursor::at_start_of(oldest);
        index.flush_through = next.saturating_sub(1);
        for (id, mut group) in groups {
            // A group whose marker is lost will not be come across.
            let marker = group.marker.unwrap_or(id);
            let has_marker = group.pieces.iter().any(|piece| piece.sequence == marker);
            group.queued = !has_marker;
            if !has_marker {
                index.draining.push_back(id);
            }
            index.groups.insert(id, group);
        }
        index
    }
}
