//! One chunk from the first try to the last record settled.

use std::time::Duration;

use sdk::{
    event::Time,
    output::{Bitmap, ChunkView, Failure, Outcome},
    stop::Stop,
};
use tokio::time::Instant;

use super::{
    OutputNode,
    fence::Fence,
    retry::RetryState,
    verdict::{Judgement, judge},
};
use crate::{
    buffer::{Chunk, DeadLetterError, DeadRecord},
    telemetry::ledger::DropReason,
};

/// Tries `chunk` until every record is delivered, dead-lettered or dropped for a reason. When `give_up`
/// is given while it waits, the chunk goes back into the buffer.
pub(super) async fn deliver(node: &OutputNode, chunk: Chunk, give_up: &Stop) {
    let mut live = Bitmap::full(chunk.record_count());
    let mut state = RetryState::default();
    loop {
        let outcome = attempt(node, &chunk, &live, &state).await;
        let before = live.alive();
        let judgement = judge(outcome, &live, &mut state, &node.retry);
        report(node, &judgement);
        let after = judgement.after;
        live = settle(node, &chunk, judgement, &state).await;
        if live.alive() == 0 {
            node.metrics.consecutive_failures.set(0);
            node.metrics.sent_batches.inc();
            chunk.finish();
            return;
        }
        if live.alive() < before {
            state.progressed();
        }
        let wait = state.failed(&node.retry, after);
        if !pause(node, wait, &state, give_up).await {
            return;
        }
    }
}

async fn attempt(
    node: &OutputNode,
    chunk: &Chunk,
    live: &Bitmap,
    state: &RetryState,
) -> Result<Outcome, String> {
    let all = live.alive() == live.len();
    let view = ChunkView {
        buffer: node.buffer.id(),
        frames: chunk.frames(),
        live: (!all).then_some(live),
        attempt: state.attempts,
    };
    let start = Instant::now();
    node.metrics.inflight.inc();
    let outcome = Fence(node.plugin.write(view)).await;
    node.metrics.inflight.dec();
    node.metrics
        .duration_seconds
        .observe(start.elapsed().as_secs_f64());
    if outcome.is_err() {
        node.metrics.panics.inc();
    }
    outcome
}

/// Books what is settled and returns what is still alive.
async fn settle(
    node: &OutputNode,
    chunk: &Chunk,
    judgement: Judgement,
    state: &RetryState,
) -> Bitmap {
    let Judgement {
        delivered,
        rejected,
        mut retry,
        ..
    } = judgement;
    if delivered > 0 {
        node.account.delivered(u64::from(delivered));
        chunk.settle(u64::from(delivered));
        book_delivery(node, chunk, delivered);
    }
    if !rejected.is_empty() {
        for index in bury(node, chunk, rejected, state).await {
            retry.set(index, true);
        }
    }
    retry
}

fn book_delivery(node: &OutputNode, chunk: &Chunk, delivered: u32) {
    let total: u64 = chunk
        .frames()
        .iter()
        .map(|frame| frame.events.len() as u64)
        .sum();
    let share = total * u64::from(delivered) / u64::from(chunk.record_count()).max(1);
    node.metrics.sent_bytes.inc_by(share);
    if let Some(Ok(first)) = chunk
        .frames()
        .first()
        .and_then(|frame| frame.entries().next())
    {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a difference of times; a float holds it well enough"
        )]
        let secs = (Time::now().secs - first.time.secs) as f64;
        node.metrics.latency_seconds.observe(secs.max(0.0));
    }
}

/// Writes refused records to the dead letter. Returns those that must stay because it cannot take them now.
async fn bury(
    node: &OutputNode,
    chunk: &Chunk,
    rejected: Vec<(u32, Failure)>,
    state: &RetryState,
) -> Vec<u32> {
    let records = u64::try_from(rejected.len()).unwrap_or(u64::MAX);
    let Some(dead_letter) = node.dead_letter.clone() else {
        drop_rejected(node, chunk, DropReason::DeadLetterOff, records);
        return Vec::new();
    };
    let indexes: Vec<u32> = rejected.iter().map(|(index, _)| *index).collect();
    let dead = dead_records(node, chunk, &rejected, state);
    let written = tokio::task::spawn_blocking(move || dead_letter.append(&dead)).await;
    match written {
        Ok(Ok(())) => {
            node.account.dead_lettered(records);
            chunk.settle(records);
            Vec::new()
        }
        Ok(Err(DeadLetterError::Full { .. })) if node.drop_when_dead_letter_full => {
            drop_rejected(node, chunk, DropReason::DeadLetterFull, records);
            Vec::new()
        }
        Ok(Err(error)) => {
            tracing::error!(output = %node.id, records, %error, "refused records stay in the buffer");
            indexes
        }
        Err(panic) => {
            tracing::error!(output = %node.id, records, %panic, "the dead letter panicked; refused records stay");
            indexes
        }
    }
}

fn drop_rejected(node: &OutputNode, chunk: &Chunk, reason: DropReason, records: u64) {
    tracing::warn!(output = %node.id, records, reason = reason.as_str(), "dropped refused records");
    node.account.dropped(reason, records, 0);
    chunk.settle(records);
}

/// Copies the refused records out of the chunk. `rejected` may be in any order.
fn dead_records(
    node: &OutputNode,
    chunk: &Chunk,
    rejected: &[(u32, Failure)],
    state: &RetryState,
) -> Vec<DeadRecord> {
    let mut sorted: Vec<_> = rejected.iter().collect();
    sorted.sort_by_key(|(index, _)| *index);
    let mut wanted = sorted.into_iter().peekable();
    let mut dead = Vec::new();
    let mut first = 0;
    for frame in chunk.frames() {
        let end = first + frame.count;
        if wanted.peek().is_some_and(|(index, _)| *index < end) {
            for (place, event) in (0..).zip(frame.entries().map_while(Result::ok)) {
                let Some((_, failure)) = wanted.next_if(|(index, _)| *index == first + place)
                else {
                    continue;
                };
                dead.push(DeadRecord {
                    tag: frame.tag.clone(),
                    entry: event.entry.to_vec().into(),
                    buffer: node.buffer.id(),
                    sequence: frame.sequence,
                    index: place,
                    kind: failure.kind.as_str().into(),
                    message: failure.message.clone(),
                    attempts: state.attempts,
                    time: Time::now(),
                });
            }
        }
        first = end;
    }
    dead
}

fn report(node: &OutputNode, judgement: &Judgement) {
    let rejected = judgement.rejected.len();
    for (failure, records) in &judgement.failures {
        node.metrics.failed(failure.kind);
        tracing::warn!(
            output = %node.id,
            kind = failure.kind.as_str(),
            records,
            rejected,
            retried = judgement.retry.alive(),
            "not delivered: {}",
            failure.message
        );
    }
}

/// Waits before the next try; `false` when told to give up.
async fn pause(node: &OutputNode, wait: Duration, state: &RetryState, give_up: &Stop) -> bool {
    node.metrics.retries.inc();
    node.metrics.retry_wait_seconds.set(wait.as_secs_f64());
    node.metrics
        .consecutive_failures
        .set(i64::from(state.consecutive()));
    let goes_on = tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = give_up.stopped() => false,
    };
    node.metrics.retry_wait_seconds.set(0.0);
    goes_on
}
