//! What the operator sees of the parts.

use sdk::metrics::{Counter, Gauge, Metrics};

use super::lines::Why;

/// Counters of one source.
#[derive(Debug)]
pub(super) struct Meters {
    held: Gauge,
    joined: Counter,
    again: Counter,
    let_go: Vec<(Why, Counter)>,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let way = ("direction", "in");
        let let_go = |why: Why| {
            let help = "Lines that were let go before they were whole";
            let labels = [way, ("reason", why.as_str())];
            (
                why,
                metrics.counter("forward_partial_let_go", help, &labels),
            )
        };
        Self {
            held: metrics.gauge(
                "forward_partial_held",
                "Parts of lines that are not whole, or not stored yet",
                &[way],
            ),
            joined: metrics.counter(
                "forward_partial_joined",
                "Lines that were joined from their parts",
                &[way],
            ),
            again: metrics.counter(
                "forward_partial_again",
                "Parts that came again when their line was stored",
                &[way],
            ),
            let_go: Why::ALL.map(let_go).to_vec(),
        }
    }

    /// So many parts are held now.
    pub(super) fn held(&self, parts: usize) {
        self.held.set(i64::try_from(parts).unwrap_or(i64::MAX));
    }

    /// So many lines became whole.
    pub(super) fn joined(&self, lines: u64) {
        self.joined.inc_by(lines);
    }

    /// So many parts were not needed.
    pub(super) fn again(&self, parts: u64) {
        self.again.inc_by(parts);
    }

    /// A line goes on as it is.
    pub(super) fn let_go(&self, why: Why) {
        if let Some((_, counter)) = self.let_go.iter().find(|(which, _)| *which == why) {
            counter.inc();
        }
    }
}
