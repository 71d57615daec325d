//! The end of the log: frames are staged, and appended to the newest segment in one go.

use std::{
    io::{self, IoSlice},
    path::PathBuf,
};

use bytes::Bytes;
use sdk::event::Batch;

use super::{
    active::{Active, Sealed},
    files::{self, Files},
    frame::{self, Head, Kind},
    layout::Place,
    segment::{FRAMES_MAX, SEGMENT_HEADER_LEN},
    settings::Durability,
};

/// Appends frames to the newest segment. Used by the writer thread alone.
#[derive(Debug)]
pub(super) struct Log {
    files: Files,
    dir: PathBuf,
    buffer: u128,
    durability: Durability,
    /// Length at which a segment is sealed.
    limit: u64,
    /// `None` as long as none could be made.
    active: Option<Active>,
    /// Sequence of the first frame that was written without becoming durable, until a later frame does.
    void_from: Option<u64>,
    /// Headers and metadata of the staged frames, back to back.
    heads: Vec<u8>,
    staged: Vec<Staged>,
    staged_len: u64,
    staged_records: u32,
}

#[derive(Debug)]
struct Staged {
    /// Where its head ends in `heads`.
    head_end: usize,
    trailer: [u8; 4],
}

/// Whether a frame could be staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It will lie here.
    Staged(Place),
    /// The segment has no room for it.
    NextSegment,
    /// It is longer than any frame may be.
    TooLong,
}

/// Why frames could not be committed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The volume has no room; nothing of the group is stored.
    NoRoom(io::Error),
    /// The disk failed. What is on it of the group is not known, so it goes into another segment or nowhere.
    Failed(String),
}

/// A segment was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    /// Sequence of its first frame: the one that was asked for, or a later one.
    pub(super) first: u64,
    pub(super) len: u64,
    /// It tells that frames in older segments do not count.
    pub(super) voids: bool,
    /// The segment before it.
    pub(super) sealed: Option<Sealed>,
}

impl Log {
    /// A log without a segment.
    pub(super) fn new(
        files: &Files,
        dir: PathBuf,
        buffer: u128,
        durability: Durability,
        limit: u64,
    ) -> Self {
        Self {
            files: files.clone(),
            dir,
            buffer,
            durability,
            limit,
            active: None,
            void_from: None,
            heads: Vec::new(),
            staged: Vec::new(),
            staged_len: 0,
            staged_records: 0,
        }
    }

    /// Is as durable as this from the next commit on, and seals segments at this length.
    pub(super) fn obey(&mut self, durability: Durability, limit: u64) {
        (self.durability, self.limit) = (durability, limit);
    }

    /// Prepares a frame behind those staged before. Nothing is written yet.
    pub(super) fn stage(
        &mut self,
        batch: &Batch,
        kind: Kind,
        group: u64,
        sequence: u64,
        stored_ms: u64,
    ) -> Fit {
        let Some(active) = self.active.as_ref().filter(|active| !active.abandoned) else {
            return Fit::NextSegment;
        };
        let before = active.records + self.staged_records;
        let head = Head {
            kind,
            tag: &batch.tag,
            origin: batch.origin.as_ref(),
            fingerprint: batch.fingerprint.as_ref(),
            group,
            count: batch.count,
            before,
            sequence,
            stored_ms,
        };
        let frames = u64::from(active.frames) + self.staged.len() as u64;
        let offset = active.len + self.staged_len;
        let head_start = self.heads.len();
        if frames >= u64::from(FRAMES_MAX)
            || (frames > 0 && offset + batch.events.len() as u64 > self.limit)
        {
            return Fit::NextSegment;
        }
        let Some((crc, len)) = frame::encode(&mut self.heads, active.salt, &head, &batch.events)
        else {
            return Fit::TooLong;
        };
        let records = before.checked_add(batch.count);
        if frames > 0 && (offset + len > self.limit || records.is_none()) {
            self.heads.truncate(head_start);
            return Fit::NextSegment;
        }
        self.staged.push(Staged {
            head_end: self.heads.len(),
            trailer: crc.to_le_bytes(),
        });
        self.staged_len += len;
        self.staged_records += batch.count;
        Fit::Staged(Place {
            segment: active.first,
            offset,
            len,
        })
    }

    /// Writes the staged frames, whose events these are, and makes them durable. Afterwards nothing is staged.
    /// `first` is the sequence of the first of them. After [`Trouble::Failed`], their sequences must not be used
    /// again.
    pub(super) fn commit<'a>(
        &mut self,
        first: u64,
        events: impl Iterator<Item = &'a Bytes>,
    ) -> Result<(), Trouble> {
        let result = self.write(events);
        match &result {
            Ok(()) => self.void_from = None,
            Err(Trouble::Failed(_)) => drop(self.void_from.get_or_insert(first)),
            Err(Trouble::NoRoom(_)) => {}
        }
        self.heads.clear();
        self.staged.clear();
        (self.staged_len, self.staged_records) = (0, 0);
        result
    }

    fn write<'a>(&mut self, events: impl Iterator<Item = &'a Bytes>) -> Result<(), Trouble> {
        let Some(active) = &mut self.active else {
            return Err(Trouble::Failed("there is no segment".to_owned()));
        };
        let mut slices = Vec::with_capacity(self.staged.len() * 3);
        let mut head_start = 0;
        for (staged, events) in self.staged.iter().zip(events) {
            let head = self
                .heads
                .get(head_start..staged.head_end)
                .unwrap_or_default();
            slices.extend([
                IoSlice::new(head),
                IoSlice::new(events),
                IoSlice::new(&staged.trailer),
            ]);
            head_start = staged.head_end;
        }
        active.append(&mut slices, self.durability == Durability::Commit)?;
        active.len += self.staged_len;
        active.frames += u32::try_from(self.staged.len()).unwrap_or(u32::MAX);
        active.records += self.staged_records;
        Ok(())
    }

    /// Makes everything durable that was committed.
    pub(super) fn sync(&mut self) -> Result<(), Trouble> {
        self.active.as_mut().map_or(Ok(()), Active::sync)
    }

    /// Begins the next segment, whose first frame will have the sequence `first` or a later one, and seals the one
    /// before.
    pub(super) fn begin(&mut self, first: u64) -> Result<Begun, Trouble> {
        let void_from = self.void_from.filter(|from| *from < first);
        let fresh = Active::create(&self.files, &self.dir, self.buffer, first, void_from);
        let fresh = fresh.map_err(|error| {
            if files::is_full(&error) {
                Trouble::NoRoom(error)
            } else {
                Trouble::Failed(format!("make a segment: {error}"))
            }
        })?;
        let first = fresh.first;
        let old = self.active.replace(fresh);
        Ok(Begun {
            first,
            len: SEGMENT_HEADER_LEN as u64,
            voids: void_from.is_some(),
            sealed: old.map(|old| old.seal(first)),
        })
    }

    /// Whether the segment that is appended to is still empty, and as good as another one would be.
    pub(super) fn is_segment_empty(&self) -> bool {
        let active = self.active.as_ref();
        active.is_some_and(|active| active.frames == 0 && !active.abandoned)
    }
}
