//! What is counted of configurations: whether the last one was taken, and when.

use sdk::{
    event::Time,
    metrics::{Counter, Gauge, Metrics},
};

/// Handles; every series exists from the start.
#[derive(Debug, Clone)]
pub(super) struct Reloads {
    metrics: Metrics,
    successful: Gauge,
    taken_at: Gauge,
    successes: Counter,
    failures: Counter,
}

impl Reloads {
    /// Registers the series. The configuration that the process began with is the first that was taken.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let count = |result| {
            let help = "Times that the configuration was to be read again";
            metrics.counter("config_reloads", help, &[("result", result)])
        };
        let reloads = Self {
            metrics: metrics.clone(),
            successful: metrics.gauge(
                "config_last_reload_successful",
                "Whether the last configuration was taken",
                &[],
            ),
            taken_at: metrics.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When a configuration was last taken",
                &[],
            ),
            successes: count("success"),
            failures: count("failure"),
        };
        reloads.set(true);
        reloads
    }

    /// A configuration was read again: it runs now, or the one before runs on.
    pub(super) fn done(&self, taken: bool) {
        if taken {
            self.successes.inc();
        } else {
            self.failures.inc();
        }
        self.set(taken);
    }

    /// Tells which configuration runs: two processes with one role and different hashes run different files.
    pub(super) fn show(&self, hash: u64, role: &str) {
        self.metrics.forget_gauge("config_info");
        let hash = format!("{hash:016x}");
        let labels = [("hash", hash.as_str()), ("role", role)];
        let help = "Constant 1, with a hash of the text of the configuration";
        self.metrics.gauge("config_info", help, &labels).set(1);
    }

    fn set(&self, taken: bool) {
        self.successful.set(i64::from(taken));
        if taken {
            self.taken_at.set(Time::now().secs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_seen_until_the_next_success() {
        let reloads = Reloads::new(&Metrics::new());
        assert_eq!(reloads.successful.get(), 1);
        reloads.done(false);
        assert_eq!((reloads.successful.get(), reloads.failures.get()), (0, 1));
        let metrics = reloads.metrics.clone();
        reloads.show(1, "a");
        reloads.show(2, "a");
        let text = metrics.encode();
        let info: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("weir_config_info"))
            .collect();
        assert_eq!(
            info,
            ["weir_config_info{hash=\"0000000000000002\",role=\"a\"} 1"]
        );
        reloads.done(true);
        assert_eq!((reloads.successful.get(), reloads.successes.get()), (1, 1));
        assert!(reloads.taken_at.get() > 0);
    }
}
