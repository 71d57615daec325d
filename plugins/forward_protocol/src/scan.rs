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

#[cfg(test)]
mod tests {
    use sdk::msgpack::skip;

    use super::*;

    /// Values of every kind of head, one after the other.
    fn every_head() -> Vec<u8> {
        let mut out = vec![
            0x05, 0xff, 0xc0, 0xc2, 0xc3, 0x82, 0xa1, b'k', 0x90, 0xa0, 0x81, 0x01, 0x91, 0x02,
        ];
        for (marker, payload) in [
            (0xca, 4),
            (0xcb, 8),
            (0xcc, 1),
            (0xcd, 2),
            (0xce, 4),
            (0xcf, 8),
            (0xd0, 1),
            (0xd1, 2),
            (0xd2, 4),
            (0xd3, 8),
            (0xd4, 2),
            (0xd5, 3),
            (0xd6, 5),
            (0xd7, 9),
            (0xd8, 17),
        ] {
            out.push(marker);
            out.extend(vec![0; payload]);
        }
        out.extend([
            0xc4, 1, 0, 0xc5, 0, 1, 0, 0xc6, 0, 0, 0, 1, 0, 0xc7, 1, 0, 0, 0xc8, 0, 1, 0, 0,
        ]);
        out.extend([
            0xc9, 0, 0, 0, 1, 0, 0, 0xd9, 1, 0, 0xda, 0, 1, 0, 0xdb, 0, 0, 0, 1, 0,
        ]);
        out.extend([
            0xdc, 0, 1, 7, 0xdd, 0, 0, 0, 1, 7, 0xde, 0, 1, 7, 7, 0xdf, 0, 0, 0, 1, 7, 7,
        ]);
        out
    }

    #[test]
    fn agrees_with_skip_on_every_head_however_the_bytes_come() {
        let bytes = every_head();
        let mut at = 0;
        while at < bytes.len() {
            let end = skip(&bytes, at).unwrap();
            let mut scan = Scan::new(at, 1);
            for upto in at..end {
                assert_eq!(
                    scan.advance(&bytes[..upto]),
                    Ok(false),
                    "at {at}, up to {upto}"
                );
            }
            assert_eq!(scan.advance(&bytes), Ok(true), "at {at}");
            assert_eq!(scan.at(), end);
            at = end;
        }
    }

    #[test]
    fn goes_two_levels_deeper_than_a_record_and_no_further() {
        let nested = |levels: usize| {
            let mut bytes = vec![0x91; levels];
            bytes.push(0x01);
            bytes
        };
        assert_eq!(Scan::new(0, 1).advance(&nested(DEPTH_MAX + 2)), Ok(true));
        assert_eq!(
            Scan::new(0, 1).advance(&nested(DEPTH_MAX + 3)),
            Err(Malformed::TooDeep)
        );
        assert_eq!(
            Scan::new(0, 1).advance(&[0x92, 0x01, 0xc1]),
            Err(Malformed::Reserved)
        );
    }

    #[test]
    fn a_declared_count_costs_nothing() {
        let mut scan = Scan::new(0, 1);
        assert_eq!(
            scan.advance(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xff]),
            Ok(false)
        );
        assert_eq!(scan.at(), 10);
    }
}
