//! What an output counts besides its page of the ledger.

use sdk::{
    metrics::{Counter, FloatGauge, Gauge, Histogram, Metrics},
    output::FailureKind,
};

/// Handles of one output; every series exists from the start.
#[derive(Debug, Clone)]
pub struct OutputMetrics {
    /// Chunks that were settled.
    pub sent_batches: Counter,
    /// Bytes of records that arrived, as MessagePack.
    pub sent_bytes: Counter,
    /// Tries after the first.
    pub retries: Counter,
    /// How long the worker waits now before the next try, in seconds.
    pub retry_wait_seconds: FloatGauge,
    /// Failures in a row.
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
        Self {
            sent_batches: metrics.counter("sent_batches", "Chunks that were settled", &[]),
            sent_bytes: metrics.counter(
                "sent_bytes",
                "Bytes of delivered records as MessagePack",
                &[],
            ),
            retries: metrics.counter("output_retries", "Tries after the first", &[]),
            retry_wait_seconds: metrics.float_gauge(
                "output_retry_wait_seconds",
                "Wait before the next try",
                &[],
            ),
            consecutive_failures: metrics.gauge(
                "output_consecutive_failures",
                "Failures in a row",
                &[],
            ),
            inflight: metrics.gauge("output_inflight_requests", "Writes that are running", &[]),
            duration_seconds: metrics.histogram(
                "output_request_duration_seconds",
                "Duration of a write",
                &[],
            ),
            latency_seconds: metrics.histogram(
                "end_to_end_latency_seconds",
                "Event time to delivery",
                &[],
            ),
            panics: metrics.counter(
                "panics",
                "Panics that were fenced in",
                &[("where", "output")],
            ),
            errors: FailureKind::ALL.map(error).to_vec(),
        }
    }

    /// Counts a failure.
    pub fn failed(&self, kind: FailureKind) {
        if let Some((_, counter)) = self.errors.iter().find(|(which, _)| *which == kind) {
            counter.inc();
        }
    }
}
