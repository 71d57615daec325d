//! Counters of items and bytes.

use sdk::metrics::{Counter, Histogram, Metrics};

/// Counters of what became of items, and of bytes.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) created: Counter,
    pub(crate) conflict: Counter,
    pub(crate) rejected: Counter,
    pub(crate) mapping: Counter,
    pub(crate) other: Counter,
    pub(crate) body: Counter,
    pub(crate) wire: Counter,
    /// What the server says that a request took, in seconds.
    pub(crate) took: Histogram,
}

impl Counters {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let item = |result| {
            let help = "Items of bulk requests by result; a record that is tried again is counted each time";
            metrics.counter("elasticsearch_items", help, &[("result", result)])
        };
        let bytes = |stage| {
            let help = "Bytes of bulk requests before and after compression";
            metrics.counter("elasticsearch_bulk_bytes", help, &[("stage", stage)])
        };
        Self {
            created: item("created"),
            conflict: item("conflict"),
            rejected: item("rejected"),
            mapping: item("mapping_error"),
            other: item("other"),
            body: bytes("body"),
            wire: bytes("wire"),
            took: metrics.histogram(
                "elasticsearch_took_seconds",
                "What the server says that a bulk request took",
                &[],
            ),
        }
    }
}
