//! Who writes how much: records and bytes by namespace, within a limit of series.

use std::collections::HashMap;

use sdk::metrics::{Counter, Metrics};

/// Namespaces with a series of their own.
const NAMESPACES_MAX: usize = 500;
/// All others together, as a label value.
const OVERFLOW: &str = "__overflow__";

/// The counters by namespace.
pub(crate) struct Usage {
    metrics: Metrics,
    known: HashMap<Box<[u8]>, (Counter, Counter)>,
}

impl Usage {
    /// No namespace was seen yet.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            known: HashMap::new(),
        }
    }

    /// A record of a namespace, with its bytes as MessagePack. The name comes from a record, so it is cleaned.
    pub(crate) fn count(&mut self, namespace: &[u8], bytes: usize) {
        let (records, sizes) = match self.known.get(namespace) {
            Some(counters) => counters,
            None if self.known.len() < NAMESPACES_MAX => {
                let counters = counters(&self.metrics, &String::from_utf8_lossy(namespace));
                self.known.entry(namespace.into()).or_insert(counters)
            }
            None => {
                let counters = counters(&self.metrics, OVERFLOW);
                // One more than the limit, and never another.
                self.known
                    .entry(OVERFLOW.as_bytes().into())
                    .or_insert(counters)
            }
        };
        records.inc();
        sizes.inc_by(bytes as u64);
    }
}

fn counters(metrics: &Metrics, namespace: &str) -> (Counter, Counter) {
    // Prometheus gives scraped series a label `namespace` of its own: that of the pod that was scraped.
    let labels = [("log_namespace", namespace)];
    (
        metrics.counter(
            "namespace_records",
            "Records by namespace of their pod",
            &labels,
        ),
        metrics.counter(
            "namespace_bytes",
            "Bytes of records by namespace of their pod",
            &labels,
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_counted_and_too_many_share_a_series() {
        let metrics = Metrics::new();
        let mut usage = Usage::new(metrics.clone());
        for number in 0..NAMESPACES_MAX + 20 {
            usage.count(format!("ns-{number}").as_bytes(), 10);
        }
        usage.count(b"ns-0", 5);
        let text = metrics.encode();
        for line in [
            "weir_namespace_records_total{log_namespace=\"ns-0\"} 2",
            "weir_namespace_bytes_total{log_namespace=\"ns-0\"} 15",
            "weir_namespace_bytes_total{log_namespace=\"__overflow__\"} 200",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
        let series = text
            .lines()
            .filter(|line| line.starts_with("weir_namespace_bytes_total"));
        assert_eq!(series.count(), NAMESPACES_MAX + 1);
    }
}
