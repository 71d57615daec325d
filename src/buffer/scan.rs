//! Reading a segment from front to back: frames, and the damaged ranges between them.

use std::{io, ops::Range};

use bytes::Bytes;

use super::{
    files::{Files, OpenFile},
    frame::{self, Decoded, HEADER_LEN, Header, TRAILER_LEN},
    quarantine::{Kept, Quarantine},
    segment::{FRAMES_MAX, SEGMENT_HEADER_LEN},
};

/// Blocks that are searched for the next frame, in bytes.
const SEARCH_BLOCK: usize = 256 << 10;

/// The smallest part of a file that may be unreadable, in bytes.
const PAGE: u64 = 4096;
/// What stands for bytes that cannot be read: neither a frame nor the zeros of a power cut.
const UNREADABLE: u8 = 0xff;

/// A part of a file in memory, which moves along.
#[derive(Debug)]
struct Window {
    file: OpenFile,
    /// Pages that cannot be read are stood in for, so that the rest of the file can be.
    lenient: bool,
    block: usize,
    base: u64,
    bytes: Bytes,
}

impl Window {
    /// The bytes at `offset`; `None` when there are not that many before `end`.
    fn get(&mut self, offset: u64, len: u64, end: u64) -> io::Result<Option<Bytes>> {
        if end.checked_sub(offset).is_none_or(|left| left < len) {
            return Ok(None);
        }
        if let Some(found) = self.cached(offset, len) {
            return Ok(Some(found));
        }
        // Never longer than what the file really has.
        let size = (self.block as u64).max(len).min(end - offset);
        let Ok(size) = usize::try_from(size) else {
            return Ok(None);
        };
        let bytes = match self.file.read_at(offset, size) {
            Err(_) if self.lenient => Some(self.pages(offset, size)),
            read => read?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        (self.base, self.bytes) = (offset, bytes.into());
        Ok(self.cached(offset, len))
    }

    /// Bytes from `offset` on, as far as their pages can be read.
    fn pages(&self, offset: u64, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size);
        let end = offset + size as u64;
        let mut at = offset;
        while at < end {
            let next = (at / PAGE + 1).saturating_mul(PAGE).min(end);
            let len = usize::try_from(next - at).unwrap_or(0);
            match self.file.read_at(at, len) {
                Ok(Some(page)) => bytes.extend(page),
                _ => bytes.resize(bytes.len() + len, UNREADABLE),
            }
            at = next;
        }
        bytes
    }

    fn cached(&self, offset: u64, len: u64) -> Option<Bytes> {
        let from = usize::try_from(offset.checked_sub(self.base)?).ok()?;
        let to = from.checked_add(usize::try_from(len).ok()?)?;
        (to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }
}

/// Walks over a segment.
#[derive(Debug)]
pub(super) struct Scanner {
    window: Window,
    first: u64,
    salt: u32,
    offset: u64,
}

/// What comes next in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A frame whose header is whole.
    Frame(Spot),
    /// Bytes that are no frame.
    Damage(Damage),
}

/// A frame whose header is whole, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) offset: u64,
    pub(super) header: Header,
}

impl Spot {
    /// The bytes of the frame.
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.header.total()
    }
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) range: Range<u64>,
    /// Whether it looks like a write that was cut off: less than a frame at the end of the file.
    pub(super) cut: bool,
}

impl Scanner {
    /// Begins at the first frame of the segment `first`. `block` is how much is read at once, in bytes.
    pub(super) fn new(file: OpenFile, first: u64, salt: u32, block: usize) -> Self {
        let window = Window {
            file,
            lenient: false,
            block,
            base: 0,
            bytes: Bytes::new(),
        };
        Self {
            window,
            first,
            salt,
            offset: SEGMENT_HEADER_LEN as u64,
        }
    }

    /// The file.
    pub(super) fn file(&self) -> &OpenFile {
        &self.window.file
    }

    /// Copies a damaged range into quarantine.
    pub(super) fn keep(&self, quarantine: &Quarantine, range: &Range<u64>, reason: &str) -> Kept {
        let kept = quarantine.keep(self.file(), self.first, range, reason);
        if self.window.lenient && kept == Kept::Copied {
            // It could not be read a moment ago and may not be damaged at all, so a copy does not stand for it.
            return Kept::Lost;
        }
        kept
    }

