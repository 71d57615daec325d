//! What is counted and measured.

use sdk::metrics::{Counter, FloatGauge, Gauge, Metrics};

const PAUSED: &str = "1 while as much is read and unanswered as may be";
const PAUSED_SECONDS: &str = "Whole seconds in which nothing was read for that reason";
const OLDEST: &str =
    "When the oldest bytes that were not read were first seen, 0 when there are none";
const LAG: &str = "For how long the file that is furthest behind has had unread bytes";
const UNTIL_LOSS: &str =
    "When rotation will remove unread bytes at the speed of now, infinite when never";

/// The metrics of one input that follows files.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Bytes that rotation removed before they were read.
    pub lost_bytes: Counter,
    /// Files that rotation removed before they were read to their end.
    pub lost_files: Counter,
    /// Lines over the limit.
    pub oversize_lines: Counter,
    /// Records left out by a rate limit.
    pub throttled_records: Counter,
    /// Records joined from several lines of a runtime.
    pub partial_joined: Counter,
    pub(crate) opened: Counter,
    pub(crate) closed: Counter,
    pub(crate) rotated: Counter,
    pub(crate) truncated: Counter,
    pub(crate) reconciled: Counter,
    pub(crate) caught_up: Counter,
    pub(crate) read_bytes: Counter,
    pub(crate) read_lines: Counter,
    pub(crate) watched: Gauge,
    pub(crate) open: Gauge,
    pub(crate) unread_bytes: Gauge,
    pub(crate) oldest_unread: FloatGauge,
    pub(crate) lag_seconds: FloatGauge,
    pub(crate) seconds_until_loss: FloatGauge,
    pub(crate) paused: Gauge,
    pub(crate) paused_seconds: Counter,
}

impl Counters {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.counter(name, help, &[]);
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        let float = |name, help| metrics.float_gauge(name, help, &[]);
        Self {
            lost_bytes: counter(
                "tail_lost_bytes",
                "Bytes that were gone before they were read",
            ),
            lost_files: counter(
                "tail_lost_files",
                "Files that were gone before they were read",
            ),
            oversize_lines: counter(
                "tail_oversize_lines",
                "Lines over the limit, cut or left out",
            ),
            throttled_records: counter(
                "tail_throttled_records",
                "Records that a rate limit left out",
            ),
            partial_joined: counter(
                "tail_partial_joined",
                "Records joined from a runtime's parts",
            ),
            opened: counter("tail_files_opened", "Files opened"),
            closed: counter("tail_files_closed", "Files read to their end and closed"),
            rotated: counter(
                "tail_files_rotated",
                "Files that were moved away or removed",
            ),
            truncated: counter("tail_files_truncated", "Files that were cut in place"),
            reconciled: counter("tail_reconciled", "Rotated files that were never seen live"),
            caught_up: counter("tail_caught_up_bytes", "Bytes read from rotated files"),
            read_bytes: counter("tail_read_bytes", "Bytes of lines read from files"),
            read_lines: counter("tail_read_lines", "Lines read from files"),
            watched: gauge("tail_files_watched", "Paths that are watched"),
            open: gauge("tail_files_open", "Files that are open"),
            unread_bytes: gauge("tail_unread_bytes", "Bytes on disk that were not read"),
            oldest_unread: float("tail_oldest_unread_timestamp_seconds", OLDEST),
            lag_seconds: float("tail_lag_seconds", LAG),
            seconds_until_loss: float("tail_seconds_until_loss", UNTIL_LOSS),
            paused: gauge("tail_paused", PAUSED),
            paused_seconds: counter("tail_paused_seconds", PAUSED_SECONDS),
        }
    }
}
