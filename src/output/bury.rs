//! Records that nobody takes: to the dead letter, or counted as dropped.

use sdk::{event::Time, output::Failure};

use super::{Means, OutputNode};
use crate::{
    buffer::{Chunk, DeadLetterError, DeadRecord},
    telemetry::ledger::DropReason,
};

/// Writes refused records to the dead letter. Returns those that must stay because it cannot take them now.
pub(super) async fn bury(
    node: &OutputNode,
    means: &Means,
    chunk: &Chunk,
    rejected: Vec<(u32, Failure)>,
) -> Vec<u32> {
    let records = u64::try_from(rejected.len()).unwrap_or(u64::MAX);
    let Some(dead_letter) = means.dead_letter.clone() else {
        drop_rejected(node, DropReason::DeadLetterOff, records);
        return Vec::new();
    };
    let indexes: Vec<u32> = rejected.iter().map(|(index, _)| *index).collect();
    let dead = dead_records(node, chunk, &rejected);
    let written = tokio::task::spawn_blocking(move || dead_letter.append(&dead)).await;
    match written {
        Ok(Ok(())) => {
            node.account.dead_lettered(records);
            Vec::new()
        }
        Ok(Err(DeadLetterError::Full { .. })) if means.drop_when_dead_letter_full => {
            drop_rejected(node, DropReason::DeadLetterFull, records);
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

fn drop_rejected(node: &OutputNode, reason: DropReason, records: u64) {
    tracing::warn!(output = %node.id, records, reason = reason.as_str(), "dropped refused records");
    node.account.dropped(reason, records, 0);
}

/// Copies the refused records out of the chunk. `rejected` may be in any order.
fn dead_records(node: &OutputNode, chunk: &Chunk, rejected: &[(u32, Failure)]) -> Vec<DeadRecord> {
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
                    attempts: chunk.tries.attempts,
                    time: Time::now(),
                });
            }
        }
        first = end;
    }
    dead
}