    /// Where the next step begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on at `offset`.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Reads with patience: again after each of these pauses, in milliseconds. From then on, pages that cannot be
    /// read count as damaged.
    ///
    /// # Errors
    /// None of the file: only what `read` makes of it.
    pub(super) fn patiently<T>(
        &mut self,
        files: &Files,
        pauses_ms: &[u64],
        read: impl Fn(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.window.lenient {
            return read(self);
        }
        files.patiently(pauses_ms, || read(self)).or_else(|error| {
            tracing::error!(segment = self.first, %error, "a part of a segment cannot be read and counts as damaged");
            self.window.lenient = true;
            read(self)
        })
    }

    /// The next frame or damaged range before `end`; `None` at `end`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn step(&mut self, end: u64) -> io::Result<Option<Step>> {
        let start = self.offset;
        if start >= end {
            return Ok(None);
        }
        let header = self.header_at(start, end)?;
        if let Some(header) = header {
            let spot = Spot {
                offset: start,
                header,
            };
            if spot.range().end <= end {
                self.offset = spot.range().end;
                return Ok(Some(Step::Frame(spot)));
            }
        }
        let next = self.search(start + 1, end)?;
        self.offset = next;
        let is_short = end - start < HEADER_LEN as u64;
        let cut = next == end && (header.is_some() || is_short);
        Ok(Some(Step::Damage(Damage {
            range: start..next,
            cut,
        })))
    }

    /// Reads and verifies the rest of a frame. `None` when it is damaged.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&mut self, spot: &Spot) -> io::Result<Option<Decoded>> {
        let range = spot.range();
        let frame = self
            .window
            .get(range.start, range.end - range.start, range.end)?;
        Ok(frame.and_then(|frame| frame::decode(&spot.header, &frame.slice(HEADER_LEN..))))
    }

    /// The same without a look at the checksum.
    #[cfg(feature = "defects")]
    pub(super) fn read_unverified(&mut self, spot: &Spot) -> io::Result<Option<Decoded>> {
        let range = spot.range();
        let frame = self
            .window
            .get(range.start, range.end - range.start, range.end)?;
        Ok(frame.and_then(|frame| frame::parse(&spot.header, &frame.slice(HEADER_LEN..))))
    }

    /// Whether nothing but zeros lies in `range`, as after a power cut.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn is_zero(&mut self, range: &Range<u64>) -> io::Result<bool> {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(SEARCH_BLOCK as u64);
            let Some(bytes) = self.window.get(at, len, range.end)? else {
                return Ok(false);
            };
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += len;
        }
        Ok(true)
    }

    fn header_at(&mut self, offset: u64, end: u64) -> io::Result<Option<Header>> {
        let bytes = self.window.get(offset, HEADER_LEN as u64, end)?;
        let header = bytes.and_then(|bytes| frame::decode_header(&bytes, self.salt));
        // No frame of this segment has another sequence, so this one was not written by us.
        let belongs = |header: &Header| {
            (self.first..=self.first + u64::from(FRAMES_MAX)).contains(&header.sequence)
        };
        Ok(header.filter(belongs))
    }

    /// The first offset from `from` on where a whole header stands; `end` when there is none.
    fn search(&mut self, from: u64, end: u64) -> io::Result<u64> {
        let magic = frame::magic(self.salt);
        let mut at = from;
        while let Some(block) = self.search_block(at, end)? {
            let places = block
                .windows(magic.len())
                .enumerate()
                .filter(|(_, bytes)| *bytes == magic);
            for (place, _) in places {
                let candidate = at + place as u64;
                if self.header_at(candidate, end)?.is_some() {
                    return Ok(candidate);
                }
            }
            // The next block repeats the last bytes, where a magic may have been cut in two.
            at += (block.len() - magic.len() + 1) as u64;
        }
        Ok(end)
    }

    fn search_block(&mut self, at: u64, end: u64) -> io::Result<Option<Bytes>> {
        let len = end.saturating_sub(at).min(SEARCH_BLOCK as u64);
        if len < (HEADER_LEN + TRAILER_LEN) as u64 {
            return Ok(None);
        }
        self.window.get(at, len, end)
    }
}
