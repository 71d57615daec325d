//! How the index sees what is stored: places, segments, and the groups of large messages.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;
use sdk::output::Frame;
use tokio::time::Instant;

use super::{chunk::Mark, frame, ranges::Ranges};

/// Where a frame lies; all zero in a memory buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// First sequence of its segment.
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// Its length in bytes, header and trailer included.
    pub(super) len: u64,
}

/// One segment file as the index knows it.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub(super) struct Segment {
    pub(super) first: u64,
    /// Length that is durable and may be read.
    pub(super) len: u64,
    /// Bytes of the file behind `len`, which hold nothing that counts.
    pub(super) rest: u64,
    /// Nothing is appended any more.
    pub(super) sealed: bool,
    /// Its header tells that frames in older segments do not count, so it stays as long as any of them.
    pub(super) voids: bool,
    /// Of an earlier process, and not looked through yet.
    pub(super) unseen: bool,
    /// It is needed until everything is looked through.
    pub(super) held: bool,
    /// It could not be written anew without what is done.
    pub(super) is_stubborn: bool,
    /// Bytes of frames that are not done.
    pub(super) live_bytes: u64,
    /// Frames that count: what is lost for good is not among them.
    pub(super) frames: u32,
    pub(super) done_frames: u32,
    /// Sequences that are done.
    pub(super) done: Ranges,
    /// Whole batches that no worker has got yet.
    pub(super) untaken_frames: u32,
    /// Their records.
    pub(super) untaken_records: u64,
    /// Damaged ranges that have been dealt with.
    pub(super) damaged: Vec<Range<u64>>,
    /// Some damaged bytes could not be copied, so the file must be kept.
    pub(super) uncopied: bool,
}

/// A segment of which nothing is needed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removable {
    pub(super) first: u64,
    /// What the file occupies.
    pub(super) bytes: u64,
    pub(super) uncopied: bool,
}

impl Removable {
    /// A file that holds nothing, and whose bytes are not counted.
    pub(super) fn empty(first: u64) -> Self {
        Self {
            first,
            bytes: 0,
            uncopied: false,
        }
    }
}

/// The pieces of a large message.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Pieces that no worker has got yet.
    pub(super) pieces: VecDeque<Piece>,
    /// Sequence of the frame that makes it valid; it must outlive the others.
    pub(super) marker: Option<u64>,
    pub(super) marker_done: bool,
    /// What the marker occupies, once it is done.
    pub(super) marker_bytes: u64,
    /// Frames besides the marker that are not done.
    pub(super) others_left: usize,
    /// Whether it stands in line for delivery.
    pub(super) queued: bool,
    /// The sender's chunk id, which only the frame that makes it valid brings along; empty when there is none.
    pub(super) chunk: Bytes,
}

/// The chunk id in a frame's origin; empty when there is none.
pub(super) fn chunk_of(frame: &Frame) -> Bytes {
    let origin = frame.origin.as_ref();
    origin
        .map(|origin| origin.chunk.clone())
        .unwrap_or_default()
}

/// Gives a frame that was stored before the end of its message the chunk id that came with the end. It also gets a
/// bitmap of the records that it has, since without one it would pass for the whole message.
pub(super) fn complete(frame: &mut Frame, chunk: &Bytes) {
    if let Some(origin) = frame
        .origin
        .as_mut()
        .filter(|origin| origin.chunk.is_empty())
    {
        origin.chunk.clone_from(chunk);
        origin.kept.get_or_insert_with(|| all(frame.count));
    }
}

/// One bit for each of `count` records, lowest bit first.
fn all(count: u32) -> Bytes {
    let mut bits = vec![0xff; count as usize / 8];
    if !count.is_multiple_of(8) {
        bits.push((1 << (count % 8)) - 1);
    }
    bits.into()
}

/// A piece of a group.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) sequence: u64,
    pub(super) count: u32,
    pub(super) place: Place,
    pub(super) stored_ms: u64,
    /// The batch itself, in a memory buffer.
    pub(super) held: Option<(Frame, Instant)>,
}

/// A frame that has just become durable.
#[derive(Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "the same name as everywhere for the same thing"
)]
pub(super) struct Stored {
    pub(super) frame: Frame,
    /// Its group, and whether it completes it.
    pub(super) piece: Option<(u64, bool)>,
    pub(super) place: Place,
    pub(super) arrived: Instant,
    pub(super) stored_ms: u64,
}

impl Piece {
    pub(super) fn mark(&self, group: Option<u64>) -> Mark {
        Mark {
            sequence: self.sequence,
            group,
            count: self.count,
            place: self.place,
        }
    }
}

/// What a frame of a memory buffer is charged with, in bytes.
pub(super) fn memory_len(events_len: usize) -> u64 {
    (events_len + frame::OVERHEAD) as u64
}

#[cfg(test)]
mod tests {
    use sdk::event::{Origin, Tag};

    use super::*;

    #[test]
    fn a_completed_piece_has_the_id_and_does_not_pass_for_the_whole_message() {
        for count in [1, 8, 11] {
            let origin = Origin {
                chunk: Bytes::new(),
                first: 5,
                kept: None,
                identifies: true,
            };
            let mut frame = Frame {
                sequence: 1,
                tag: Tag::new("a"),
                events: Bytes::new(),
                count,
                origin: Some(origin),
            };
            complete(&mut frame, &Bytes::from_static(b"id"));
            let origin = frame.origin.unwrap();
            assert_eq!(&origin.chunk[..], b"id");
            let places: Vec<u32> = origin.places().collect();
            assert_eq!(places, (5..5 + count).collect::<Vec<_>>());
            assert!(origin.kept.is_some());
        }
    }
}
