//! Room on the volume: what must stay free of it, and the ballast that is given up when nothing is.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Shared,
    ballast::Ballast,
    files::{self, Files},
    log::Trouble,
    metrics::BufferMetrics,
    settings::BufferSettings,
    writer::Writer,
};

/// How often the volume is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// And at the latest when this part of what must stay free was written.
const LOOK_PART: u64 = 4;
/// Length of the ballast in bytes, where neither the volume nor the buffer is small.
const BALLAST_BYTES: u64 = 4 << 20;
/// It is at most this part of either.
const BALLAST_PART: u64 = 16;
/// There is none that would be shorter than this, in bytes.
const BALLAST_MIN_BYTES: u64 = 64 << 10;
/// What stays free where nobody says how much: this part of the volume, and at most so many bytes.
const FREE_PART: u64 = 50;
const FREE_MAX_BYTES: u64 = 256 << 20;
/// A segment is at most this part of the volume, so that room is given back in small portions.
const SEGMENT_PART: u64 = 8;

/// What a disk buffer knows of its volume.
#[derive(Debug)]
pub(super) struct Space {
    files: Files,
    dir: PathBuf,
    /// Bytes of the volume; `None` when the system does not say.
    total: Option<u64>,
    looked: Option<Instant>,
    /// Bytes that must stay free.
    floor: u64,
    /// Bytes that were written since the last look.
    written: u64,
    is_tight: bool,
    metrics: BufferMetrics,
}

impl Space {
    /// Looks at the volume and sees to the ballast.
    pub(super) fn open(
        files: &Files,
        dir: &Path,
        settings: &BufferSettings,
        metrics: &BufferMetrics,
    ) -> (Self, Ballast) {
        let total = files.volume(dir).map(|volume| volume.total);
        let least = total.map_or(0, |total| total.min(settings.total_limit_bytes));
        let gauge = metrics.ballast_bytes.clone();
        let mut ballast = Ballast::find(files, dir, ballast_len(least), gauge);
        let mut space = Self {
            files: files.clone(),
            dir: dir.to_owned(),
            total,
            looked: None,
            floor: 0,
            written: 0,
            is_tight: false,
            metrics: metrics.clone(),
        };
        space.look(settings, &mut ballast);
        (space, ballast)
    }

    /// The size at which a segment is sealed.
    pub(super) fn segment_limit(&self, settings: &BufferSettings) -> u64 {
        let part = self.total.map_or(u64::MAX, |total| total / SEGMENT_PART);
        settings.segment_limit().min(part)
    }

    /// Looks how much is free, and makes the ballast whole when there is enough.
    fn look(&mut self, settings: &BufferSettings, ballast: &mut Ballast) {
        (self.looked, self.written) = (Some(Instant::now()), 0);
        let part = self.total.map_or(0, |total| total / FREE_PART);
        let floor = settings.min_free_bytes.unwrap_or(part.min(FREE_MAX_BYTES));
        let gauge = &self.metrics.min_free_bytes;
        gauge.set(i64::try_from(floor).unwrap_or(i64::MAX));
        self.floor = floor;
        self.is_tight = self.free() < floor.saturating_add(ballast.missing());
        if !self.is_tight && !ballast.is_whole() {
            ballast.restore();
        }
    }

    /// Whether it is time to look again: some time has passed, or much was written.
    fn is_due(&self) -> bool {
        let is_recent = self
            .looked
            .is_some_and(|looked| looked.elapsed() < LOOK_EVERY);
        !is_recent || self.written > self.floor / LOOK_PART
    }

    /// So many bytes were written.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }

    /// Free bytes. Where the system does not say, there is room until a write finds none.
    fn free(&self) -> u64 {
        let volume = self.files.volume(&self.dir);
        volume.map_or(u64::MAX, |volume| volume.free)
    }
}

/// The length of the ballast, when the smaller of volume and buffer has so many bytes.
fn ballast_len(least: u64) -> u64 {
    #[cfg(feature = "defects")]
    if crate::telemetry::defects::is_on("no_ballast") {
        return 0;
    }
    match (least / BALLAST_PART).min(BALLAST_BYTES) {
        ..BALLAST_MIN_BYTES => 0,
        len => len,
    }
}

impl Writer {
    /// Sees to it that the buffer does not grow while the volume has less free than must stay so.
    pub(super) fn look_at_volume(&mut self) {
        let (Some(disk), Some(mut ballast)) = (&mut self.disk, self.shared.ballast()) else {
            return;
        };
        if disk.space.is_due() {
            disk.space.look(&self.shared.settings(), &mut ballast);
            self.shared.room.set_tight(disk.space.is_tight);
        }
    }

    /// Whether it is worth looking at the volume again soon.
    pub(super) fn is_strained(&self) -> bool {
        let is_tight = self.disk.as_ref().is_some_and(|disk| disk.space.is_tight);
        is_tight
            || self
                .shared
                .ballast()
                .is_some_and(|ballast| !ballast.is_whole())
    }

    /// Whether the batch in front may be written: the ballast is whole, or can be beside it, since what it gives free is for
    /// other things.
    pub(super) fn has_space(&self) -> Result<(), Trouble> {
        let (Some(disk), Some(mut ballast)) = (&self.disk, self.shared.ballast()) else {
            return Ok(());
        };
        let bytes = self.backlog.front().map_or(0, |pending| pending.reserved);
        let missing = ballast.missing();
        if missing > 0 && disk.space.free() >= missing.saturating_add(bytes) {
            ballast.restore();
        }
        if ballast.is_whole() {
            Ok(())
        } else {
            Err(Trouble::NoRoom(ErrorKind::StorageFull.into()))
        }
    }

    /// Begins a segment to free the one before, on the room of the ballast if there is no other.
    pub(super) fn rotate_on_ballast(&mut self) -> Result<(), Trouble> {
        loop {
            match self.rotate() {
                Err(Trouble::NoRoom(error)) if self.shared.relieve(&error) => {}
                result => return result,
            }
        }
    }
}

impl Shared {
    fn ballast(&self) -> Option<MutexGuard<'_, Ballast>> {
        let ballast = self.ballast.as_ref()?.lock();
        Some(ballast.unwrap_or_else(PoisonError::into_inner))
    }

    /// Does what needs room on the volume; again and again while parts of the ballast can be given up for it.
    pub(super) fn with_ballast<T>(&self, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match act() {
                Err(error) if self.relieve(&error) => {}
                result => return result,
            }
        }
    }

    /// Gives up a part of the ballast when there is no room for something. Whether it is worth another try.
    fn relieve(&self, error: &io::Error) -> bool {
        let Some(mut ballast) = self.ballast().filter(|_| files::is_full(error)) else {
            return false;
        };
        let was_whole = ballast.is_whole();
        let relieved = ballast.release();
        if relieved && was_whole {
            tracing::warn!(output = %self.output_id, "the disk is full; the ballast makes room for what must be noted");
        }
        drop(ballast);
        // The writer sees to it that it becomes whole again.
        self.inbox.poke();
        relieved
    }
}
