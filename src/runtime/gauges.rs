//! What is measured when somebody looks: buffers, memory, and the balance of the ledger.

use std::time::Instant;

use sdk::{budget::Budget, metrics::Metrics};

use super::{Health, Roster, Shared};
use crate::{
    buffer::Status,
    telemetry::{
        ledger::{Ledger, Totals},
        process,
    },
};

/// Reads everything that is measured on demand and writes the exposition.
#[derive(Debug, Clone)]
pub struct Gauges {
    ledger: Ledger,
    health: Health,
    budget: Budget,
    roster: Roster,
    born: Instant,
}

impl Gauges {
    /// Over what the process shares.
    pub fn of(shared: &Shared) -> Self {
        Self {
            ledger: shared.ledger.clone(),
            health: shared.health.clone(),
            budget: shared.budget.clone(),
            roster: shared.roster.clone(),
            born: Instant::now(),
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
        self.roster.measure();
        metrics
            .float_gauge("uptime_seconds", "Time since the process started", &[])
            .set(self.born.elapsed().as_secs_f64());
        with_process(metrics.encode())
    }

    /// Who runs.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What the console shows.
    pub fn totals(&self) -> Totals {
        self.ledger.totals()
    }
}

/// The same exposition with the series of the process before its end.
fn with_process(mut text: String) -> String {
    const END: &str = "# EOF\n";
    let end = text.ends_with(END);
    if end {
        text.truncate(text.len() - END.len());
    }
    text.push_str(&process::exposition());
    if end {
        text.push_str(END);
    }
    text
}

fn measure_chunks(metrics: &Metrics, status: &Status) {
    for (state, portion) in [("stage", status.stage), ("queue", status.queue)] {
        let metrics = metrics.with(&[("state", state)]);
        set(
            &metrics,
            "buffer_chunks",
            "Chunks that are gathered, and chunks that wait or are under way",
            portion.chunks,
        );
        set(
            &metrics,
            "buffer_chunk_bytes",
            "Bytes of those chunks",
            portion.bytes,
        );
    }
    let oldest = status.oldest_age.map(|age| {
        let now = u64::try_from(sdk::event::Time::now().secs).unwrap_or_default();
        now.saturating_sub(age.as_secs())
    });
    set(
        metrics,
        "buffer_oldest_chunk_timestamp_seconds",
        "When the oldest stored record came, 0 when nothing is stored",
        oldest.unwrap_or(0),
    );
}

fn measure(metrics: &Metrics, status: &Status) {
    measure_chunks(metrics, status);
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
    set(
        metrics,
        "buffer_pinned_bytes",
        "Bytes of what is done in segments that are kept for what is not",
        status.pinned_bytes,
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
