//! What a file is known by: device, inode, and a print of its first bytes.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use serde::{Deserialize, Serialize};

/// First bytes that a print covers, at most.
pub(crate) const PRINT_BYTES: usize = 1024;

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FileId {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

impl FileId {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
        }
    }
}

/// How many first bytes were seen, and their hash. Empty for a file that had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Print {
    pub(crate) len: usize,
    hash: u64,
}

impl Print {
    /// The print of a file that begins with `head`; what lies beyond the limit is not looked at.
    pub(crate) fn of(head: &[u8]) -> Self {
        let head = head.get(..PRINT_BYTES).unwrap_or(head);
        Self {
            len: head.len(),
            hash: hash(head),
        }
    }

    /// Whether a file that begins with `head` can be the one that the print was taken of. One without bytes can be any.
    pub(crate) fn fits(self, head: &[u8]) -> bool {
        let is_same = |head| hash(head) == self.hash;
        self.len == 0 || head.get(..self.len).is_some_and(is_same)
    }

    /// The same, and there is something to go by.
    pub(crate) fn proves(self, head: &[u8]) -> bool {
        self.len > 0 && self.fits(head)
    }

    /// Whether more bytes would make it a better one.
    pub(crate) fn is_short(self) -> bool {
        self.len < PRINT_BYTES
    }
}

/// FNV-1a, eight bytes at a time.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let step = |hash: u64, word: u64| {
        (hash ^ word)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23)
    };
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        step(hash, u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

/// The first bytes of a file, as many as a print covers.
pub(crate) fn head_of(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; PRINT_BYTES];
    let len = read_fully_at(file, 0, &mut head)?;
    head.truncate(len);
    Ok(head)
}

/// Fills `buf` from `offset` on, as far as the file goes; how many bytes that were.
pub(crate) fn read_fully_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = buf.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_knows_its_file_when_it_has_grown_and_no_other() {
        let print = Print::of(b"2026-01-01 first");
        assert!(print.proves(b"2026-01-01 first line and more"));
        assert!(!print.fits(b"2026-01-01 firsT line and more"));
        assert!(!print.fits(b"2026"));
        assert!(Print::default().fits(b"any") && !Print::of(b"").proves(b"any"));
        let long = vec![7; 5_000];
        assert!(!Print::of(&long).is_short() && Print::of(&long).proves(&long));
    }
}
