//! Files of short records, each with a checksum of its own: what the buffer notes beside its segments.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    files::{Files, OpenFile},
    survey::PAUSES_MS,
};

/// Length at which a file is written anew, in bytes.
const REWRITE_AT: u64 = 1 << 20;
/// More than this is not read, in bytes: no file of ours grows so large.
const READ_MAX: u64 = 64 << 20;
/// Length of the CRC behind a record, in bytes.
const CRC_LEN: usize = 4;

/// A file of records of `N` bytes.
#[derive(Debug)]
pub(super) struct Notes<const N: usize> {
    files: Files,
    path: PathBuf,
    /// `None` when it must be written anew: before the first time, and after any failure, since what could not be added
    /// is known to the caller alone.
    file: Option<Arc<OpenFile>>,
    len: u64,
    rewrite_at: u64,
    seed: u32,
}

/// The whole records in a file of this buffer; none when it is missing.
pub(super) fn read<const N: usize>(files: &Files, path: &Path, buffer: u128) -> Vec<[u8; N]> {
    let read = || files.read_small(path, READ_MAX);
    let bytes = files.patiently(&PAUSES_MS, read).unwrap_or_default();
    let seed = seed(buffer);
    let whole = |record: &[u8]| {
        let (body, crc) = record.split_first_chunk::<N>()?;
        (crc == crc32c::crc32c_append(seed, body).to_le_bytes()).then_some(*body)
    };
    bytes.chunks_exact(N + CRC_LEN).filter_map(whole).collect()
}

impl<const N: usize> Notes<N> {
    /// The file at this path, as it is.
    pub(super) fn new(files: &Files, path: PathBuf, buffer: u128) -> Self {
        Self {
            files: files.clone(),
            path,
            file: None,
            len: 0,
            rewrite_at: REWRITE_AT,
            seed: seed(buffer),
        }
    }

    /// Adds records. They are not synced.
    ///
    /// # Errors
    /// None of them may be there; what was there before is.
    pub(super) fn append(&mut self, records: impl Iterator<Item = [u8; N]>) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Err(io::Error::other("the file has to be written anew"));
        };
        let bytes = encode(records, self.seed);
        let written = file.write_all(&mut [IoSlice::new(&bytes)]);
        match &written {
            Ok(()) => self.len += bytes.len() as u64,
            Err(_) => self.file = None,
        }
        written
    }

    /// The open file, to be synced without holding a lock.
    ///
    /// # Errors
    /// There is none: it must be written anew.
    pub(super) fn file(&self) -> io::Result<Arc<OpenFile>> {
        let file = self.file.as_ref().map(Arc::clone);
        file.ok_or_else(|| io::Error::other("the file has to be written anew"))
    }

    /// Whether this is still the file that is written to.
    pub(super) fn is(&self, file: &Arc<OpenFile>) -> bool {
        self.file.as_ref().is_some_and(|own| Arc::ptr_eq(own, file))
    }

    /// Makes what was added durable.
    ///
    /// # Errors
    /// It may not be; the file must be written anew.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Err(io::Error::other("the file has to be written anew"));
        };
        let synced = file.sync_data();
        if synced.is_err() {
            self.file = None;
        }
        synced
    }

    /// Whether it has grown so much that it should be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.len >= self.rewrite_at
    }

    /// Writes it anew with nothing but these records.
    ///
    /// # Errors
    /// The old content is there, or the new one.
    pub(super) fn rewrite(&mut self, records: impl Iterator<Item = [u8; N]>) -> io::Result<()> {
        let bytes = encode(records, self.seed);
        // What is written to the old file would be lost from here on.
        self.file = None;
        self.files.replace(&self.path, &bytes)?;
        self.len = bytes.len() as u64;
        self.rewrite_at = REWRITE_AT.max(self.len * 2);
        self.file = Some(Arc::new(self.files.open_append(&self.path)?));
        Ok(())
    }
}

fn encode<const N: usize>(records: impl Iterator<Item = [u8; N]>, seed: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        out.extend_from_slice(&record);
        out.extend_from_slice(&crc32c::crc32c_append(seed, &record).to_le_bytes());
    }
    out
}

/// Ties the records to their buffer: a file that came from elsewhere says nothing.
fn seed(buffer: u128) -> u32 {
    crc32c::crc32c(&buffer.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &Path, buffer: u128) -> Vec<[u8; 3]> {
        read(&Files::system(), path, buffer)
    }

    #[test]
    fn tells_what_was_added_and_skips_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        assert!(all(&path, 7).is_empty());
        let mut notes = Notes::new(&Files::system(), path.clone(), 7);
        assert!(notes.append([*b"two"].into_iter()).is_err());
        notes.rewrite([*b"one"].into_iter()).unwrap();
        notes.append([*b"two", *b"six"].into_iter()).unwrap();
        assert_eq!(all(&path, 7), [*b"one", *b"two", *b"six"]);
        assert!(all(&path, 8).is_empty(), "of another buffer");

        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] ^= 1;
        bytes.truncate(bytes.len() - 1);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(all(&path, 7), [*b"one"]);
    }

    #[test]
    fn is_written_anew_when_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        let mut notes = Notes::new(&Files::system(), path.clone(), 7);
        notes.rewrite(std::iter::empty()).unwrap();
        notes.append((0..200_000).map(|_| *b"old")).unwrap();
        assert!(notes.is_long());
        notes.rewrite([*b"new"].into_iter()).unwrap();
        notes.append([*b"end"].into_iter()).unwrap();
        notes.sync().unwrap();
        assert_eq!(all(&path, 7), [*b"new", *b"end"]);
        assert!(!notes.is_long());
        assert_eq!(Files::system().len(&path), Some(14));
    }
}
