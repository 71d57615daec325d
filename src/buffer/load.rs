//! Reading frames back from disk, for workers that are behind. Runs on threads that may block.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    ops::Range,
    path::Path,
    sync::PoisonError,
    time::Duration,
};

use super::{
    Shared,
    backlog::{Job, SegmentJob, SegmentRead},
    chunk::{Mark, Parcel},
    files::{self, Files, OpenFile},
    frame::Kind,
    layout::{Piece, Place, complete},
    quarantine::{Kept, Quarantine},
    queue::Limits,
    salt::find_salt,
    scan::{Scanner, Spot, Step},
    segment::{SEGMENT_HEADER_LEN, SegmentHeader},
};
use crate::telemetry::ledger::DropReason;

/// How long reading rests after a failure that may pass, such as too many open files.
pub(super) const REST: Duration = Duration::from_secs(1);
/// Pauses before another try where a segment cannot be read, in milliseconds.
pub(super) const PAUSES_MS: [u64; 4] = [100, 300, 900, 1_800];

/// The segment that was read last.
#[derive(Debug, Default)]
pub(super) struct Loader {
    pub(super) open: Option<(u64, Scanner)>,
}

/// What came of opening a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// It is open.
    Yes,
    /// There is no such file.
    Gone,
    /// Nothing in it can be read.
    Unreadable,
}

