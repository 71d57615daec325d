//! Files of short records, each with a checksum of its own: what the buffer notes beside its segments.

use std::{
    fs::File,
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::files;

/// Length at which a file is written anew, in bytes.
const REWRITE_AT: u64 = 1 << 20;
/// More than this is not read, in bytes: no file of ours grows so large.
const READ_MAX: u64 = 64 << 20;
/// Length of the CRC behind a record, in bytes.
const CRC_LEN: usize = 4;

/// An open file of records of `N` bytes.
#[derive(Debug)]
pub(super) struct Notes<const N: usize> {
    path: PathBuf,
    file: File,
    len: u64,
    rewrite_at: u64,
    seed: u32,
}

/// The whole records in a file of this buffer; none when it is missing.
pub(super) fn read<const N: usize>(path: &Path, buffer: u128) -> Vec<[u8; N]> {
    let bytes = files::read_small(path, READ_MAX).unwrap_or_default();
    let seed = seed(buffer);
    let whole = |record: &[u8]| {
        let (body, crc) = record.split_first_chunk::<N>()?;
        (crc == crc32c::crc32c_append(seed, body).to_le_bytes()).then_some(*body)
    };
    bytes.chunks_exact(N + CRC_LEN).filter_map(whole).collect()
}

impl<const N: usize> Notes<N> {
    const RECORD_LEN: u64 = (N + CRC_LEN) as u64;

    /// Writes the file anew with these records, and opens it.
    pub(super) fn create(
        path: PathBuf,
        buffer: u128,
        records: impl Iterator<Item = [u8; N]>,
    ) -> io::Result<Self> {
        let seed = seed(buffer);
        let len = write_anew(&path, records, seed)?;
        let file = files::open_append(&path)?;
        Ok(Self {
            path,
            file,
            len,
            rewrite_at: REWRITE_AT.max(len * 2),
            seed,
        })
    }

    /// Adds records. They are not synced.
    pub(super) fn append(&mut self, records: impl Iterator<Item = [u8; N]>) -> io::Result<()> {
        let bytes = encode(records, self.seed);
        // A record that an earlier failure cut off is completed with zeros, so that the next ones can be read.
        let gap = self.len.next_multiple_of(Self::RECORD_LEN) - self.len;
        let gap = vec![0; usize::try_from(gap).unwrap_or(0)];
        let before = self.len;
        self.len = before + (gap.len() + bytes.len()) as u64;
        let written = files::write_all(&self.file, &mut [IoSlice::new(&gap), IoSlice::new(&bytes)]);
        if written.is_err() {
            self.len = self.file.metadata()?.len();
        }
        written
    }

    /// Makes what was added durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        files::sync_data(&self.file)
    }

    /// Whether it has grown so much that it should be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.len >= self.rewrite_at
    }

    /// Writes it anew with nothing but these records.
    pub(super) fn rewrite(&mut self, records: impl Iterator<Item = [u8; N]>) -> io::Result<()> {
        self.len = write_anew(&self.path, records, self.seed)?;
        self.rewrite_at = REWRITE_AT.max(self.len * 2);
        self.file = files::open_append(&self.path)?;
        Ok(())
    }
}

fn write_anew<const N: usize>(
    path: &Path,
    records: impl Iterator<Item = [u8; N]>,
    seed: u32,
) -> io::Result<u64> {
    let bytes = encode(records, seed);
    files::replace(path, &bytes)?;
    Ok(bytes.len() as u64)
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
        read(path, buffer)
    }

    #[test]
    fn tells_what_was_added_and_skips_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        assert!(all(&path, 7).is_empty());
        let mut notes = Notes::create(path.clone(), 7, [*b"one"].into_iter()).unwrap();
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
        let mut notes = Notes::create(path.clone(), 7, std::iter::empty()).unwrap();
        notes.append((0..200_000).map(|_| *b"old")).unwrap();
        assert!(notes.is_long());
        notes.rewrite([*b"new"].into_iter()).unwrap();
        notes.append([*b"end"].into_iter()).unwrap();
        notes.sync().unwrap();
        assert_eq!(all(&path, 7), [*b"new", *b"end"]);
        assert!(!notes.is_long());
        assert_eq!(files::len(&path), Some(14));
    }
}
