//! Reading frames back from disk, for workers that are behind. Runs on threads that may block.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    ops::Range,
    path::Path,
    sync::PoisonError,
    time::Duration,
};

use sdk::output::Frame;

use super::{
    Shared,
    backlog::{Job, SegmentJob, SegmentRead},
    chunk::{Mark, Parcel},
    files,
    frame::Kind,
    layout::{Piece, complete},
    quarantine::Quarantine,
    queue::Limits,
    scan::{Scanner, Spot, Step, find_salt},
    segment::{SEGMENT_HEADER_LEN, SegmentHeader},
};
use crate::telemetry::ledger::DropReason;

/// How long reading rests after a failure that may pass, such as too many open files.
const REST: Duration = Duration::from_secs(1);

/// The segment that was read last.
#[derive(Debug, Default)]
pub(super) struct Loader {
    open: Option<(u64, Scanner)>,
}

/// Reads the next chunk and puts it where the workers take it from.
pub(super) fn load(shared: &Shared) {
    let _done = LoadingEnds(shared);
    let mut loader = shared.loader.lock().unwrap_or_else(PoisonError::into_inner);
    let limits = Limits::of(&shared.settings);
    let job = shared.index().job(&limits);
    let (Some(job), Some(dir)) = (job, shared.dir.as_deref()) else {
        return;
    };
    let mut reading = Reading {
        shared,
        dir,
        loader: &mut loader,
        limits,
    };
    let result = match job {
        Job::Segment(job) => reading.segment(&job),
        Job::Group(id, pieces) => reading.group(id, pieces),
    };
    if shared.index().is_up_to_date() {
        // Neither a block nor a descriptor is kept for nothing.
        loader.open = None;
    }
    if let Err(error) = result {
        tracing::error!(output = %shared.output_id, %error, "a segment cannot be read now; trying again");
        std::thread::sleep(REST);
    }
}

/// Tells the workers that reading has ended, however it ended.
struct LoadingEnds<'a>(&'a Shared);

impl Drop for LoadingEnds<'_> {
    fn drop(&mut self) {
        self.0.index().loading = false;
        self.0.notify.notify_waiters();
    }
}

struct Reading<'a> {
    shared: &'a Shared,
    dir: &'a Path,
    loader: &'a mut Loader,
    limits: Limits,
}

