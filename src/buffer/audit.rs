//! What is counted against what lies on the disk: a difference is said, measured, and mended.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    files::{self, Files},
    index::Index,
    writer::Writer,
};

/// How often is looked.
const EVERY: Duration = Duration::from_mins(1);

/// When it was looked last, and how often that is done.
#[derive(Debug)]
pub(super) struct Audit {
    every: Duration,
    looked: Instant,
}

impl Audit {
    /// The first look is a while off.
    pub(super) fn new(files: &Files) -> Self {
        Self {
            every: files.lasts(EVERY),
            looked: Instant::now(),
        }
    }

    /// How long it is until the next look.
    pub(super) fn wait(&self) -> Duration {
        self.every.saturating_sub(self.looked.elapsed())
    }
}

impl Writer {
    /// Compares, when it is time to.
    pub(super) fn audit(&mut self) {
        let Some(dir) = self.shared.dir.as_deref() else {
            return;
        };
        if !self.audit.wait().is_zero() {
            return;
        }
        self.audit.looked = Instant::now();
        if self.shared.is_recovering() {
            // It moves files, too.
            return;
        }
        let lengths = match lengths(&self.shared.files, dir) {
            Ok(lengths) => lengths,
            Err(error) => {
                tracing::warn!(output = %self.shared.output_id, %error, "the segments cannot be looked at");
                return;
            }
        };
        let actual = self.shared.index().correct(&lengths);
        let counted = self.shared.room.correct(actual);
        let drift = i128::from(counted) - i128::from(actual);
        let drift = i64::try_from(drift).unwrap_or(i64::MAX);
        self.shared.metrics.drift_bytes.set(drift);
        if drift != 0 {
            tracing::error!(output = %self.shared.output_id, counted, actual, "the bytes of the buffer were counted wrongly; corrected");
        }
    }
}

/// The lengths of the segments in a directory, by their first sequences.
fn lengths(files: &Files, dir: &Path) -> io::Result<BTreeMap<u64, u64>> {
    let mut lengths = BTreeMap::new();
    for first in files.segments(dir)? {
        match files.stat(&files::segment_path(dir, first)) {
            Ok(stat) => drop(lengths.insert(first, stat.len)),
            // One that goes meanwhile counts no more.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lengths)
}

impl Index {
    /// Takes the lengths of files as what segments occupy. Returns the sum.
    fn correct(&mut self, lengths: &BTreeMap<u64, u64>) -> u64 {
        let mut sum = 0;
        for (first, len) in lengths {
            match self.segment_at(*first) {
                // What was written behind what counts is cut off, or counted when it is sealed.
                Some(segment) if !segment.sealed => sum += segment.len,
                Some(segment) => {
                    segment.rest = len.saturating_sub(segment.len);
                    sum += segment.len + segment.rest;
                }
                None => sum += len,
            }
        }
        sum
    }
}
