//! The state file: which sequences are done. It is advisory: losing it repeats records, it never loses any.

use std::{
    fs::File,
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::{bytes_in::Input, files, ranges::Ranges};

const FILE_NAME: &str = "state";
const RECORD_LEN: usize = 24;
const KIND_DONE: u32 = 1;
/// Length at which the file is written anew, in bytes.
const REWRITE_AT: u64 = 1 << 20;
/// More than this is not read, in bytes: no state of ours grows so large.
const READ_MAX: u64 = 64 << 20;

/// The open state file of a buffer.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    file: File,
    len: u64,
    rewrite_at: u64,
    seed: u32,
}

/// The done sequences that the state file of this buffer tells; none when it is missing.
pub(super) fn read(dir: &Path, buffer: u128) -> Ranges {
    let bytes = files::read_small(&dir.join(FILE_NAME), READ_MAX).unwrap_or_default();
    let mut done = Ranges::default();
    for (first, last) in bytes
        .chunks_exact(RECORD_LEN)
        .filter_map(|record| decode(record, seed(buffer)))
    {
        done.insert(first, last);
    }
    done
}

impl StateFile {
    /// Writes the state anew and opens it.
    pub(super) fn create(dir: &Path, buffer: u128, done: &Ranges) -> io::Result<Self> {
        let path = dir.join(FILE_NAME);
        let seed = seed(buffer);
        let len = write_anew(&path, done, seed)?;
        let file = files::open_append(&path)?;
        Ok(Self {
            path,
            file,
            len,
            rewrite_at: REWRITE_AT.max(len * 2),
            seed,
        })
    }

    /// Adds sequences. What is not written for lack of room is only repeated after a restart.
    pub(super) fn append(&mut self, done: &[(u64, u64)]) -> io::Result<()> {
        let bytes: Vec<u8> = done
            .iter()
            .flat_map(|range| encode(*range, self.seed))
            .collect();
        // A record that an earlier failure cut off is completed with zeros, so that the next ones can be read.
        let gap = vec![
            0;
            usize::try_from(self.len.next_multiple_of(RECORD_LEN as u64) - self.len)
                .unwrap_or(0)
        ];
        let before = self.len;
        self.len = before + (gap.len() + bytes.len()) as u64;
        let written = files::write_all(&self.file, &mut [IoSlice::new(&gap), IoSlice::new(&bytes)]);
        if written.is_err() {
            self.len = self.file.metadata()?.len();
        }
        written
    }

    /// Whether it has grown so much that it should be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.len >= self.rewrite_at
    }

    /// Writes it anew with nothing but `done`.
    pub(super) fn rewrite(&mut self, done: &Ranges) -> io::Result<()> {
        self.len = write_anew(&self.path, done, self.seed)?;
        self.rewrite_at = REWRITE_AT.max(self.len * 2);
        self.file = files::open_append(&self.path)?;
        Ok(())
    }
}

fn write_anew(path: &Path, done: &Ranges, seed: u32) -> io::Result<u64> {
    let bytes: Vec<u8> = done.iter().flat_map(|range| encode(range, seed)).collect();
    files::replace(path, &bytes)?;
    Ok(bytes.len() as u64)
}

/// Ties the records to their buffer: a state file that came from elsewhere says nothing.
fn seed(buffer: u128) -> u32 {
    crc32c::crc32c(&buffer.to_be_bytes())
}

fn encode((first, last): (u64, u64), seed: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_LEN);
    out.extend_from_slice(&KIND_DONE.to_le_bytes());
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&last.to_le_bytes());
    let crc = crc32c::crc32c_append(seed, &out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn decode(record: &[u8], seed: u32) -> Option<(u64, u64)> {
    let mut input = Input::new(record);
    let (kind, first, last, crc) = (input.u32()?, input.u64()?, input.u64()?, input.u32()?);
    let covered = record.get(..RECORD_LEN - 4)?;
    (kind == KIND_DONE && crc32c::crc32c_append(seed, covered) == crc && first <= last)
        .then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(dir: &Path, buffer: u128) -> Vec<(u64, u64)> {
        read(dir, buffer).iter().collect()
    }

    #[test]
    fn tells_what_was_appended_and_skips_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(all(dir.path(), 7), []);
        let mut state = StateFile::create(dir.path(), 7, &Ranges::default()).unwrap();
        state.append(&[(1, 3), (9, 9)]).unwrap();
        state.append(&[(4, 5)]).unwrap();
        assert_eq!(all(dir.path(), 7), [(1, 5), (9, 9)]);
        assert_eq!(all(dir.path(), 8), [], "of another buffer");

        let path = dir.path().join(FILE_NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[RECORD_LEN + 5] ^= 1;
        bytes.truncate(3 * RECORD_LEN - 1);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(all(dir.path(), 7), [(1, 3)]);
    }

    #[test]
    fn is_written_anew_when_long() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = StateFile::create(dir.path(), 7, &Ranges::default()).unwrap();
        let many: Vec<(u64, u64)> = (0..50_000).map(|sequence| (sequence, sequence)).collect();
        state.append(&many).unwrap();
        assert!(state.is_long());
        let mut done = Ranges::default();
        done.insert(0, 49_999);
        state.rewrite(&done).unwrap();
        state.append(&[(60_000, 60_000)]).unwrap();
        assert_eq!(all(dir.path(), 7), [(0, 49_999), (60_000, 60_000)]);
        assert!(!state.is_long());
        assert_eq!(
            std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().len(),
            2 * RECORD_LEN as u64
        );
    }
}
