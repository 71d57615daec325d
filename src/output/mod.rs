//! What surrounds an output plugin: its buffer, flush workers, retry and dead letter. The same for all.
//!
//! Begin with [`OutputNode`]. A worker in `flush.rs` takes a chunk from the buffer, `deliver.rs` tries it
//! until every record is settled, `verdict.rs` turns the plugin's answer into what to do next, and
//! `retry.rs` says how long to wait. Nothing here knows a concrete plugin.

mod deliver;
mod fence;
mod flush;
mod metrics;
mod retry;
mod verdict;

use std::sync::Arc;

use sdk::{output::Output, stop::Stop};

pub use self::metrics::OutputMetrics;
pub use self::retry::RetryPolicy;
use crate::{
    buffer::{Buffer, DeadLetter},
    telemetry::ledger::Account,
};

/// One output with everything that makes it reliable.
pub struct OutputNode {
    /// The id from the configuration.
    pub id: Arc<str>,
    /// The plugin.
    pub plugin: Arc<dyn Output>,
    /// Where its records wait.
    pub buffer: Buffer,
    /// Its page of the ledger.
    pub account: Account,
    /// Where refused records go; `None` when it is turned off.
    pub dead_letter: Option<Arc<DeadLetter>>,
    /// What happens when the dead letter is full.
    pub drop_when_dead_letter_full: bool,
    /// When to try again, and when to give up.
    pub retry: RetryPolicy,
    /// Chunks in flight at a time.
    pub flush_thread_count: usize,
    /// What it counts.
    pub metrics: OutputMetrics,
}

impl OutputNode {
    /// Runs one flush worker until the buffer is closed and has nothing more to hand out, or until
    /// `give_up` is given: then the chunk in hand goes back into the buffer.
    pub async fn flush(self: Arc<Self>, give_up: Stop) {
        flush::run(&self, &give_up).await;
    }
}

impl std::fmt::Debug for OutputNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutputNode({})", self.id)
    }
}
