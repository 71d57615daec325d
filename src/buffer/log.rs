//! The end of the log: the segment to which frames are appended.

use std::{
    fs::File,
    io::{self, IoSlice},
    path::PathBuf,
};

use bytes::Bytes;
use sdk::event::Batch;

use super::{
    files,
    frame::{self, Head, Kind},
    layout::Place,
    segment::{FRAMES_MAX, SEGMENT_HEADER_LEN, SegmentHeader},
    settings::Durability,
};

/// Appends frames to the newest segment. Used by the writer thread alone.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    buffer: u128,
    durability: Durability,
    /// Length at which a segment is sealed.
    limit: u64,
    active: Active,
    /// Headers and metadata of the staged frames, back to back.
    heads: Vec<u8>,
    staged: Vec<Staged>,
    staged_len: u64,
    staged_records: u32,
}

#[derive(Debug)]
struct Active {
    file: File,
    first: u64,
    salt: u32,
    /// Length of what was committed.
    len: u64,
    frames: u32,
    records: u32,
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
    /// The disk failed; what is on it is not known.
    Failed(String),
}

/// A segment was begun, and the one before it has now its final length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotated {
    pub(super) first: u64,
    pub(super) len: u64,
    pub(super) sealed_len: u64,
    /// Bytes that the end frame added.
    pub(super) end_len: u64,
}

impl Log {
    /// Begins a log, or goes on with one, at the sequence `first`, in a new segment.
    ///
    /// # Errors
    /// The segment cannot be made.
    pub(super) fn create(
        dir: PathBuf,
        buffer: u128,
        first: u64,
        durability: Durability,
        limit: u64,
    ) -> io::Result<Self> {
        let active = Active::create(&dir, buffer, first)?;
        let (heads, staged) = (Vec::new(), Vec::new());
        Ok(Self {
            dir,
            buffer,
            durability,
            limit,
            active,
            heads,
            staged,
            staged_len: 0,
            staged_records: 0,
        })
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
        let before = self.active.records + self.staged_records;
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
        let frames = u64::from(self.active.frames) + self.staged.len() as u64;
        let offset = self.active.len + self.staged_len;
        let head_start = self.heads.len();
        if frames >= u64::from(FRAMES_MAX)
            || (frames > 0 && offset + batch.events.len() as u64 > self.limit)
        {
            return Fit::NextSegment;
        }
        let Some((crc, len)) =
            frame::encode(&mut self.heads, self.active.salt, &head, &batch.events)
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
            segment: self.active.first,
            offset,
            len,
        })
    }

    /// Writes the staged frames, whose events these are, and makes them durable. Afterwards nothing is staged.
    pub(super) fn commit<'a>(
        &mut self,
        events: impl Iterator<Item = &'a Bytes>,
    ) -> Result<(), Trouble> {
        let result = self.write(events);
        if result.is_ok() {
            self.active.len += self.staged_len;
            self.active.frames += u32::try_from(self.staged.len()).unwrap_or(u32::MAX);
            self.active.records += self.staged_records;
        }
        self.heads.clear();
        self.staged.clear();
        (self.staged_len, self.staged_records) = (0, 0);
        result
    }

    fn write<'a>(&self, events: impl Iterator<Item = &'a Bytes>) -> Result<(), Trouble> {
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
        if let Err(error) = files::write_all(&self.active.file, &mut slices) {
            // What was written of the group must not stand in the way of the next one.
            let cut = files::cut(&self.active.file, self.active.len);
            return match cut {
                Ok(()) if files::is_full(&error) => Err(Trouble::NoRoom(error)),
                _ => Err(Trouble::Failed(format!("write: {error}"))),
            };
        }
        if self.durability == Durability::Commit {
            // After an error the pages may count as clean, so that a second call would prove nothing.
            files::sync_data(&self.active.file)
                .map_err(|error| Trouble::Failed(format!("fdatasync: {error}")))?;
        }
        Ok(())
    }

    /// Begins the next segment, whose first frame will have the sequence `first`, and seals the one before.
    pub(super) fn rotate(&mut self, first: u64, now_ms: u64) -> Result<Rotated, Trouble> {
        let fresh = Active::create(&self.dir, self.buffer, first).map_err(|error| {
            if files::is_full(&error) {
                Trouble::NoRoom(error)
            } else {
                Trouble::Failed(format!("make a segment: {error}"))
            }
        })?;
        let old = std::mem::replace(&mut self.active, fresh);
        let end = frame::encode_end(old.salt, first, old.records, now_ms);
        // It only helps to tell how many records are lost when the end of a segment is damaged.
        let written = files::write_all(&old.file, &mut [IoSlice::new(&end)]).is_ok();
        if !written {
            drop(files::cut(&old.file, old.len));
        }
        let end_len = if written { end.len() as u64 } else { 0 };
        Ok(Rotated {
            first,
            len: SEGMENT_HEADER_LEN as u64,
            sealed_len: old.len + end_len,
            end_len,
        })
    }

    /// Whether the segment that is appended to is still empty.
    pub(super) fn is_segment_empty(&self) -> bool {
        self.active.frames == 0
    }
}

impl Active {
    fn create(dir: &std::path::Path, buffer: u128, first: u64) -> io::Result<Self> {
        let path = files::segment_path(dir, first);
        let header = SegmentHeader {
            buffer,
            first,
            created_ms: super::now_ms(),
            salt: fastrand::u32(..),
        };
        let make = || {
            let file = files::create_new(&path)?;
            files::write_all(&file, &mut [IoSlice::new(&header.encode())])?;
            files::sync_data(&file)?;
            // Without it, a power cut may undo the name, and with it every frame in the segment.
            files::sync_dir(dir)?;
            Ok(file)
        };
        let file = make().inspect_err(|error: &io::Error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                drop(files::remove(&path));
            }
        })?;
        let len = SEGMENT_HEADER_LEN as u64;
        Ok(Self {
            file,
            first,
            salt: header.salt,
            len,
            frames: 0,
            records: 0,
        })
    }
}
