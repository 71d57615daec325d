//! What a buffer counts besides the ledger.

use sdk::metrics::{Counter, Gauge, Histogram, Metrics};

use super::settings::BufferSettings;

/// Handles of one buffer; every series exists from the start.
#[derive(Debug, Clone)]
pub(super) struct BufferMetrics {
    all: Metrics,
    /// Groups of batches that became durable together.
    pub(super) commits: Counter,
    /// Batches in those groups.
    pub(super) commit_batches: Counter,
    /// Duration of write and sync of a group, in seconds.
    pub(super) commit_seconds: Histogram,
    /// Syncs of segments.
    pub(super) syncs: Counter,
    /// Bytes of old segments that are still to be looked through.
    recovery_left_bytes: Gauge,
    /// Bytes that are kept to be given up when the volume is full.
    pub(super) ballast_bytes: Gauge,
    /// By how much the counted bytes differed from those of the files when they were compared last.
    pub(super) drift_bytes: Gauge,
    /// Bytes of the volume that the buffer leaves free.
    pub(super) min_free_bytes: Gauge,
    /// Requests for room that found none.
    pub(super) overflow: Counter,
    /// Damaged ranges found in segments.
    pub(super) corrupt_ranges: Counter,
    /// Unfinished writes found at the end of segments, as after `kill -9`.
    pub(super) cut_writes: Counter,
    /// Segments that nothing more is written to, because a write or a sync of them failed.
    pub(super) abandoned_segments: Counter,
    /// Segments that were not there although frames in them were not done.
    pub(super) lost_segments: Counter,
}

impl BufferMetrics {
    /// Registers the series; `metrics` carries the labels of the component.
    pub(super) fn new(metrics: &Metrics, settings: &BufferSettings) -> Self {
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        let count = |name, help| metrics.counter(name, help, &[]);
        let help = "Duration of write and sync of a group of batches";
        let made = Self {
            all: metrics.clone(),
            commits: count(
                "buffer_commits",
                "Groups of batches that became durable together",
            ),
            commit_batches: count("buffer_commit_batches", "Batches that became durable"),
            commit_seconds: metrics.histogram("buffer_commit_duration_seconds", help, &[]),
            syncs: count("buffer_syncs", "Syncs of segments"),
            recovery_left_bytes: gauge(
                "buffer_recovery_left_bytes",
                "Bytes of old segments that are still to be looked through",
            ),
            ballast_bytes: gauge(
                "buffer_ballast_bytes",
                "Bytes that are kept to be given up when the volume is full",
            ),
            drift_bytes: gauge(
                "buffer_accounting_drift_bytes",
                "Counted bytes beyond those of the files, when they were last compared",
            ),
            min_free_bytes: gauge(
                "buffer_min_free_bytes",
                "Bytes of the volume that the buffer leaves free",
            ),
            overflow: count("buffer_overflow", "Batches that found no room at once"),
            corrupt_ranges: count("buffer_corrupt_ranges", "Damaged ranges found in segments"),
            abandoned_segments: count(
                "buffer_abandoned_segments",
                "Segments given up after a write or a sync of them failed",
            ),
            lost_segments: count(
                "buffer_lost_segments",
                "Segments that were missing although not everything in them was done",
            ),
            cut_writes: count(
                "buffer_cut_writes",
                "Unfinished writes found at start, as after a crash",
            ),
        };
        made.promise(settings);
        made
    }

    /// So many bytes of old segments are still to be looked through.
    pub(super) fn recovery_left(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.recovery_left_bytes.set(bytes);
    }

    /// What the buffer promises from now on.
    pub(super) fn promise(&self, settings: &BufferSettings) {
        let labels = [
            ("durability", settings.promise()),
            ("overflow_action", settings.overflow.as_str()),
        ];
        self.all.forget_gauge("buffer_info");
        let info = self
            .all
            .gauge("buffer_info", "What the buffer promises", &labels);
        info.set(1);
    }
}
