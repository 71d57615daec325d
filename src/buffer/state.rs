//! The state file: which sequences are done, and which segments there are. It is advisory: losing it repeats records,
//! it never loses any.

use std::{collections::BTreeSet, io, path::Path, sync::Arc, time::Duration};

use super::{
    bytes_in::Input,
    files::{Files, OpenFile},
    notes::{self, Notes},
    ranges::Ranges,
    tries::{Tried, Tries},
};

const FILE_NAME: &str = "state";
const BODY_LEN: usize = 20;
const KIND_DONE: u32 = 1;
const KIND_BEGUN: u32 = 2;
const KIND_REMOVED: u32 = 3;
const KIND_TRIED: u32 = 4;

/// One thing that the state file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// These frames are done, from the first to the last sequence.
    Done(u64, u64),
    /// A segment with this first sequence was made.
    Begun(u64),
    /// It is removed, or about to be.
    Removed(u64),
    /// These frames were tried in one chunk, and failed.
    Tried {
        first: u64,
        last: u64,
        /// The largest number stands for more, too.
        attempts: u16,
        /// Since the first failure, while a process had the buffer.
        failing_secs: u32,
    },
}

/// All that the state file tells.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) done: Ranges,
    /// First sequences of the segments that should be there.
    pub(super) segments: BTreeSet<u64>,
    /// What frames went through that are not done.
    pub(super) tried: Tried,
}

/// The state file of a buffer.
#[derive(Debug)]
pub(super) struct StateFile(Notes<BODY_LEN>);

/// What the state file of this buffer tells; nothing when it is missing.
pub(super) fn read(files: &Files, dir: &Path, buffer: u128) -> Noted {
    let mut noted = Noted::default();
    let records = notes::read(files, &dir.join(FILE_NAME), buffer);
    for note in records.iter().filter_map(decode) {
        match note {
            Note::Done(first, last) => {
                noted.done.insert(first, last);
                noted.tried.remove(first, last);
            }
            #[cfg(feature = "defects")]
            Note::Tried { .. } if crate::telemetry::defects::is_on("forget_attempts") => {}
            Note::Begun(first) => drop(noted.segments.insert(first)),
            Note::Removed(first) => drop(noted.segments.remove(&first)),
            Note::Tried {
                first,
                last,
                attempts,
                failing_secs,
            } => {
                let failing = Duration::from_secs(u64::from(failing_secs));
                let tries = Tries::noted(u32::from(attempts), failing);
                noted.tried.insert(first, last, tries);
            }
        }
    }
    noted
}

impl StateFile {
    /// The state file in this directory, as it is: it must be written anew before anything is added.
    pub(super) fn new(files: &Files, dir: &Path, buffer: u128) -> Self {
        Self(Notes::new(files, dir.join(FILE_NAME), buffer))
    }

    /// Adds notes. They are not synced.
    ///
    /// # Errors
    /// None of them may be there; what was there before is.
    pub(super) fn append(&mut self, notes: &[Note]) -> io::Result<()> {
        self.0.append(notes.iter().map(encode))
    }

    /// The open file, to be synced without holding a lock.
    ///
    /// # Errors
    /// There is none: it must be written anew.
    pub(super) fn file(&self) -> io::Result<Arc<OpenFile>> {
        self.0.file()
    }

    /// Whether this is still the file that is written to.
    pub(super) fn is(&self, file: &Arc<OpenFile>) -> bool {
        self.0.is(file)
    }

    /// Whether it has grown so much that it should be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.0.is_long()
    }

    /// Writes it anew with nothing but these notes.
    ///
    /// # Errors
    /// The old content is there, or the new one.
    pub(super) fn rewrite(&mut self, notes: &[Note]) -> io::Result<()> {
        self.0.rewrite(notes.iter().map(encode))
    }
}

fn encode(note: &Note) -> [u8; BODY_LEN] {
    let (kind, first, second) = match *note {
        Note::Done(first, last) => (KIND_DONE, first, last),
        Note::Begun(first) => (KIND_BEGUN, first, first),
        Note::Removed(first) => (KIND_REMOVED, first, first),
        Note::Tried {
            first,
            last,
            attempts,
            failing_secs,
        } => {
            let further = last.saturating_sub(first).min(u64::from(u16::MAX));
            let tries = u64::from(attempts) << 16 | u64::from(failing_secs) << 32;
            (KIND_TRIED, first, further | tries)
        }
    };
    let mut out = [0; BODY_LEN];
    let numbers = kind
        .to_le_bytes()
        .into_iter()
        .chain(first.to_le_bytes())
        .chain(second.to_le_bytes());
    out.iter_mut()
        .zip(numbers)
        .for_each(|(slot, byte)| *slot = byte);
    out
}

fn decode(record: &[u8; BODY_LEN]) -> Option<Note> {
    let mut input = Input::new(record);
    let (kind, first, second) = (input.u32()?, input.u64()?, input.u64()?);
    match kind {
        KIND_DONE if first <= second => Some(Note::Done(first, second)),
        KIND_BEGUN => Some(Note::Begun(first)),
        KIND_REMOVED => Some(Note::Removed(first)),
        KIND_TRIED => Some(Note::Tried {
            first,
            last: first.checked_add(second & 0xffff)?,
            attempts: (second >> 16 & 0xffff) as u16,
            failing_secs: (second >> 32) as u32,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_was_noted() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = StateFile::new(&Files::system(), dir.path(), 7);
        state.rewrite(&[Note::Begun(1)]).unwrap();
        state.append(&[Note::Done(1, 3), Note::Done(9, 9)]).unwrap();
        state.append(&[Note::Begun(9), Note::Done(4, 5)]).unwrap();
        let tried = Note::Tried {
            first: 4,
            last: 7,
            attempts: 3,
            failing_secs: 90,
        };
        state.append(&[Note::Removed(1), tried]).unwrap();
        state.append(&[Note::Done(4, 5)]).unwrap();
        let noted = read(&Files::system(), dir.path(), 7);
        assert_eq!(noted.done.iter().collect::<Vec<_>>(), [(1, 5), (9, 9)]);
        assert_eq!(noted.segments.into_iter().collect::<Vec<_>>(), [9]);
        let attempts = |sequence| noted.tried.get(sequence).map(|tries| tries.attempts);
        assert_eq!([5, 6, 7, 8].map(attempts), [None, Some(3), Some(3), None]);
        assert!(noted.tried.get(6).unwrap().failing_for() >= Duration::from_secs(90));
        assert_eq!(
            std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().len(),
            8 * 24
        );
    }
}
