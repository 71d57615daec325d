//! The segment file to which frames are appended, from its first byte to its last.

use std::{
    io::{self, ErrorKind, IoSlice},
    path::Path,
};

use super::{
    files::{self, Files, OpenFile},
    frame,
    log::Trouble,
    now_ms,
    segment::{SEGMENT_HEADER_LEN, SegmentHeader},
};

/// How many names are tried before a segment counts as impossible to make.
const NAMES_MAX: u64 = 64;

/// The newest segment. Used by the writer thread alone.
#[derive(Debug)]
pub(super) struct Active {
    file: OpenFile,
    pub(super) first: u64,
    pub(super) salt: u32,
    /// Length of what was committed.
    pub(super) len: u64,
    pub(super) frames: u32,
    pub(super) records: u32,
    /// A write or a sync failed. Nothing is ever done to the file again, and what is behind `len` does not count.
    pub(super) abandoned: bool,
}

/// A segment to which nothing is written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Up to where it counts.
    pub(super) len: u64,
    /// By how much it grew since the last commit, in bytes.
    pub(super) grown: u64,
    /// Bytes of the file behind `len`.
    pub(super) rest: u64,
}

impl Active {
    /// Makes a segment whose first frame will have the sequence `first`, or a later one where a file of that name
    /// could not be removed. Frames from `void_from` on that are in older segments do not count.
    pub(super) fn create(
        files: &Files,
        dir: &Path,
        buffer: u128,
        first: u64,
        void_from: Option<u64>,
    ) -> io::Result<Self> {
        let mut header = SegmentHeader {
            buffer,
            first,
            created_ms: now_ms(),
            salt: fastrand::u32(..),
            void_from,
        };
        let file = loop {
            match make(files, dir, &header) {
                Err(error)
                    if error.kind() == ErrorKind::AlreadyExists
                        && header.first < first + NAMES_MAX =>
                {
                    header.first += 1;
                }
                made => break made?,
            }
        };
        Ok(Self {
            file,
            first: header.first,
            salt: header.salt,
            len: SEGMENT_HEADER_LEN as u64,
            frames: 0,
            records: 0,
            abandoned: false,
        })
    }

    /// Appends these bytes, and makes them durable if `sync`. It is for the caller to count them.
    pub(super) fn append(&mut self, slices: &mut [IoSlice<'_>], sync: bool) -> Result<(), Trouble> {
        #[cfg(feature = "defects")]
        let sync = sync && !crate::telemetry::defects::is_on("ack_before_sync");
        if let Err(error) = self.file.write_all(slices) {
            #[cfg(feature = "defects")]
            if files::is_full(&error) && crate::telemetry::defects::is_on("enospc_is_success") {
                return Ok(());
            }
            // What there was room for must not stand in the way of the next group.
            if files::is_full(&error) && self.file.cut(self.len).is_ok() {
                return Err(Trouble::NoRoom(error));
            }
            self.abandoned = true;
            return Err(Trouble::Failed(format!("write: {error}")));
        }
        if sync { self.sync() } else { Ok(()) }
    }

    /// Makes everything durable that was appended. Nothing is done to a file that has failed.
    pub(super) fn sync(&mut self) -> Result<(), Trouble> {
        if !self.abandoned
            && let Err(error) = self.file.sync_data()
        {
            self.abandoned = true;
            return Err(Trouble::Failed(format!("fdatasync: {error}")));
        }
        Ok(())
    }

    /// Nothing more is appended; the next segment begins with the sequence `next`.
    pub(super) fn seal(self, next: u64) -> Sealed {
        let mut grown = 0;
        if !self.abandoned {
            // It only helps to tell how many records are lost when the end of a segment is damaged.
            let end = frame::encode_end(self.salt, next, self.records, now_ms());
            match self.file.write_all(&mut [IoSlice::new(&end)]) {
                Ok(()) => grown = end.len() as u64,
                Err(_) => drop(self.file.cut(self.len)),
            }
        }
        let len = self.len + grown;
        let file_len = self.file.len().unwrap_or(len);
        Sealed {
            len,
            grown,
            rest: file_len.saturating_sub(len),
        }
    }
}

/// Makes the file, so that not even a power cut undoes it.
fn make(files: &Files, dir: &Path, header: &SegmentHeader) -> io::Result<OpenFile> {
    let path = files::segment_path(dir, header.first);
    let file = files.create_new(&path)?;
    let made = file
        .write_all(&mut [IoSlice::new(&header.encode())])
        .and_then(|()| file.sync_data())
        // Without it, a power cut may undo the name, and with it every frame in the segment.
        .and_then(|()| sync_name(files, dir));
    match made {
        Ok(()) => Ok(file),
        Err(error) => {
            // If it stays, the next try takes another name, and the next start finds it empty.
            drop(files.remove(&path));
            Err(error)
        }
    }
}

fn sync_name(files: &Files, dir: &Path) -> io::Result<()> {
    #[cfg(feature = "defects")]
    if crate::telemetry::defects::is_on("skip_dir_sync") {
        return Ok(());
    }
    files.sync_dir(dir)
}
