//! Finding the end of a value whose bytes arrive bit by bit, looking at every byte once.

use sdk::msgpack::{DEPTH_MAX, Malformed};

use crate::head::head;

/// Levels that a scan goes down: those of a record, and two around it for `[[time, metadata], record]`.
/// What is complete is checked again with the limit of records, so that this one is never the last word.
const LEVELS_MAX: usize = DEPTH_MAX + 2;

/// A position inside values that are not complete.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// Offset of the next byte to look at.
    at: usize,
    /// Values to come on this level.
    pending: u64,
    /// Bytes to come of the payload at hand.
    payload: u64,
    /// Values to come on the levels above.
    above: [u64; LEVELS_MAX],
    depth: usize,
}

impl Scan {
    /// Of `count` values that begin at offset `at`.
    pub(crate) fn new(at: usize, count: u64) -> Self {
        Self {
            at,
            pending: count,
            payload: 0,
            above: [0; LEVELS_MAX],
            depth: 0,
        }
    }

    /// Offset of the next byte to look at; behind the values when they are complete.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The bytes before offset `count` were taken away.
    pub(crate) fn shift(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
    }

    /// Goes on in `bytes`; whether the values are complete.
    ///
    /// # Errors
    /// `Reserved`, `TooDeep`.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        loop {
            #[cfg(test)]
            crate::tests::work::looked_at(1);
            let rest = bytes.get(self.at..).unwrap_or_default();
            let here = self.payload.min(rest.len() as u64);
            self.payload -= here;
            self.at += usize::try_from(here).unwrap_or(usize::MAX);
            if self.payload > 0 {
                return Ok(false);
            }
            while self.pending == 0 {
                let Some(up) = self.depth.checked_sub(1) else {
                    return Ok(true);
                };
                self.depth = up;
                self.pending = self.above.get(up).copied().unwrap_or_default();
            }
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(head) = head(rest)? else {
                return Ok(false);
            };
            self.at += head.len;
            self.payload = head.payload;
            self.pending -= 1;
            if head.children > 0 {
                let place = self.above.get_mut(self.depth).ok_or(Malformed::TooDeep)?;
                *place = self.pending;
                self.depth += 1;
                self.pending = head.children;
            }
        }
    }
}
