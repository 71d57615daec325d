//! A stream of entries that is checked as it arrives. What is good stays where it is; bytes move only when an
//! entry between good ones has to go or to change.

use bytes::{Buf as _, Bytes, BytesMut};
use sdk::msgpack::Malformed;

use crate::{
    EntryStream, Flaw, Flaws,
    judge::{ReceiptTime, Verdict, judge, retime},
    scan::Scan,
};

/// How far the entries of a message go, seen from the first byte that the sieve still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes, when that is known; otherwise more than there can be.
    pub(crate) bytes: usize,
    /// Entries, when that is known; otherwise more than there can be.
    pub(crate) entries: u64,
}

/// Where the sieve stands after it was given bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    /// It needs more bytes.
    More,
    /// What it holds must be taken before it can go on.
    Full,
    /// All entries of the message are checked.
    Done,
}

/// The state of one stream of entries.
#[derive(Debug)]
pub(crate) struct Sieve {
    part_bytes: usize,
    /// Good entries that had to be moved; they come before the run.
    moved: Vec<u8>,
    /// The run: this many bytes at the start of the source are good entries as they came.
    run: usize,
    /// Good entries, moved and in the run.
    count: u32,
    /// Set while the entry behind the run is not complete.
    scan: Option<Scan>,
    /// The incomplete entry is too large: its bytes are let go as they come.
    lets_go: bool,
}

/// Why the walk over complete entries ended.
enum Halt {
    /// At the end of the bytes or of the entries.
    End,
    /// The next entry is not complete.
    Incomplete,
    /// The next entry does not fit into this part.
    Full,
    /// The next entry, of this length, has to go or to change.
    Odd(usize, Verdict),
}

impl Sieve {
    /// For parts of at most `part_bytes`.
    pub(crate) fn new(part_bytes: usize) -> Self {
        Self {
            part_bytes,
            moved: Vec::new(),
            run: 0,
            count: 0,
            scan: None,
            lets_go: false,
        }
    }

    /// Bytes that it holds besides the source.
    pub(crate) fn moved_bytes(&self) -> usize {
        self.moved.len()
    }

    /// Checks what is new in `source`. Bytes that it lets go are taken from the front of `source` and of `extent`.
    ///
    /// # Errors
    /// `Reserved`, `TooDeep`.
    pub(crate) fn feed(
        &mut self,
        source: &mut BytesMut,
        extent: &mut Extent,
        flaws: &mut Flaws,
        receipt: &mut ReceiptTime,
    ) -> Result<Fed, Malformed> {
        loop {
            if extent.entries == 0 {
                return Ok(Fed::Done);
            }
            let len = source.len().min(extent.bytes);
            let is_whole = source.len() >= extent.bytes;
            if self.scan.is_some() {
                match self.go_on(source, extent, len, flaws)? {
                    true => {}
                    false if is_whole => {
                        flaws.add(Flaw::CutOff, 1);
                        self.drop_next(source, extent, len - self.run);
                        self.scan = None;
                        self.lets_go = false;
                        extent.entries = 0;
                    }
                    false => return Ok(self.wait(source, extent, len)),
                }
                continue;
            }
            let region = source.get(..len).unwrap_or_default();
            match self.walk(region, &mut extent.entries)? {
                Halt::End if is_whole || extent.entries == 0 => return Ok(Fed::Done),
                Halt::End => return Ok(Fed::More),
                Halt::Full => return Ok(Fed::Full),
                Halt::Incomplete => self.scan = Some(Scan::new(self.run, 1)),
                Halt::Odd(size, verdict) => {
                    self.settle(source, extent, size, verdict, flaws, receipt)?;
                }
            }
        }
    }

    /// Takes what is good so far.
    pub(crate) fn take(
        &mut self,
        source: &mut BytesMut,
        extent: &mut Extent,
        block_bytes: usize,
    ) -> EntryStream {
        let run = self.run;
        let bytes = if self.moved.is_empty() {
            slice_off(source, run, block_bytes)
        } else {
            self.move_run(source);
            std::mem::take(&mut self.moved).into()
        };
        self.forget_front(extent, run);
        EntryStream {
            bytes,
            count: std::mem::take(&mut self.count),
        }
    }

