//! Books what became of the records of a chunk.

use sdk::event::Time;

use super::{Means, OutputNode, bury::bury, deliver::Course, verdict::Judgement};
use crate::buffer::Chunk;

/// Books what is settled; the rest of the chunk stays alive.
pub(super) async fn settle(
    node: &OutputNode,
    means: &Means,
    chunk: &mut Chunk,
    judgement: Judgement,
    course: Course,
) {
    let Judgement {
        delivered,
        rejected,
        retry,
        ..
    } = judgement;
    let mut live = retry.clone();
    for (index, _) in &rejected {
        live.set(*index, true);
    }
    if delivered > 0 {
        node.account.delivered(u64::from(delivered));
        chunk.settle(live);
        book_delivery(node, chunk, delivered);
        if course == Course::Secondary {
            let records = u64::from(delivered);
            node.metrics.secondary_records.inc_by(records);
        }
    }
    if !rejected.is_empty() {
        let mut live = retry;
        for index in bury(node, means, chunk, rejected).await {
            live.set(index, true);
        }
        chunk.settle(live);
    }
}

fn book_delivery(node: &OutputNode, chunk: &Chunk, delivered: u32) {
    let frames = chunk.frames().iter();
    let total: u64 = frames.map(|frame| frame.events.len() as u64).sum();
    let share = total * u64::from(delivered) / u64::from(chunk.record_count()).max(1);
    node.metrics.sent_bytes.inc_by(share);
    let first = chunk
        .frames()
        .first()
        .and_then(|frame| frame.entries().next());
    if let Some(Ok(first)) = first {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a difference of times; a float holds it well enough"
        )]
        let secs = (Time::now().secs - first.time.secs) as f64;
        node.metrics.latency_seconds.observe(secs.max(0.0));
    }
}

/// Says what was not delivered.
pub(super) fn report(node: &OutputNode, judgement: &Judgement) {
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
