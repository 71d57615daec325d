//! Segments that are kept for little: when room is wanted, such a segment is written anew with nothing but its frames
//! that are not done. They keep their sequences, and with them the identity of their records.

use std::{
    io::{self, ErrorKind, IoSlice},
    path::Path,
};

use super::{
    files::{self, Files, OpenFile},
    frame::Kind,
    index::Index,
    layout::Segment,
    ranges::Ranges,
    scan::{Scanner, Step},
    segment::{SEGMENT_HEADER_LEN, SegmentHeader},
    writer::Writer,
};

/// At most this part of a segment that is written anew may still be needed.
const LIVE_PART: u64 = 4;
/// How much of a segment is read at once, in bytes.
const BLOCK: usize = 1 << 20;

/// A segment to be written anew.
#[derive(Debug)]
pub(super) struct Pinned {
    first: u64,
    len: u64,
    /// What the file occupies.
    bytes: u64,
    done: Ranges,
}

/// A segment that was written anew.
#[derive(Debug, Default)]
struct Rewritten {
    len: u64,
    /// The sequences of its frames.
    frames: Vec<u64>,
    live_bytes: u64,
}

impl Writer {
    /// Gives back the room of what is done in one segment that is kept for little.
    pub(super) fn evacuate(&mut self) {
        let Some(dir) = self.shared.dir.as_deref().filter(|_| self.disk.is_some()) else {
            return;
        };
        if !self.shared.room.is_wanted() || self.mending.has_failed() {
            return;
        }
        let Some(pinned) = self.shared.index().pinned() else {
            return;
        };
        let path = files::segment_path(dir, pinned.first);
        let result = rewrite(&self.shared.files, &path, &pinned);
        let mut index = self.shared.index();
        match result {
            Ok(rewritten) => {
                let freed = pinned.bytes.saturating_sub(rewritten.len);
                index.evacuated(pinned.first, &rewritten);
                drop(index);
                self.shared.room.free(freed);
                tracing::info!(output = %self.shared.output_id, segment = pinned.first, freed, "a segment was written anew without what is done");
            }
            // Later there may be room for it.
            Err(error) if files::is_full(&error) => {}
            Err(error) => {
                index.keep_whole(pinned.first);
                drop(index);
                tracing::warn!(output = %self.shared.output_id, segment = pinned.first, %error, "a segment cannot be written anew");
            }
        }
    }
}

/// Puts a copy of a segment in its place, with those of its frames that are not done. A power cut leaves the one or the other.
fn rewrite(files: &Files, path: &Path, pinned: &Pinned) -> io::Result<Rewritten> {
    let fresh = path.with_extension("tmp");
    files.remove(&fresh)?;
    let copy = || {
        let copy = files.create_new(&fresh)?;
        let (old, _) = files.open(path)?;
        let rewritten = copy_live(old, &copy, pinned)?;
        copy.sync_data()?;
        files.rename(&fresh, path)?;
        Ok(rewritten)
    };
    let copied = copy();
    if copied.is_err() {
        drop(files.remove(&fresh));
    } else if let Some(dir) = path.parent() {
        // Without it, a power cut leaves the old file, in which nothing is missing.
        drop(files.sync_dir(dir));
    }
    copied
}

fn copy_live(old: OpenFile, copy: &OpenFile, pinned: &Pinned) -> io::Result<Rewritten> {
    let damaged = || io::Error::from(ErrorKind::InvalidData);
    let header = old.read_at(0, SEGMENT_HEADER_LEN)?.ok_or_else(damaged)?;
    let salt = SegmentHeader::decode(&header).map_err(|_| damaged())?.salt;
    copy.write_all(&mut [IoSlice::new(&header)])?;
    let mut rewritten = Rewritten {
        len: SEGMENT_HEADER_LEN as u64,
        ..Rewritten::default()
    };
    let mut scanner = Scanner::new(old, pinned.first, salt, BLOCK);
    while let Some(step) = scanner.step(pinned.len)? {
        let Step::Frame(spot) = step else {
            return Err(damaged());
        };
        let is_end = spot.header.kind == Kind::End;
        if is_end || pinned.done.contains(spot.header.sequence) {
            continue;
        }
        // What is copied is whole.
        scanner.read(&spot)?.ok_or_else(damaged)?;
        let range = spot.range();
        let len = usize::try_from(range.end - range.start).map_err(|_| damaged())?;
        let frame = scanner.file().read_at(range.start, len)?;
        copy.write_all(&mut [IoSlice::new(&frame.ok_or_else(damaged)?)])?;
        rewritten.len += len as u64;
        rewritten.frames.push(spot.header.sequence);
        rewritten.live_bytes += len as u64;
    }
    Ok(rewritten)
}

impl Index {
    /// The oldest segment that is kept for little and that nobody will read before the next start.
    fn pinned(&self) -> Option<Pinned> {
        if self.loading || self.resume.is_some() {
            return None;
        }
        let holds_piece = |segment: &Segment| {
            let pieces = self.groups.values().flat_map(|group| &group.pieces);
            let mut places = pieces.map(|piece| piece.place.segment);
            places.any(|first| first == segment.first)
        };
        let segment = self.segments.iter().find(|segment| {
            segment.first < self.cursor.segment
                && segment.is_pinned()
                && segment.live_bytes < segment.len / LIVE_PART
                && !holds_piece(segment)
        })?;
        Some(Pinned {
            first: segment.first,
            len: segment.len,
            bytes: segment.len + segment.rest,
            done: segment.done.clone(),
        })
    }

    fn evacuated(&mut self, first: u64, rewritten: &Rewritten) {
        let Some(segment) = self.segment_at(first) else {
            return;
        };
        let done = rewritten.frames.iter();
        let done = done.filter(|sequence| segment.done.contains(**sequence));
        segment.done_frames = u32::try_from(done.count()).unwrap_or(u32::MAX);
        segment.frames = u32::try_from(rewritten.frames.len()).unwrap_or(u32::MAX);
        (segment.len, segment.rest) = (rewritten.len, 0);
    }

    /// This segment is not to be written anew.
    fn keep_whole(&mut self, first: u64) {
        if let Some(segment) = self.segment_at(first) {
            segment.is_stubborn = true;
        }
    }

    /// Bytes of what is done in segments that are kept for what is not.
    pub(super) fn pinned_bytes(&self) -> u64 {
        let segments = self.segments.iter();
        let pinned = segments.filter(|segment| segment.sealed && !segment.unseen);
        pinned
            .map(|segment| segment.len.saturating_sub(segment.live_bytes))
            .sum()
    }
}

impl Segment {
    /// Whether some of it is done and some is not, and all of it is whole.
    fn is_pinned(&self) -> bool {
        let is_whole = self.damaged.is_empty() && !self.uncopied && !self.is_stubborn;
        let is_partly_done = self.done_frames > 0 && self.done_frames < self.frames;
        self.sealed && !self.unseen && !self.held && is_whole && is_partly_done
    }
}
