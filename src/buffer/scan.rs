//! Reading a segment from front to back: frames, and the damaged ranges between them.

use std::{fs::File, io, ops::Range};

use bytes::Bytes;

use super::{
    files,
    frame::{self, Decoded, HEADER_LEN, Header, TRAILER_LEN},
    segment::{FRAMES_MAX, SEGMENT_HEADER_LEN},
};

/// Blocks that are searched for the next frame, in bytes.
const SEARCH_BLOCK: usize = 256 << 10;

/// A part of a file in memory, which moves along.
#[derive(Debug)]
struct Window {
    file: File,
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
        let Some(bytes) = files::read_at(&self.file, offset, size)? else {
            return Ok(None);
        };
        (self.base, self.bytes) = (offset, bytes.into());
        Ok(self.cached(offset, len))
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
    pub(super) fn new(file: File, first: u64, salt: u32, block: usize) -> Self {
        let window = Window {
            file,
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
    pub(super) fn file(&self) -> &File {
        &self.window.file
    }

    /// Where the next step begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on at `offset`.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
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

/// The salt of a segment whose own header is damaged, told by its first whole frame. `None` when it has none.
///
/// # Errors
/// The file cannot be read.
pub(super) fn find_salt(file: &File, from: u64, end: u64) -> io::Result<Option<u32>> {
    let mut at = from;
    while end.saturating_sub(at) >= HEADER_LEN as u64 {
        let len = (end - at).min(SEARCH_BLOCK as u64);
        let Ok(size) = usize::try_from(len) else {
            return Ok(None);
        };
        let Some(block) = files::read_at(file, at, size)? else {
            return Ok(None);
        };
        if let Some(salt) = block.windows(HEADER_LEN).find_map(frame::salt_of) {
            return Ok(Some(salt));
        }
        at += len - HEADER_LEN as u64 + 1;
    }
    Ok(None)
}
