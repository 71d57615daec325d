//! What is measured when somebody looks: buffers, memory, and the balance of the ledger.

use sdk::{budget::Budget, metrics::Metrics};

use super::Health;
use crate::{
    buffer::Status,
    telemetry::ledger::{Ledger, Totals},
};

/// Reads everything that is measured on demand and writes the exposition.
#[derive(Debug, Clone)]
pub struct Gauges {
    ledger: Ledger,
    health: Health,
    budget: Budget,
}

impl Gauges {
    /// Over these parts.
    pub fn new(ledger: Ledger, health: Health, budget: Budget) -> Self {
        Self {
            ledger,
            health,
            budget,
        }
    }

    /// The exposition in OpenMetrics text, measured now.
    pub fn encode(&self) -> String {
        self.ledger.audit();
        let metrics = self.ledger.metrics();
        set(
            metrics,
            "memory_limit_bytes",
            "The global memory budget",
            self.budget.limit_bytes() as u64,
        );
        set(
            metrics,
            "memory_used_bytes",
            "Bytes taken from the memory budget",
            self.budget.used_bytes() as u64,
        );
        for (id, buffer) in self.health.buffers() {
            measure(&metrics.with(&[("component_id", &id)]), &buffer.status());
        }
        metrics.encode()
    }

    /// What the console shows.
    pub fn totals(&self) -> Totals {
        self.ledger.totals()
    }
}

fn measure(metrics: &Metrics, status: &Status) {
    set(
        metrics,
        "buffer_bytes",
        "Bytes stored and not yet settled",
        status.bytes,
    );
    set(
        metrics,
        "buffer_records",
        "Records stored and not yet settled",
        status.records,
    );
    set(
        metrics,
        "buffer_limit_bytes",
        "total_limit_size",
        status.limit_bytes,
    );
    set(
        metrics,
        "buffer_full",
        "Whether the buffer takes nothing now",
        u64::from(status.is_full),
    );
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio needs no more digits than a float has"
    )]
    let ratio = status.bytes as f64 / status.limit_bytes.max(1) as f64;
    metrics
        .float_gauge("buffer_used_ratio", "Share of the limit in use", &[])
        .set(ratio);
    let age = status.oldest_age.unwrap_or_default().as_secs_f64();
    metrics
        .float_gauge(
            "buffer_oldest_age_seconds",
            "Age of the oldest stored record",
            &[],
        )
        .set(age);
    if let Some(free) = status.disk_free_bytes {
        set(
            metrics,
            "buffer_disk_free_bytes",
            "Free bytes of the volume",
            free,
        );
    }
}

fn set(metrics: &Metrics, name: &'static str, help: &str, value: u64) {
    metrics
        .gauge(name, help, &[])
        .set(i64::try_from(value).unwrap_or(i64::MAX));
}
