//! What the running components say about themselves, for inputs and pages that report on them.

use std::sync::Arc;

use serde_json::Value;

use crate::plugin::Kind;

/// Answers with figures of this moment. Takes no lock of the data path for longer than a look.
pub trait Monitor: Send + Sync {
    /// The process.
    fn process(&self) -> Process;
    /// Every component, in the order of the configuration: sources, filters, outputs.
    fn components(&self) -> Vec<Component>;
}

/// What the process says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// The name of this host.
    pub hostname: String,
    /// The file of the configuration, as it was given; `None` for the quick start and standard input.
    pub config_path: Option<String>,
    /// The version of Weir.
    pub version: String,
}

/// One component.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Its id.
    pub id: Arc<str>,
    /// Input, filter or output.
    pub kind: Kind,
    /// The name of its plugin.
    pub plugin: &'static str,
    /// Its own parameters, with secrets hidden.
    pub params: Value,
    /// What it did so far.
    pub figures: Figures,
}

/// What a component did so far.
#[derive(Debug, Clone, PartialEq)]
pub enum Figures {
    /// Of a source.
    Input(Passed),
    /// Of a filter: what reached it, and the records that left it.
    Filter(Passed, u64),
    /// Of an output.
    Output(Box<Delivering>),
}

/// What passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
    /// Bytes of the records as MessagePack.
    pub bytes: u64,
}

/// An output and its buffer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivering {
    /// What was taken into the buffer.
    pub accepted: Passed,
    /// Records that the destination acknowledged.
    pub sent_records: u64,
    /// Tries to write a chunk.
    pub writes: u64,
    /// Tries after which a chunk had to be tried again.
    pub rollbacks: u64,
    /// Tries that took longer than 20 s.
    pub slow_flushes: u64,
    /// Calls of the secondary's `write`.
    pub secondary_writes: u64,
    /// Time that tries took in all, in milliseconds.
    pub flush_time_ms: u64,
    /// Failures of all kinds.
    pub errors: u64,
    /// Failures in a row, now.
    pub failures_in_a_row: u64,
    /// The wait before the next try, in seconds; 0 when none is waited for.
    pub retry_wait_seconds: f64,
    /// Chunks given up for lack of room.
    pub overflow_drops: u64,
    /// Chunks that are being filled.
    pub stage_chunks: u64,
    /// Their bytes.
    pub stage_bytes: u64,
    /// Chunks that wait for delivery, or are under way.
    pub queue_chunks: u64,
    /// Their bytes.
    pub queue_bytes: u64,
    /// Bytes stored.
    pub total_bytes: u64,
    /// The limit of those.
    pub limit_bytes: u64,
    /// When the oldest record was stored, in seconds since 1970.
    pub oldest_secs: Option<u64>,
    /// When the newest record was stored, in seconds since 1970.
    pub newest_secs: Option<u64>,
}

impl Delivering {
    /// The share of the buffer that is free, in percent with one digit, as Fluentd gives it.
    pub fn available_percent(&self) -> f64 {
        let free = self.limit_bytes.saturating_sub(self.total_bytes);
        let thousandths = (u128::from(free) * 1000)
            .checked_div(u128::from(self.limit_bytes))
            .unwrap_or(1000);
        f64::from(u32::try_from(thousandths).unwrap_or(1000)) / 10.0
    }
}

/// Knows of nothing: for tests, and for inputs that run alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Monitor for Nothing {
    fn process(&self) -> Process {
        Process::default()
    }

    fn components(&self) -> Vec<Component> {
        Vec::new()
    }
}
