//! Going through one segment and telling what comes: frames, and what is damaged, with what was lost in it.
//! Reads only, so it also serves a buffer that is in use.

use std::{io, ops::Range};

use super::{
    files::OpenFile,
    frame::{Decoded, Header, Kind},
    ranges::Ranges,
    scan::{Damage, Scanner, Spot, Step},
};

/// How much of a segment is read at once, in bytes.
const BLOCK: usize = 1 << 20;

/// What is come across.
#[derive(Debug)]
pub(super) enum Found {
    /// A whole frame.
    Frame(Spot, Decoded),
    /// Bytes that are no frame.
    Damage(Lost),
    /// A write that was cut off: its sender got no answer.
    Cut(Range<u64>),
    /// The end frame.
    Sealed,
}

/// Damaged bytes, and what can be told of what was in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) range: Range<u64>,
    /// The frames that were there.
    pub(super) sequences: Range<u64>,
    /// The records that were there; `None`: nothing behind the damage tells.
    pub(super) records: Option<u64>,
}

/// Goes through a segment of `len` bytes, whose first frame has the sequence `first`. It ends at the first frame that is
/// void.
///
/// # Errors
/// The file cannot be read. What was come across before has been told.
pub(super) fn walk(
    file: OpenFile,
    first: u64,
    salt: u32,
    len: u64,
    void: &Ranges,
    tell: &mut dyn FnMut(Found),
) -> io::Result<()> {
    let mut walker = Walker {
        scanner: Scanner::new(file, first, salt, BLOCK),
        void,
        len,
        next: first,
        records: 0,
        open: None,
    };
    while let Some(step) = walker.scanner.step(len)? {
        match step {
            Step::Frame(spot) if walker.is_void(&spot.header) => {
                walker.close_before_void(&spot.header, tell);
                break;
            }
            Step::Frame(spot) => walker.frame(&spot, tell)?,
            Step::Damage(damage) => walker.damage(damage, tell)?,
        }
    }
    let next_is_void = void.contains(walker.next);
    if let Some(range) = walker.open.filter(|_| !next_is_void) {
        let sequences = walker.next..walker.next + 1;
        tell(Found::Damage(Lost {
            range,
            sequences,
            records: None,
        }));
    }
    Ok(())
}

struct Walker<'v> {
    scanner: Scanner,
    /// Sequences of frames that were written and never became durable.
    void: &'v Ranges,
    len: u64,
    /// The sequence that the next frame has if none is missing.
    next: u64,
    /// Records of all frames so far, the lost ones included.
    records: u64,
    /// Damage of which the next header will tell what was in it.
    open: Option<Range<u64>>,
}

impl Walker<'_> {
    fn frame(&mut self, spot: &Spot, tell: &mut dyn FnMut(Found)) -> io::Result<()> {
        let header = spot.header;
        self.close(&header, tell);
        if header.kind == Kind::End {
            tell(Found::Sealed);
            return Ok(());
        }
        self.next = header.sequence + 1;
        self.records += u64::from(header.count);
        tell(match self.scanner.read(spot)? {
            Some(decoded) => Found::Frame(*spot, decoded),
            None => Found::Damage(Lost {
                range: spot.range(),
                sequences: header.sequence..header.sequence + 1,
                records: Some(header.count.into()),
            }),
        });
        Ok(())
    }

    fn is_void(&self, header: &Header) -> bool {
        header.kind != Kind::End && self.void.contains(header.sequence)
    }

    /// Damage before a void frame counts when another frame was in it.
    fn close_before_void(&mut self, header: &Header, tell: &mut dyn FnMut(Found)) {
        let mut missing = self.next..header.sequence;
        let range = self.open.take();
        if let Some(range) = range.filter(|_| missing.any(|lost| !self.void.contains(lost))) {
            tell(Found::Damage(Lost {
                range,
                sequences: self.next..header.sequence,
                records: None,
            }));
        }
    }

    /// The header behind damage tells which frames are missing, and how many records.
    fn close(&mut self, header: &Header, tell: &mut dyn FnMut(Found)) {
        let before = u64::from(header.before);
        let records = before.saturating_sub(self.records);
        if let Some(range) = self.open.take() {
            tell(Found::Damage(Lost {
                range,
                sequences: self.next..header.sequence.max(self.next),
                records: Some(records),
            }));
        }
        self.records = self.records.max(before);
    }

    fn damage(&mut self, damage: Damage, tell: &mut dyn FnMut(Found)) -> io::Result<()> {
        let Damage { range, cut } = damage;
        if range.end == self.len && self.scanner.is_zero(&range)? {
            // Space that the file system added before a power cut.
            return Ok(());
        }
        if cut {
            tell(Found::Cut(range));
        } else {
            self.open = Some(range);
        }
        Ok(())
    }
}