impl Reading<'_> {
    /// Reads frames of one segment until the chunk is full.
    ///
    /// # Errors
    /// The segment could not be opened for a reason that may pass.
    fn segment(&mut self, job: &SegmentJob) -> io::Result<()> {
        let mut read = SegmentRead {
            parcel: Parcel::default(),
            cursor: job.cursor,
            newest_ms: None,
            marker: None,
            new_damage: Vec::new(),
            uncopied: false,
        };
        if self.open(job.cursor.segment)? {
            self.frames(job, &mut read);
        } else {
            read.cursor.offset = job.end;
        }
        let spent = self.shared.index().segment_read(read);
        self.shared.inbox.done(spent);
        Ok(())
    }

    /// Opens a segment unless it is open. `false` when it is gone or has no whole frame.
    fn open(&mut self, first: u64) -> io::Result<bool> {
        if self
            .loader
            .open
            .as_ref()
            .is_some_and(|(open, _)| *open == first)
        {
            return Ok(true);
        }
        self.loader.open = None;
        let (file, len) = match files::open(&files::segment_path(self.dir, first)) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let header = files::read_at(&file, 0, SEGMENT_HEADER_LEN)?.unwrap_or_default();
        let salt = match SegmentHeader::decode(&header) {
            Ok(header) => Some(header.salt),
            Err(_) => find_salt(&file, SEGMENT_HEADER_LEN as u64, len)?,
        };
        let Some(salt) = salt else { return Ok(false) };
        let block = self.limits.bytes.clamp(64 << 10, 16 << 20);
        self.loader.open = Some((first, Scanner::new(file, first, salt, block)));
        Ok(true)
    }

    fn frames(&mut self, job: &SegmentJob, read: &mut SegmentRead) {
        let Some((_, scanner)) = &mut self.loader.open else {
            return;
        };
        scanner.seek(job.cursor.offset);
        let mut size = (0, 0);
        loop {
            let spot = match scanner.step(job.end) {
                Ok(None) => break,
                Ok(Some(Step::Frame(spot))) => spot,
                Ok(Some(Step::Damage(damage))) => {
                    read.damaged(self.shared, scanner, job, damage.range, "no whole header");
                    continue;
                }
                Err(error) => {
                    tracing::error!(segment = job.cursor.segment, %error, "the rest of a segment cannot be read");
                    (read.cursor.offset, read.uncopied) = (job.end, true);
                    return;
                }
            };
            let header = spot.header;
            if header.kind != Kind::End && header.sequence >= job.stop {
                scanner.seek(spot.offset);
                break;
            }
            let is_wanted = header.kind == Kind::Whole
                && !job.done.contains(header.sequence)
                && !job.known_damage.contains(&spot.range());
            if is_wanted
                && !self
                    .limits
                    .admits(size, header.payload_len as usize, u64::from(header.count))
            {
                scanner.seek(spot.offset);
                break;
            }
            if is_wanted && read.take(self.shared, scanner, job, &spot) {
                size = (
                    size.0 + header.payload_len as usize,
                    size.1 + u64::from(header.count),
                );
            }
            if header.kind != Kind::End {
                read.cursor.sequence = header.sequence + 1;
            }
            if header.kind == (Kind::Piece { last: true }) {
                read.marker = Some(header.sequence);
                break;
            }
        }
        read.cursor.offset = scanner.offset();
    }

    /// Reads pieces of a large message.
    ///
    /// # Errors
    /// A segment could not be opened for a reason that may pass; what was not read stays in line.
    fn group(&mut self, id: u64, pieces: Vec<Piece>) -> io::Result<()> {
        let chunk = self.shared.index().chunk_of_group(id);
        let mut parcel = Parcel::default();
        let mut pieces = VecDeque::from(pieces);
        let mut result = Ok(());
        while let Some(piece) = pieces.front() {
            let frame = match self.piece(piece) {
                Ok(frame) => frame,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let Some(piece) = pieces.pop_front() else {
                break;
            };
            match frame {
                Some(mut frame) => {
                    complete(&mut frame, &chunk);
                    parcel.push(frame, piece.mark(Some(id)), piece.stored_ms);
                }
                None => self.lost(id, &piece),
            }
        }
        let mut index = self.shared.index();
        index.put_back(id, pieces);
        let spent = index.stash(parcel);
        drop(index);
        self.shared.inbox.done(spent);
        result
    }

    fn piece(&mut self, piece: &Piece) -> io::Result<Option<Frame>> {
        if !self.open(piece.place.segment)? {
            return Ok(None);
        }
        let Some((_, scanner)) = &mut self.loader.open else {
            return Ok(None);
        };
        scanner.seek(piece.place.offset);
        let frame = match scanner.step(piece.place.offset + piece.place.len) {
            Ok(Some(Step::Frame(spot))) => scanner.read(&spot),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        // The file is open; what cannot be read now will not be readable later.
        Ok(frame.ok().flatten().map(|decoded| decoded.frame))
    }

    fn lost(&mut self, id: u64, piece: &Piece) {
        let (segment, records) = (piece.place.segment, u64::from(piece.count));
        tracing::error!(segment, records, "records are lost: their frame is damaged");
        self.shared.account.release(records);
        self.shared
            .account
            .dropped(DropReason::Corrupt, records, piece.place.len);
        if let Some((_, scanner)) = &self.loader.open {
            let range = piece.place.offset..piece.place.offset + piece.place.len;
            let kept =
                Quarantine::new(self.dir).keep(scanner.file(), segment, &range, "wrong checksum");
            self.shared.index().note_uncopied(segment, kept.is_lost());
        }
        self.shared.metrics.corrupt_ranges.inc();
        self.shared.inbox.done([piece.mark(Some(id))]);
    }
}

impl SegmentRead {
    /// Takes in a whole batch. `false` when it is damaged.
    fn take(
        &mut self,
        shared: &Shared,
        scanner: &mut Scanner,
        job: &SegmentJob,
        spot: &Spot,
    ) -> bool {
        match scanner.read(spot) {
            Ok(Some(decoded)) => {
                let header = spot.header;
                let mark = Mark {
                    sequence: header.sequence,
                    group: None,
                    bytes: header.total(),
                };
                self.parcel.push(decoded.frame, mark, header.stored_ms);
                self.newest_ms = Some(header.stored_ms);
                true
            }
            Ok(None) => {
                self.damaged(shared, scanner, job, spot.range(), "wrong checksum");
                false
            }
            Err(error) => {
                tracing::error!(segment = job.cursor.segment, %error, "a frame cannot be read");
                self.uncopied = true;
                false
            }
        }
    }

    fn damaged(
        &mut self,
        shared: &Shared,
        scanner: &Scanner,
        job: &SegmentJob,
        range: Range<u64>,
        reason: &str,
    ) {
        if job.known_damage.contains(&range) {
            return;
        }
        let Some(dir) = &shared.dir else { return };
        let kept = Quarantine::new(dir).keep(scanner.file(), job.cursor.segment, &range, reason);
        self.uncopied |= kept.is_lost();
        shared.metrics.corrupt_ranges.inc();
        self.new_damage.push(range);
    }
}
