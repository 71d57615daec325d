//! What a buffer counts besides the ledger.

use sdk::metrics::{Counter, Histogram, Metrics};

/// Handles of one buffer; every series exists from the start.
#[derive(Debug, Clone)]
pub(super) struct BufferMetrics {
    /// Groups of batches that became durable together.
    pub(super) commits: Counter,
    /// Batches in those groups.
    pub(super) commit_batches: Counter,
    /// Duration of write and sync of a group, in seconds.
    pub(super) commit_seconds: Histogram,
    /// Requests for room that found none.
    pub(super) overflow: Counter,
    /// Damaged ranges found in segments.
    pub(super) corrupt_ranges: Counter,
    /// Unfinished writes found at the end of segments, as after `kill -9`.
    pub(super) cut_writes: Counter,
}

impl BufferMetrics {
    /// Registers the series; `metrics` carries the labels of the component.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let count = |name, help| metrics.counter(name, help, &[]);
        let help = "Duration of write and sync of a group of batches";
        Self {
            commits: count(
                "buffer_commits",
                "Groups of batches that became durable together",
            ),
            commit_batches: count("buffer_commit_batches", "Batches that became durable"),
            commit_seconds: metrics.histogram("buffer_commit_duration_seconds", help, &[]),
            overflow: count("buffer_overflow", "Batches that found no room at once"),
            corrupt_ranges: count("buffer_corrupt_ranges", "Damaged ranges found in segments"),
            cut_writes: count(
                "buffer_cut_writes",
                "Unfinished writes found at start, as after a crash",
            ),
        }
    }
}
