//! What an output counts besides its page of the ledger.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sdk::{
    metrics::{Buckets, Counter, FloatGauge, Gauge, Histogram, Metrics},
    output::FailureKind,
};

use tokio::time::Instant;

/// A call that takes longer is slow: the default of Fluentd's `slow_flush_log_threshold`.
const SLOW_FLUSH: Duration = Duration::from_secs(20);

/// Handles of one output; every series exists from the start.
#[derive(Debug, Clone)]
pub struct OutputMetrics {
    /// Chunks that were settled.
    pub sent_batches: Counter,
    /// Bytes of records that arrived, as MessagePack.
    pub sent_bytes: Counter,
    /// Batches that were taken into the buffer.
    pub accepted_batches: Counter,
    /// Bytes of those, as MessagePack.
    pub accepted_bytes: Counter,
    /// Calls of the plugin's `write`.
    pub writes: Counter,
    /// Calls that took longer than Fluentd's `slow_flush_log_threshold`.
    pub slow_flushes: Counter,
    /// Time of all calls, in milliseconds. Not exposed: the histogram has it in seconds.
    pub flush_time_ms: Counter,
    /// Tries after the first.
    pub retries: Counter,
    /// Records that the secondary took.
    pub secondary_records: Counter,
    /// Tries of the secondary. Not exposed: the monitor agent of Fluentd tells it.
    pub secondary_writes: Counter,
    /// The last wait before a try, in seconds; 0 when something got through since.
    pub retry_wait_seconds: FloatGauge,
    /// Failures of the destination in a row.
    pub consecutive_failures: Gauge,
    /// Calls of the plugin's `write` that are running.
    pub inflight: Gauge,
    /// Duration of each call of the plugin's `write`, in seconds.
    pub duration_seconds: Histogram,
    /// From the time of a chunk's first event to its delivery, in seconds.
    pub latency_seconds: Histogram,
    /// Panics of the plugin.
    pub panics: Counter,
    errors: Vec<(FailureKind, Counter)>,
    last_try: Arc<Mutex<Instant>>,
}

impl OutputMetrics {
    /// Registers the series; `metrics` carries the labels of the component.
    pub fn new(metrics: &Metrics) -> Self {
        let error = |kind: FailureKind| {
            let help = "Records or chunks that were not delivered at a try";
            (
                kind,
                metrics.counter("output_errors", help, &[("kind", kind.as_str())]),
            )
        };
        let count = |name, help| metrics.counter(name, help, &[]);
        Self {
            sent_batches: count("sent_batches", "Chunks that were settled"),
            sent_bytes: count("sent_bytes", "Bytes of delivered records as MessagePack"),
            accepted_batches: count("accepted_batches", "Batches taken into the buffer"),
            accepted_bytes: count(
                "accepted_bytes",
                "Bytes of records taken into the buffer, as MessagePack",
            ),
            writes: count("output_writes", "Tries to write a chunk"),
            slow_flushes: count(
                "output_slow_flushes",
                "Tries that took longer than 20 seconds",
            ),
            flush_time_ms: Counter::default(),
            retries: count("output_retries", "Tries after the first"),
            secondary_records: count(
                "output_secondary_records",
                "Records that the secondary took",
            ),
            secondary_writes: Counter::default(),
            retry_wait_seconds: metrics.float_gauge(
                "output_retry_wait_seconds",
                super::breaker::WAIT_HELP,
                &[],
            ),
            consecutive_failures: metrics.gauge(
                "output_consecutive_failures",
                super::breaker::FAILURES_HELP,
                &[],
            ),
            inflight: metrics.gauge("output_inflight_requests", "Writes that are running", &[]),
            duration_seconds: metrics.histogram(
                "output_request_duration_seconds",
                "Duration of a write",
                &[],
            ),
            latency_seconds: metrics.histogram_in(
                "end_to_end_latency_seconds",
                "Event time to delivery",
                &[],
                Buckets::Delays,
            ),
            panics: metrics.counter(
                "panics",
                "Panics that were fenced in",
                &[("where", "output")],
            ),
            errors: FailureKind::ALL.map(error).to_vec(),
            last_try: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Counts a batch that was taken into the buffer.
    pub fn accepted(&self, bytes: u64) {
        self.accepted_batches.inc();
        self.accepted_bytes.inc_by(bytes);
    }

    /// A chunk is tried now.
    pub(super) fn tried(&self) {
        *self.last_try.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long what has been due since then has waited for any chunk to be tried.
    pub fn unattempted(&self, due_since: Instant) -> Duration {
        let last_try = *self.last_try.lock().unwrap_or_else(PoisonError::into_inner);
        last_try.max(due_since).elapsed()
    }

    /// Counts a call of the plugin's `write`.
    pub(super) fn wrote(&self, took: Duration) {
        self.writes.inc();
        self.flush_time_ms
            .inc_by(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.duration_seconds.observe(took.as_secs_f64());
        if took > SLOW_FLUSH {
            self.slow_flushes.inc();
        }
    }

    /// Failures of all kinds.
    pub fn failures(&self) -> u64 {
        self.errors.iter().map(|(_, counter)| counter.get()).sum()
    }

    /// Counts a failure.
    pub fn failed(&self, kind: FailureKind) {
        if let Some((_, counter)) = self.errors.iter().find(|(which, _)| *which == kind) {
            counter.inc();
        }
    }
}