    /// Walks over complete entries as long as they stay as they are. This is the hot loop of the whole input.
    #[inline]
    fn walk(&mut self, region: &[u8], entries: &mut u64) -> Result<Halt, Malformed> {
        let room = self.part_bytes.saturating_sub(self.moved.len());
        let mut rest = region.get(self.run..).unwrap_or_default();
        while !rest.is_empty() && *entries > 0 {
            let (size, verdict) = match judge(rest) {
                Ok(judged) => judged,
                Err(Malformed::Truncated) => return Ok(Halt::Incomplete),
                Err(malformed) => return Err(malformed),
            };
            if size > self.part_bytes {
                return Ok(Halt::Odd(size, Verdict::Drop(Flaw::TooLarge)));
            }
            if let Verdict::Drop(_) | Verdict::Marker = verdict {
                return Ok(Halt::Odd(size, verdict));
            }
            if self.run + size > room && self.count > 0 {
                return Ok(Halt::Full);
            }
            if verdict != Verdict::Keep {
                return Ok(Halt::Odd(size, verdict));
            }
            self.run += size;
            self.count += 1;
            *entries -= 1;
            rest = rest.get(size..).unwrap_or_default();
        }
        Ok(Halt::End)
    }

    /// Goes on with the incomplete entry; whether it is complete now. One that is let go is dropped by then.
    fn go_on(
        &mut self,
        source: &mut BytesMut,
        extent: &mut Extent,
        len: usize,
        flaws: &mut Flaws,
    ) -> Result<bool, Malformed> {
        let Some(scan) = &mut self.scan else {
            return Ok(true);
        };
        if !scan.advance(source.get(..len).unwrap_or_default())? {
            return Ok(false);
        }
        let end = scan.at();
        self.scan = None;
        if std::mem::take(&mut self.lets_go) {
            self.drop_next(source, extent, end - self.run);
            extent.entries -= 1;
            flaws.add(Flaw::TooLarge, 1);
        }
        Ok(true)
    }

    /// What to do while an entry is not complete: wait for the rest, unless what is held grows too large.
    fn wait(&mut self, source: &mut BytesMut, extent: &mut Extent, len: usize) -> Fed {
        if !self.lets_go && self.moved.len() + len > self.part_bytes {
            if self.count > 0 {
                return Fed::Full;
            }
            self.lets_go = true;
        }
        if self.lets_go {
            let seen = self.scan.as_ref().map_or(0, Scan::at);
            source.advance(seen);
            self.forget_front(extent, seen);
        }
        Fed::More
    }

    /// Lets an entry go, or writes it anew.
    fn settle(
        &mut self,
        source: &mut BytesMut,
        extent: &mut Extent,
        size: usize,
        verdict: Verdict,
        flaws: &mut Flaws,
        receipt: &mut ReceiptTime,
    ) -> Result<(), Malformed> {
        let time = match verdict {
            Verdict::Retime(time) => Some(time),
            Verdict::Now => Some(receipt.get()),
            Verdict::Drop(flaw) => {
                flaws.add(flaw, 1);
                None
            }
            Verdict::Marker | Verdict::Keep => None,
        };
        let run = self.run;
        self.move_run(source);
        if let Some(time) = time {
            retime(
                &mut self.moved,
                source.get(..size).unwrap_or_default(),
                time,
            )?;
            self.count += 1;
        }
        source.advance(size);
        self.forget_front(extent, run + size);
        extent.entries -= 1;
        Ok(())
    }

    /// Lets the `size` bytes behind the run go.
    fn drop_next(&mut self, source: &mut BytesMut, extent: &mut Extent, size: usize) {
        let run = self.run;
        self.move_run(source);
        source.advance(size);
        self.forget_front(extent, run + size);
    }

    /// Moves the run behind what was moved before. The caller owes [`Self::forget_front`].
    fn move_run(&mut self, source: &mut BytesMut) {
        if self.run > 0 {
            self.moved
                .extend_from_slice(source.get(..self.run).unwrap_or_default());
            source.advance(self.run);
            self.run = 0;
        }
    }

    /// `size` bytes were taken from the front of the source.
    fn forget_front(&mut self, extent: &mut Extent, size: usize) {
        self.run = 0;
        if extent.bytes != usize::MAX {
            extent.bytes = extent.bytes.saturating_sub(size);
        }
        if let Some(scan) = &mut self.scan {
            scan.shift(size);
        }
    }
}

/// A block is shared only by slices that are at least this part of it, so that a small message that waits
/// somewhere does not hold the memory of a large one.
const SHARES_MAX: usize = 8;

/// The first `len` bytes of `source`: shared where they are a good part of their block, copied otherwise.
pub(crate) fn slice_off(source: &mut BytesMut, len: usize, block_bytes: usize) -> Bytes {
    if len.saturating_mul(SHARES_MAX) >= block_bytes {
        return source.split_to(len).freeze();
    }
    let copy = Bytes::copy_from_slice(source.get(..len).unwrap_or_default());
    source.advance(len);
    copy
}
