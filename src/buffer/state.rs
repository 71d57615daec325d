//! The state file: which sequences are done. It is advisory: losing it repeats records, it never loses any.

use std::{io, path::Path};

use super::{
    bytes_in::Input,
    notes::{self, Notes},
    ranges::Ranges,
};

const FILE_NAME: &str = "state";
const BODY_LEN: usize = 20;
const KIND_DONE: u32 = 1;

/// The open state file of a buffer.
#[derive(Debug)]
pub(super) struct StateFile(Notes<BODY_LEN>);

/// The done sequences that the state file of this buffer tells; none when it is missing.
pub(super) fn read(dir: &Path, buffer: u128) -> Ranges {
    let mut done = Ranges::default();
    for (first, last) in notes::read(&dir.join(FILE_NAME), buffer)
        .iter()
        .filter_map(decode)
    {
        done.insert(first, last);
    }
    done
}

impl StateFile {
    /// Writes the state anew and opens it.
    pub(super) fn create(dir: &Path, buffer: u128, done: &Ranges) -> io::Result<Self> {
        Notes::create(dir.join(FILE_NAME), buffer, done.iter().map(encode)).map(Self)
    }

    /// Adds sequences. What is not written for lack of room is only repeated after a restart.
    pub(super) fn append(&mut self, done: &[(u64, u64)]) -> io::Result<()> {
        self.0.append(done.iter().copied().map(encode))
    }

    /// Whether it has grown so much that it should be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.0.is_long()
    }

    /// Writes it anew with nothing but `done`.
    pub(super) fn rewrite(&mut self, done: &Ranges) -> io::Result<()> {
        self.0.rewrite(done.iter().map(encode))
    }
}

fn encode((first, last): (u64, u64)) -> [u8; BODY_LEN] {
    let mut out = [0; BODY_LEN];
    let numbers = KIND_DONE
        .to_le_bytes()
        .into_iter()
        .chain(first.to_le_bytes())
        .chain(last.to_le_bytes());
    out.iter_mut()
        .zip(numbers)
        .for_each(|(slot, byte)| *slot = byte);
    out
}

fn decode(record: &[u8; BODY_LEN]) -> Option<(u64, u64)> {
    let mut input = Input::new(record);
    let (kind, first, last) = (input.u32()?, input.u64()?, input.u64()?);
    (kind == KIND_DONE && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_was_noted() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = StateFile::create(dir.path(), 7, &Ranges::default()).unwrap();
        state.append(&[(1, 3), (9, 9)]).unwrap();
        state.append(&[(4, 5)]).unwrap();
        let all: Vec<_> = read(dir.path(), 7).iter().collect();
        assert_eq!(all, [(1, 5), (9, 9)]);
        assert_eq!(
            std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().len(),
            3 * 24
        );
    }
}
