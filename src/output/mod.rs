//! What surrounds an output plugin: its buffer, flush workers, retry and dead letter. The same for all.
//!
//! Begin with [`OutputNode`]. A worker in `flush.rs` takes a chunk from the buffer, `deliver.rs` tries it
//! until every record is settled or it makes way for others, `attempt.rs` is one call of the plugin, `verdict.rs` turns
//! the plugin's answer into what to do next, and `settle.rs` books it. `retry.rs` says how long a chunk waits and when
//! it is given up, `breaker.rs` when the destination is tried at all, and `bury.rs` writes the dead letter. Nothing here
//! knows a concrete plugin.

mod attempt;
mod breaker;
mod bury;
mod deliver;
mod fence;
mod flush;
mod metrics;
mod retry;
mod settle;
mod verdict;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use sdk::{metrics::Metrics, output::Output, stop::Stop};
use tokio::sync::watch;

pub use self::breaker::Breaker;
use self::deliver::Course;
pub use self::metrics::OutputMetrics;
pub use self::retry::RetryPolicy;
use crate::{
    buffer::{Buffer, DeadLetter, Tries},
    telemetry::ledger::Account,
};

/// One output with everything that makes it reliable.
pub struct OutputNode {
    /// The id from the configuration.
    pub id: Arc<str>,
    /// Where its records wait.
    pub buffer: Buffer,
    /// Its page of the ledger.
    pub account: Account,
    /// What it counts.
    pub metrics: OutputMetrics,
    means: watch::Sender<Arc<Means>>,
}

/// How an output delivers. A reload puts other means in the place of these; what waits in the buffer stays.
pub struct Means {
    /// The plugin.
    pub plugin: Arc<dyn Output>,
    /// Where refused records go; `None` when it is turned off.
    pub dead_letter: Option<Arc<DeadLetter>>,
    /// What happens when the dead letter is full.
    pub drop_when_dead_letter_full: bool,
    /// When to try again, and when to give up.
    pub retry: RetryPolicy,
    /// Whether the destination is to be tried now.
    pub breaker: Breaker,
    /// Where chunks go before they are given up.
    pub secondary: Option<Secondary>,
}

/// An output that is tried before a chunk is given up.
pub struct Secondary {
    /// Its id: from the configuration, or derived.
    pub id: Arc<str>,
    /// Carries its labels.
    pub metrics: Metrics,
    /// The plugin.
    pub plugin: Arc<dyn Output>,
    /// Whether it is to be tried now.
    pub breaker: Breaker,
}

impl OutputNode {
    /// An output that delivers by these means.
    pub fn new(
        id: Arc<str>,
        buffer: Buffer,
        account: Account,
        metrics: OutputMetrics,
        means: Means,
    ) -> Self {
        Self {
            id,
            buffer,
            account,
            metrics,
            means: watch::Sender::new(Arc::new(means)),
        }
    }

    /// How it delivers now.
    pub fn means(&self) -> Arc<Means> {
        Arc::clone(&self.means.borrow())
    }

    /// Delivers by other means from now on. What waits for its next try is tried at once; a call that is under way gets
    /// a moment to end.
    pub fn deliver_by(&self, means: Means) {
        means.show();
        self.means.send_replace(Arc::new(means));
        self.buffer.release_aside();
    }

    /// How long what is due has waited for anything to be tried; zero when nothing is due.
    pub fn unattempted(&self) -> Duration {
        let due_since = self.buffer.due_since();
        due_since.map_or(Duration::ZERO, |since| self.metrics.unattempted(since))
    }

    /// Runs one flush worker until the buffer is closed and has nothing more to hand out, or until
    /// `give_up` is given: then the chunk in hand goes back into the buffer.
    pub async fn flush(self: Arc<Self>, give_up: Stop) {
        flush::run(&self, &give_up).await;
    }
}

impl Means {
    /// Where a chunk that went through this goes next.
    fn course(&self, tries: &Tries) -> Course {
        let is_exhausted = self.retry.is_exhausted(tries);
        #[cfg(feature = "defects")]
        if self.secondary.is_some() && crate::telemetry::defects::is_on("skip_secondary") {
            return if is_exhausted {
                Course::GiveUp
            } else {
                Course::Primary
            };
        }
        let has_had_its_turn = is_exhausted && tries.secondary > 0;
        if self.secondary.is_some() && !has_had_its_turn {
            let is_its_turn = tries.is_refused || self.retry.is_for_secondary(tries);
            if is_exhausted || is_its_turn {
                Course::Secondary
            } else {
                Course::Primary
            }
        } else if is_exhausted {
            Course::GiveUp
        } else {
            Course::Primary
        }
    }

    /// The gauges say how these breakers stand.
    fn show(&self) {
        self.breaker.show();
        if let Some(secondary) = &self.secondary {
            secondary.breaker.show();
        }
    }
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Means")
    }
}

impl std::fmt::Debug for OutputNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutputNode({})", self.id)
    }
}
