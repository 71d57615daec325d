//! Counters of what was looked for.

use sdk::metrics::{Counter, Metrics};

/// How steps ended.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) there: Counter,
    pub(super) made: Counter,
    pub(super) refused: Counter,
    pub(super) failed: Counter,
}

impl Counters {
    /// Registers them.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let count = |result| {
            let help =
                "Templates, policies, aliases and data streams that were looked for, by result";
            metrics.counter("elasticsearch_setup_steps", help, &[("result", result)])
        };
        Self {
            there: count("there"),
            made: count("made"),
            refused: count("refused"),
            failed: count("failed"),
        }
    }
}
