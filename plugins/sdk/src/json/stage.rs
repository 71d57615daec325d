//! A small buffer between the walker and the output: blocks of fixed size are stored without asking for their
//! length, which is what makes short strings cheap.

/// Length of the buffer. Most records fit, and it stays in the first-level cache.
const LEN: usize = 2048;

/// Bytes that may be written after [`Stage::room`] before it must be asked again.
pub(super) const ROOM: usize = 128;

/// The buffer. Positions are handed in and out, so that they live in a register.
#[derive(Debug)]
pub(super) struct Stage {
    buf: [u8; LEN],
}

impl Stage {
    pub(super) fn new() -> Self {
        Self { buf: [0; LEN] }
    }

    /// Makes sure that [`ROOM`] bytes fit behind the position that it returns.
    #[inline]
    pub(super) fn room(&self, at: usize, out: &mut Vec<u8>) -> usize {
        if at <= LEN - ROOM {
            at
        } else {
            self.spill(at, out)
        }
    }

    /// Moves everything before `at` to the output and returns the new position, 0.
    #[cold]
    pub(super) fn spill(&self, at: usize, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(self.buf.get(..at).unwrap_or_default());
        0
    }

    /// Stores a block of fixed size, of which the caller may keep less.
    #[inline]
    pub(super) fn store<const N: usize>(&mut self, at: usize, block: &[u8; N]) {
        let slot = self
            .buf
            .get_mut(at..)
            .and_then(|rest| rest.first_chunk_mut::<N>());
        if let Some(slot) = slot {
            *slot = *block;
        }
    }

    /// Stores all of a block of fixed size.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, at: usize, block: &[u8; N]) -> usize {
        self.store(at, block);
        at + N
    }

    /// Stores up to [`ROOM`] bytes.
    #[inline]
    pub(super) fn copy(&mut self, at: usize, bytes: &[u8]) -> usize {
        if let Some(slot) = self.buf.get_mut(at..at + bytes.len()) {
            slot.copy_from_slice(bytes);
        }
        at + bytes.len()
    }

    /// Room for `len` bytes, at most [`ROOM`], for code that writes into a slice.
    #[inline]
    pub(super) fn slot(&mut self, at: usize, len: usize) -> &mut [u8] {
        self.buf.get_mut(at..at + len).unwrap_or_default()
    }
}