/// Reads the next chunk and puts it where the workers take it from.
pub(super) fn load(shared: &Shared) {
    let _done = LoadingEnds(shared);
    let mut loader = shared.loader.lock().unwrap_or_else(PoisonError::into_inner);
    let limits = Limits::of(&shared.settings());
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
        Job::Again(parcel) => reading.again(parcel),
    };
    if shared.index().is_up_to_date() {
        // Neither a block nor a descriptor is kept for nothing.
        loader.open = None;
    }
    if let Err(error) = result {
        tracing::error!(output = %shared.output_id, %error, "a segment cannot be read now; trying again");
        std::thread::sleep(shared.files.lasts(REST));
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

pub(super) struct Reading<'a> {
    pub(super) shared: &'a Shared,
    dir: &'a Path,
    pub(super) loader: &'a mut Loader,
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
        let first = job.cursor.segment;
        match self.open(first)? {
            Opened::Yes => self.frames(job, &mut read),
            Opened::Gone => {
                read.cursor.offset = job.end;
                // It may have gone for good reason since the job was made.
                let mut index = self.shared.index();
                if let Some(segment) = index
                    .segment_at(first)
                    .filter(|segment| segment.untaken_frames > 0)
                {
                    tracing::error!(output = %self.shared.output_id, segment = first, frames = segment.untaken_frames, "a segment is missing");
                    self.shared.metrics.lost_segments.inc();
                }
            }
            Opened::Unreadable => {
                (read.cursor.offset, read.uncopied) = (job.end, true);
                self.shared.metrics.corrupt_ranges.inc();
            }
        }
        let spent = self.shared.index().segment_read(read);
        self.shared.done(spent);
        Ok(())
    }

    /// Opens a segment unless it is open.
    ///
    /// # Errors
    /// It cannot be opened for lack of something of this process, which will pass.
    pub(super) fn open(&mut self, first: u64) -> io::Result<Opened> {
        if self
            .loader
            .open
            .as_ref()
            .is_some_and(|(open, _)| *open == first)
        {
            return Ok(Opened::Yes);
        }
        self.loader.open = None;
        let files = &self.shared.files;
        let path = files::segment_path(self.dir, first);
        let (file, salt) = match files.patiently(&PAUSES_MS, || open_with_salt(files, &path, first))
        {
            Ok((file, Some(salt))) => (file, salt),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Opened::Gone),
            Err(error) if files::is_shortage(&error) => return Err(error),
            Ok((_, None)) => return Ok(Opened::Unreadable),
            Err(error) => {
                tracing::error!(output = %self.shared.output_id, segment = first, %error, "a segment cannot be read");
                return Ok(Opened::Unreadable);
            }
        };
        let block = self.limits.bytes.clamp(64 << 10, 16 << 20);
        self.loader.open = Some((first, Scanner::new(file, first, salt, block)));
        Ok(Opened::Yes)
    }

    fn frames(&mut self, job: &SegmentJob, read: &mut SegmentRead) {
        let Some((_, scanner)) = &mut self.loader.open else {
            return;
        };
        scanner.seek(job.cursor.offset);
        let mut size = (0, 0);
        loop {
            let files = &self.shared.files;
            let step = |scanner: &mut Scanner| scanner.step(job.end);
            let spot = match scanner.patiently(files, &PAUSES_MS, step) {
                Ok(Some(Step::Frame(spot))) => spot,
                Ok(Some(Step::Damage(damage))) => {
                    read.damaged(self.shared, scanner, job, damage.range, "no whole header");
                    continue;
                }
                Ok(None) | Err(_) => break,
            };
            let header = spot.header;
            if header.kind != Kind::End && header.sequence >= job.stop {
                scanner.seek(spot.offset);
                break;
            }
            let is_wanted = header.kind == Kind::Whole
                && !job.done.contains(header.sequence)
                && !job.knows(&spot.range());
            #[cfg(feature = "defects")]
            let is_wanted = is_wanted || header.kind == Kind::Whole && delivers_damage();
            let has_room = || {
                let (bytes, records) = (header.payload_len as usize, u64::from(header.count));
                let first = read.parcel.marks.first();
                let alike = |first: &Mark| job.tried.are_alike(first.sequence, header.sequence);
                self.limits.admits(size, bytes, records) && first.is_none_or(alike)
            };
            if is_wanted && !has_room() {
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
            let frame = match self.frame_at(piece.sequence, piece.place) {
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
                None => self.lost(&piece.mark(Some(id)), u64::from(piece.count)),
            }
        }
        let mut index = self.shared.index();
        index.put_back(id, pieces);
        let spent = index.take_read(parcel);
        drop(index);
        self.shared.done(spent);
        result
    }

    /// A frame cannot be read, and so many of its records are not settled.
    pub(super) fn lost(&mut self, mark: &Mark, records: u64) {
        let Mark { place, .. } = *mark;
        let segment = place.segment;
        tracing::error!(segment, records, "records are lost: their frame is damaged");
        self.shared.account.release(records);
        self.shared
            .account
            .dropped(DropReason::Corrupt, records, place.len);
        let range = place.offset..place.offset + place.len;
        let quarantine = Quarantine::new(&self.shared.files, self.dir);
        let kept = match &self.loader.open {
            Some((open, scanner)) if *open == segment => {
                scanner.keep(&quarantine, &range, "wrong checksum")
            }
            _ => Kept::Lost,
        };
        self.shared.metrics.corrupt_ranges.inc();
        if !kept.is_lost() {
            return self.shared.done(vec![*mark]);
        }
        let mut index = self.shared.index();
        index.note_uncopied(segment);
        index.lose(mark);
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
        let read = |scanner: &mut Scanner| scanner.read(spot);
        #[cfg(feature = "defects")]
        let read = |scanner: &mut Scanner| {
            if delivers_damage() {
                scanner.read_unverified(spot)
            } else {
                read(scanner)
            }
        };
        let Ok(Some(decoded)) = scanner.patiently(&shared.files, &PAUSES_MS, read) else {
            self.damaged(shared, scanner, job, spot.range(), "wrong checksum");
            return false;
        };
        let header = spot.header;
        let mark = Mark {
            sequence: header.sequence,
            group: None,
            count: header.count,
            place: Place {
                segment: job.cursor.segment,
                offset: spot.offset,
                len: header.total(),
            },
        };
        self.parcel.push(decoded.frame, mark, header.stored_ms);
        self.newest_ms = Some(header.stored_ms);
        true
    }

    fn damaged(
        &mut self,
        shared: &Shared,
        scanner: &Scanner,
        job: &SegmentJob,
        range: Range<u64>,
        reason: &str,
    ) {
        if job.knows(&range) {
            return;
        }
        let Some(dir) = &shared.dir else { return };
        let quarantine = Quarantine::new(&shared.files, dir);
        let kept = scanner.keep(&quarantine, &range, reason);
        self.uncopied |= kept.is_lost();
        shared.metrics.corrupt_ranges.inc();
        self.new_damage.push(range);
    }
}

/// Opens a segment and finds out its salt; `None` when it has no whole frame either.
fn open_with_salt(files: &Files, path: &Path, first: u64) -> io::Result<(OpenFile, Option<u32>)> {
    let (file, len) = files.open(path)?;
    let header = file.read_at(0, SEGMENT_HEADER_LEN)?.unwrap_or_default();
    let salt = match SegmentHeader::decode(&header) {
        Ok(header) => Some(header.salt),
        Err(_) => find_salt(&file, first, len)?,
    };
    Ok((file, salt))
}

#[cfg(feature = "defects")]
fn delivers_damage() -> bool {
    crate::telemetry::defects::is_on("deliver_quarantined")
}
