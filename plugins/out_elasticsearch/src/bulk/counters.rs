//! Counters of items, requests and bytes.

use sdk::metrics::{Counter, Gauge, Histogram, Metrics};

/// Counters of what became of items and requests, and of bytes.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) items: Items,
    /// Items that a data stream put into its failure store, and those that even that did not take.
    pub(crate) failure_store: [Counter; 2],
    pub(crate) splits: Splits,
    /// Requests that are sent again although the first may have been carried out.
    pub(crate) ambiguous: Counter,
    pub(crate) body: Counter,
    pub(crate) wire: Counter,
    /// Largest body that is sent, in bytes.
    pub(crate) body_limit: Gauge,
    /// What the server says that a request took, in seconds.
    pub(crate) took: Histogram,
}

/// What became of items.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) created: Counter,
    pub(crate) conflict: Counter,
    pub(crate) stale: Counter,
    pub(crate) rejected: Counter,
    pub(crate) mapping: Counter,
    pub(crate) auth: Counter,
    pub(crate) not_found: Counter,
    pub(crate) too_large: Counter,
    pub(crate) repaired: Counter,
    pub(crate) unknown: Counter,
    pub(crate) other: Counter,
}

/// Why requests were divided.
#[derive(Debug)]
pub(crate) struct Splits {
    /// 413.
    pub(crate) size: Counter,
    /// 429 of what never fits into the server's memory.
    pub(crate) memory: Counter,
    /// 400 because of one document.
    pub(crate) document: Counter,
}

impl Counters {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let bytes = |stage| {
            let help = "Bytes of bulk requests before and after compression";
            metrics.counter("elasticsearch_bulk_bytes", help, &[("stage", stage)])
        };
        let failure_store = |status| {
            let help = "Items that a data stream put into its failure store, or that it did not take either";
            let labels = [("status", status)];
            metrics.counter("elasticsearch_failure_store_items", help, &labels)
        };
        Self {
            items: Items::new(metrics),
            failure_store: ["used", "failed"].map(failure_store),
            splits: Splits::new(metrics),
            ambiguous: ambiguous(metrics),
            body: bytes("body"),
            wire: bytes("wire"),
            body_limit: metrics.gauge(
                "elasticsearch_body_limit_bytes",
                "Largest bulk request that is sent, before compression; less than configured once the server found one too large, or did not answer in time",
                &[],
            ),
            took: metrics.histogram(
                "elasticsearch_took_seconds",
                "What the server says that a bulk request took",
                &[],
            ),
        }
    }
}

/// Requests that are sent again although the first may have been carried out.
pub(crate) fn ambiguous(metrics: &Metrics) -> Counter {
    let help = "Bulk requests that are sent again although the first may have been carried out";
    metrics.counter("elasticsearch_ambiguous_retries", help, &[])
}

impl Items {
    fn new(metrics: &Metrics) -> Self {
        let item = |result| {
            let help = "Items of bulk requests by result; a record that is tried again is counted each time";
            metrics.counter("elasticsearch_items", help, &[("result", result)])
        };
        Self {
            created: item("created"),
            conflict: item("conflict"),
            stale: item("stale"),
            rejected: item("rejected"),
            mapping: item("mapping_error"),
            auth: item("auth"),
            not_found: item("not_found"),
            too_large: item("too_large"),
            repaired: item("repaired"),
            unknown: item("unknown"),
            other: item("other"),
        }
    }
}

impl Splits {
    fn new(metrics: &Metrics) -> Self {
        let split = |reason| {
            let help = "Bulk requests that were divided, by reason";
            metrics.counter("elasticsearch_splits", help, &[("reason", reason)])
        };
        Self {
            size: split("size"),
            memory: split("memory"),
            document: split("document"),
        }
    }
}
