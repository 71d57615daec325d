//! Which files of a directory are segments of its buffer, and which are missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::Path,
};

use super::{
    error::BufferError,
    files::{self, Files},
    identity,
    metrics::BufferMetrics,
    new_id,
    quarantine::Quarantine,
    ranges::Ranges,
    recover::{Old, Recovery},
    salt::find_salt,
    scan::{Scanner, Step},
    segment::{FRAMES_MAX, SEGMENT_HEADER_LEN, SegmentHeader},
    state::{self, Noted},
    survey::PAUSES_MS,
};

/// How much of a segment in quarantine is read at once, in bytes.
const SCAN_BLOCK: usize = 64 << 10;

impl Recovery {
    /// Lists what there is: of each segment its header.
    ///
    /// # Errors
    /// The directory cannot be listed, or something in it is of a newer version.
    pub(super) fn begin(
        files: &Files,
        dir: &Path,
        metrics: &BufferMetrics,
    ) -> Result<Self, BufferError> {
        let names = files.segments(dir).map_err(BufferError::io("list", dir))?;
        let mut headers = BTreeMap::new();
        for first in &names {
            headers.insert(*first, identity::header(files, dir, *first)?);
        }
        let newest = headers.values().rev().flatten().next();
        let format = identity::read_format(files, dir)?;
        // A new identity when there is no segment: the sequences that were used before are not known.
        let known = newest.map(|header| header.buffer);
        let id = if let Some(id) = known.or_else(|| format.filter(|_| !names.is_empty())) {
            id
        } else {
            identity::can_be_read(files, dir, &names)?;
            new_id()
        };
        let Noted {
            done,
            segments,
            tried,
        } = state::read(files, dir, id);
        let mut recovery = Self {
            files: files.clone(),
            dir: dir.to_owned(),
            id,
            next_sequence: next_sequence(files, dir, &names),
            names,
            segments: Vec::new(),
            unreadable: Vec::new(),
            empty: Vec::new(),
            void: void(headers.values().flatten()),
            done,
            tried,
            pieces: BTreeMap::new(),
            lost: Vec::new(),
            aside: Vec::new(),
            known: Vec::new(),
        };
        recovery.report_missing(&segments, metrics);
        recovery.sort(headers);
        Ok(recovery)
    }

    /// Sorts out files that hold nothing.
    fn sort(&mut self, headers: BTreeMap<u64, Option<SegmentHeader>>) {
        for (first, header) in headers {
            let path = files::segment_path(&self.dir, first);
            let stat = self.files.patiently(&PAUSES_MS, || self.files.stat(&path));
            // A segment of which not even that can be told may hold anything.
            let is_empty = match &stat {
                Ok(stat) => stat.len <= SEGMENT_HEADER_LEN as u64,
                Err(error) => error.kind() == ErrorKind::NotFound,
            };
            let len = stat.map_or(0, |stat| stat.len);
            let old = Old { first, header, len };
            if is_empty && !self.is_foreign(&old) {
                // A segment that was being made, or that never got a frame.
                self.empty.push(first);
            } else {
                self.segments.push(old);
            }
        }
    }

    /// Whether a segment says that it is another one, or of another buffer.
    pub(super) fn is_foreign(&self, old: &Old) -> bool {
        let is_other =
            |header: SegmentHeader| header.buffer != self.id || header.first != old.first;
        old.header.is_some_and(is_other)
    }

    /// First sequence of the segment behind this one.
    pub(super) fn end_of(&self, first: u64) -> u64 {
        let behind = self.names.partition_point(|other| *other <= first);
        self.names.get(behind).copied().unwrap_or(u64::MAX)
    }

    /// Says which segments are missing although frames in them were not done.
    fn report_missing(&self, noted: &BTreeSet<u64>, metrics: &BufferMetrics) {
        for first in noted.iter().filter(|first| !self.names.contains(first)) {
            let path = files::segment_path(&self.dir, *first);
            if !Quarantine::new(&self.files, &self.dir).has(&path) {
                tracing::error!(path = %path.display(), "a segment is missing; how many records are lost with it is not known");
                metrics.lost_segments.inc();
            }
        }
    }

    /// Looks which segments of this buffer are in quarantine.
    pub(super) fn find_aside(&mut self) {
        let quarantine = Quarantine::new(&self.files, &self.dir);
        for first in quarantine.segments() {
            match identity::header(&self.files, quarantine.dir(), first) {
                Ok(Some(header)) if header.buffer != self.id => {}
                Ok(header) if self.may_hold_frames(quarantine.dir(), first, header) => {
                    self.aside.push(first);
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Whether there is more in a segment than a write that was cut off.
    fn may_hold_frames(&self, dir: &Path, first: u64, header: Option<SegmentHeader>) -> bool {
        let is_cut = |step: &Step| matches!(step, Step::Damage(damage) if damage.cut);
        let look = || {
            let (file, len) = self.files.open(&files::segment_path(dir, first))?;
            let salt = match header {
                Some(header) => Some(header.salt),
                None => find_salt(&file, first, len)?,
            };
            let Some(salt) = salt else { return Ok(true) };
            let step = Scanner::new(file, first, salt, SCAN_BLOCK).step(len)?;
            Ok(step.is_some_and(|step| !is_cut(&step)))
        };
        // What cannot be read may hold anything.
        self.files.patiently(&PAUSES_MS, look).unwrap_or(true)
    }

    /// Removes files that hold nothing, once the state file does not mention them. Returns those that stay.
    pub(super) fn remove_empty(&self) -> Vec<u64> {
        let stays = |first: &u64| {
            let path = files::segment_path(&self.dir, *first);
            let removed = self.files.remove(&path);
            if let Err(error) = &removed {
                tracing::warn!(path = %path.display(), %error, "an empty segment cannot be removed");
            }
            removed.is_err()
        };
        self.empty.iter().copied().filter(stays).collect()
    }
}

/// A sequence that was never used: neither by what is there, nor by what a power cut may have undone.
fn next_sequence(files: &Files, dir: &Path, names: &[u64]) -> u64 {
    // A file that was set aside still tells with its name which sequences were used.
    let aside = Quarantine::new(files, dir).segments();
    let newest = names.iter().chain(&aside).max();
    #[cfg(feature = "defects")]
    if crate::telemetry::defects::is_on("reuse_sequence") {
        return newest.map_or(1, |newest| newest + 1);
    }
    newest.map_or(1, |newest| newest + u64::from(FRAMES_MAX))
}

/// The frames that these headers tell to be void.
fn void<'a>(headers: impl Iterator<Item = &'a SegmentHeader>) -> Ranges {
    let mut void = Ranges::default();
    for header in headers {
        if let Some(from) = header.void_from {
            void.insert(from, header.first.saturating_sub(1));
        }
    }
    void
}
