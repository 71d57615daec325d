//! One call of a plugin's `write`, fenced and counted.

use std::{sync::Arc, time::Duration};

use sdk::{
    metrics::Counted,
    output::{ChunkView, Failure, FailureKind, Outcome, Output},
};
use tokio::{sync::watch, time::Instant};

use super::{Means, OutputNode, fence::Fence};
use crate::buffer::Chunk;

/// How long a call may go on after a reload changed the output.
const OVERTAKEN_PATIENCE: Duration = Duration::from_secs(5);

/// Has `plugin` deliver what is left of `chunk`. `changes` tells of other means. `Err`: it panicked.
pub(super) async fn attempt(
    node: &OutputNode,
    plugin: &dyn Output,
    chunk: &Chunk,
    changes: watch::Receiver<Arc<Means>>,
) -> Result<Outcome, String> {
    let live = chunk.live();
    let view = ChunkView {
        buffer: node.buffer.id(),
        frames: chunk.frames(),
        live: (live.alive() != live.len()).then_some(live),
        attempt: chunk.tries.attempts,
    };
    if chunk.tries.consecutive > 0 || chunk.tries.attempts > 0 {
        node.metrics.retries.inc();
    }
    let start = Instant::now();
    node.metrics.tried();
    let _under_way = Counted::new(&node.metrics.inflight);
    let outcome = tokio::select! {
        biased;
        outcome = Fence(plugin.write(view)) => outcome,
        outcome = overtaken(changes) => Ok(outcome),
    };
    node.metrics.wrote(start.elapsed());
    if outcome.is_err() {
        node.metrics.panics.inc();
    }
    outcome
}

/// Resolves when the means of a call were replaced, and the call did not end in the time it was given.
async fn overtaken(mut changes: watch::Receiver<Arc<Means>>) -> Outcome {
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(OVERTAKEN_PATIENCE).await;
    let message = "the output was changed, and this call did not end in time";
    Outcome::DestinationDown(Failure::new(FailureKind::Timeout, message))
}
