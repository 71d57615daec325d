//! Looking through one segment at start: what is in it, what of it is done, what is damaged.

use std::ops::Range;

use bytes::Bytes;

use super::{
    files::{Files, OpenFile},
    frame::{Decoded, HEADER_LEN, Header, Kind},
    layout::{Piece, Place, Segment, chunk_of},
    metrics::BufferMetrics,
    quarantine::{Kept, Quarantine},
    ranges::Ranges,
    scan::{Damage, Scanner, Spot, Step},
    segment::FRAMES_MAX,
    window::Found,
};

/// How much of a segment is read at once, in bytes.
const BLOCK: usize = 1 << 20;
/// Pauses before another try where a file cannot be read, in milliseconds.
pub(super) const PAUSES_MS: [u64; 3] = [20, 80, 320];

/// What was found in a segment.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) segment: Segment,
    /// Pieces of groups that are not done.
    pub(super) pieces: Vec<FoundPiece>,
    /// Messages that may come again, done or not.
    pub(super) known: Vec<Found>,
    /// Records of whole batches that are not done.
    pub(super) live_records: u64,
    /// Sequences of frames that are lost.
    pub(super) lost: Vec<u64>,
    /// Records in lost frames, as far as it can be told, that were not known to be lost before.
    pub(super) corrupt_records: u64,
    pub(super) corrupt_bytes: u64,
    /// When the oldest frame that is not done was stored, in milliseconds since 1970.
    pub(super) oldest_ms: Option<u64>,
    /// The sequence after the last frame.
    pub(super) next_sequence: u64,
}

/// A piece of a group.
#[derive(Debug, Clone)]
pub(super) struct FoundPiece {
    pub(super) group: u64,
    pub(super) last: bool,
    /// Whether it is done, so that only its being there matters.
    pub(super) done: bool,
    pub(super) piece: Piece,
    /// The sender's chunk id, in the last piece.
    pub(super) chunk: Bytes,
}

/// What the survey needs to know besides the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) files: &'a Files,
    /// Frames that were written and never became durable.
    pub(super) void: &'a Ranges,
    pub(super) done: &'a Ranges,
    pub(super) quarantine: &'a Quarantine,
    pub(super) metrics: &'a BufferMetrics,
}

/// Looks through a segment of `len` bytes; the next one begins with the sequence `end`.
///
/// # Errors
/// None: what cannot be read counts as damaged.
pub(super) fn survey(
    file: OpenFile,
    first: u64,
    salt: u32,
    len: u64,
    end: u64,
    around: Surroundings<'_>,
) -> Survey {
    let scanner = Scanner::new(file, first, salt, BLOCK);
    let segment = Segment {
        first,
        sealed: true,
        ..Segment::default()
    };
    let found = Survey {
        segment,
        next_sequence: first,
        ..Survey::default()
    };
    let mut surveyor = Surveyor {
        scanner,
        around,
        end,
        found,
        records: 0,
        damaged_bytes: 0,
        damage_is_new: false,
    };
    surveyor.run(len);
    surveyor.found
}

struct Surveyor<'a> {
    scanner: Scanner,
    around: Surroundings<'a>,
    /// First sequence of the next segment.
    end: u64,
    found: Survey,
    /// Records of all frames so far, the lost ones included.
    records: u64,
    /// Damaged bytes since the last whole header.
    damaged_bytes: u64,
    damage_is_new: bool,
}

