//! What a buffer does about a disk that fails: it promises nothing, goes on delivering, and tries again and again.

use std::time::{Duration, Instant};

use super::{files::Files, log::Trouble, writer::Writer};

/// The pause before the first try, and the longest one.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often the disk failed of late, and when it is tried again.
#[derive(Debug)]
pub(super) struct Mending {
    shortest: Duration,
    longest: Duration,
    pause: Duration,
    /// Since the last group that became durable.
    strikes: u32,
    /// When to try again; `None` while the disk works.
    next_try: Option<Instant>,
}

impl Mending {
    /// The disk works.
    pub(super) fn new(files: &Files) -> Self {
        let shortest = files.lasts(PAUSE);
        Self {
            shortest,
            longest: files.lasts(PAUSE_MAX),
            pause: shortest,
            strikes: 0,
            next_try: None,
        }
    }

    /// A group became durable.
    pub(super) fn works(&mut self) {
        if self.strikes > 0 {
            (self.pause, self.strikes) = (self.shortest, 0);
        }
    }

    /// Whether the buffer has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.next_try.is_some()
    }

    /// How long it is until the next try; `None` while the disk works.
    pub(super) fn wait(&self) -> Option<Duration> {
        let next_try = self.next_try?;
        Some(next_try.saturating_duration_since(Instant::now()))
    }

    fn postpone(&mut self) {
        self.next_try = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(self.longest);
    }
}

impl Writer {
    /// A write or a sync failed, or no segment could be made. What was to be stored is still in memory: it is tried
    /// once more, in a new segment, before the buffer counts as failed.
    pub(super) fn strike(&mut self, reason: &str) {
        self.mending.strikes += 1;
        if self.mending.strikes > 1 {
            return self.fail(reason);
        }
        tracing::warn!(output = %self.shared.output_id, reason, "the disk failed; what is not stored goes into another segment");
    }

    /// The disk cannot be trusted: nothing is taken and nothing is promised. What is readable is delivered on.
    pub(super) fn fail(&mut self, reason: &str) {
        self.mending.postpone();
        let again_in_ms = self.mending.wait().map_or(0, |wait| wait.as_millis());
        tracing::error!(output = %self.shared.output_id, reason, again_in_ms, "the buffer has failed and takes nothing");
        self.shared.set_failure(Some(reason));
        // Pieces that come meanwhile are refused, so none of these messages can become whole.
        for open in self.open_groups.values_mut() {
            open.break_off(self.next_sequence);
        }
    }

    /// Tries whether a segment can be made again, when it is time to.
    pub(super) fn mend(&mut self) {
        if !self.mending.wait().is_some_and(|wait| wait.is_zero()) {
            return;
        }
        if let Err(Trouble::Failed(reason)) = self.rotate() {
            return self.fail(&reason);
        }
        // A disk that is merely full is waited for with the next batch.
        self.mending.next_try = None;
        self.shared.set_failure(None);
        tracing::info!(output = %self.shared.output_id, "the disk works again; the buffer takes records");
    }
}
