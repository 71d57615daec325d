//! What is counted.

use sdk::metrics::{Counter, Gauge, Metrics};

/// Counters and gauges of one filter.
#[derive(Debug, Clone)]
pub(crate) struct Meters {
    /// Records that got metadata.
    pub(crate) hits: Counter,
    /// Looks into the store that found nothing.
    pub(crate) misses: Counter,
    pub(crate) unenriched: Unenriched,
    pub(crate) waiting_records: Gauge,
}

/// Records that went on as they were, by reason.
#[derive(Debug, Clone)]
pub(crate) struct Unenriched {
    /// Nothing in the record or its tag says which pod it is of.
    pub(crate) unidentified: Counter,
    /// The pod did not become known in time.
    pub(crate) timeout: Counter,
    /// Too much was waiting.
    pub(crate) wait_limit: Counter,
    /// The router was draining.
    pub(crate) shutdown: Counter,
}

/// What the two watches count.
#[derive(Debug, Clone)]
pub(crate) struct WatchMeters {
    pub(crate) entries: Gauge,
    pub(crate) restarts: Counter,
    /// 1 while the last answer of the API server was a good one.
    pub(crate) up: Gauge,
}

impl Meters {
    /// Every series exists from the start.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let unenriched = |reason| {
            metrics.counter(
                "k8s_unenriched_records",
                "Records that went on without metadata",
                &[("reason", reason)],
            )
        };
        Self {
            hits: metrics.counter("k8s_metadata_hits", "Records whose pod was known", &[]),
            misses: metrics.counter(
                "k8s_metadata_misses",
                "Records whose pod was not known when they came",
                &[],
            ),
            unenriched: Unenriched {
                unidentified: unenriched("unidentified"),
                timeout: unenriched("timeout"),
                wait_limit: unenriched("wait_limit"),
                shutdown: unenriched("shutdown"),
            },
            waiting_records: metrics.gauge(
                "k8s_waiting_records",
                "Records that wait for metadata",
                &[],
            ),
        }
    }
}

impl WatchMeters {
    /// For the watch of this resource.
    pub(crate) fn new(metrics: &Metrics, resource: &str) -> Self {
        let labels = [("resource", resource)];
        Self {
            entries: metrics.gauge("k8s_metadata_entries", "Objects that are known", &labels),
            restarts: metrics.counter(
                "k8s_watch_restarts",
                "Watches that failed or expired and were begun again",
                &labels,
            ),
            up: metrics.gauge(
                "k8s_watch_up",
                "Whether the last answer of the API server was a good one",
                &labels,
            ),
        }
    }
}