impl Surveyor<'_> {
    fn run(&mut self, len: u64) {
        self.found.segment.len = self.scanner.offset().min(len);
        loop {
            let files = self.around.files;
            let step = |scanner: &mut Scanner| scanner.step(len);
            match self.scanner.patiently(files, &PAUSES_MS, step) {
                Ok(Some(Step::Frame(spot))) if self.is_void(&spot.header) => {
                    // Behind it is nothing that counts: the file was given up there.
                    self.close_before_void(&spot.header);
                    break;
                }
                Ok(Some(Step::Frame(spot))) => self.frame(&spot, len),
                Ok(Some(Step::Damage(damage))) => self.damage(&damage, len),
                Ok(None) | Err(_) => break,
            }
        }
        let next = self.found.next_sequence;
        if self.damaged_bytes > 0 && !self.around.void.contains(next) {
            self.book(0);
            // If the next segment begins there, no frame can be missing.
            self.found.lost.extend((next < self.end).then_some(next));
        }
        self.found.segment.rest = len.saturating_sub(self.found.segment.len);
        let first = self.found.segment.first;
        self.found.segment.done = self
            .around
            .done
            .within(first, first + u64::from(FRAMES_MAX));
    }

    fn frame(&mut self, spot: &Spot, len: u64) {
        let header = spot.header;
        self.close_gap(&header);
        self.found.segment.len = spot.range().end;
        if header.kind == Kind::End {
            return;
        }
        self.found.next_sequence = header.sequence + 1;
        self.records += u64::from(header.count);
        let files = self.around.files;
        let read = |scanner: &mut Scanner| scanner.read(spot);
        if let Ok(Some(decoded)) = self.scanner.patiently(files, &PAUSES_MS, read) {
            return self.whole(spot, &decoded);
        }
        let damage = Damage {
            range: spot.range(),
            cut: false,
        };
        self.damage(&damage, len);
        self.book(u64::from(header.count));
        self.found.lost.push(header.sequence);
    }

    fn is_void(&self, header: &Header) -> bool {
        header.kind != Kind::End && self.around.void.contains(header.sequence)
    }

    /// Accounts for the frames that are missing before the first one that is void.
    fn close_before_void(&mut self, header: &Header) {
        let missing = self.found.next_sequence..header.sequence;
        let before = self.found.lost.len();
        let void = self.around.void;
        self.found
            .lost
            .extend(missing.filter(|sequence| !void.contains(*sequence)));
        if self.found.lost.len() > before {
            self.book(0);
        }
        self.damaged_bytes = 0;
    }

    /// Accounts for the frames between the last whole header and this one.
    fn close_gap(&mut self, header: &Header) {
        let missing = self.found.next_sequence..header.sequence;
        let records = u64::from(header.before).saturating_sub(self.records);
        self.records = self.records.max(u64::from(header.before));
        if self.damaged_bytes > 0 {
            self.book(records);
        }
        // A segment that was written anew has nothing of what was done then.
        let done = self.around.done;
        let lost = missing.filter(|sequence| !done.contains(*sequence));
        self.found.lost.extend(lost);
    }

    fn whole(&mut self, spot: &Spot, decoded: &Decoded) {
        let header = spot.header;
        let done = self.around.done.contains(header.sequence);
        let segment = &mut self.found.segment;
        segment.frames += 1;
        segment.done_frames += u32::from(done);
        if !done {
            segment.live_bytes += header.total();
            self.found.oldest_ms = self
                .found
                .oldest_ms
                .into_iter()
                .chain([header.stored_ms])
                .min();
        }
        let sequence = header.sequence;
        let known = decoded.known_by.map(|(digest, window_secs)| Found {
            digest,
            window_secs,
            sequence,
            stored_ms: header.stored_ms,
        });
        self.found.known.extend(known);
        match (decoded.group, header.kind) {
            (Some(group), Kind::Piece { last }) => {
                let place = Place {
                    segment: segment.first,
                    offset: spot.offset,
                    len: header.total(),
                };
                let (count, stored_ms) = (header.count, header.stored_ms);
                let piece = Piece {
                    sequence,
                    count,
                    place,
                    stored_ms,
                    held: None,
                };
                self.found.pieces.push(FoundPiece {
                    group,
                    last,
                    done,
                    piece,
                    chunk: chunk_of(&decoded.frame),
                });
            }
            _ if done => {}
            _ => {
                segment.untaken_frames += 1;
                segment.untaken_records += u64::from(header.count);
                self.found.live_records += u64::from(header.count);
            }
        }
    }

    fn damage(&mut self, damage: &Damage, len: u64) {
        let Range { start, end } = damage.range;
        if end == len && self.scanner.is_zero(&damage.range).unwrap_or(false) {
            // Space that the file system added before a power cut; nothing was ever written there.
            return;
        }
        let reason = match damage.cut {
            true => "a write that was cut off",
            false if end - start < HEADER_LEN as u64 => "no whole header",
            false => "no whole header, or a wrong checksum",
        };
        let quarantine = self.around.quarantine;
        let kept = self.scanner.keep(quarantine, &damage.range, reason);
        self.found.segment.uncopied |= kept.is_lost();
        if damage.cut {
            // Its sender got no answer, so nothing that was promised is lost.
            self.around.metrics.cut_writes.inc();
            return;
        }
        self.found.segment.damaged.push(damage.range.clone());
        self.found.segment.len = self.found.segment.len.max(end);
        self.damaged_bytes += end - start;
        self.damage_is_new |= kept != Kept::Known;
    }

    /// Books damaged bytes in which this many records are known to be lost, unless an earlier start did.
    fn book(&mut self, records: u64) {
        let bytes = std::mem::take(&mut self.damaged_bytes);
        if std::mem::take(&mut self.damage_is_new) {
            self.around.metrics.corrupt_ranges.inc();
            self.found.corrupt_records += records;
            self.found.corrupt_bytes += bytes;
        }
    }
}
