//! One chunk: from server to server until it has arrived, and what to tell the engine when it has not.

use std::sync::Arc;

use sdk::output::{ChunkView, Failure, FailureKind, Outcome, Verdict};

use crate::{
    message::{self, Message, Recipe},
    node::Node,
    nodes::Nodes,
    trouble::{Stage, Trouble},
};

/// Tries to deliver a chunk.
pub(crate) async fn deliver(nodes: &Nodes, recipe: Recipe, chunk: ChunkView<'_>) -> Outcome {
    let messages = match message::messages(chunk, recipe).await {
        Ok(messages) => messages,
        Err(error) => {
            let failure = Failure::new(FailureKind::Serialize, error.to_string());
            return Outcome::RetryChunk(None, failure);
        }
    };
    let mut arrived = vec![false; messages.len()];
    let mut tried: Vec<Arc<Node>> = Vec::new();
    let mut troubles: Vec<Trouble> = Vec::new();
    while let Some(node) = nodes.next(&tried) {
        match node.send(&messages, &mut arrived).await {
            Ok(()) => return Outcome::Delivered,
            Err(trouble) => {
                // It has taken its time; whoever waits behind this chunk shall not wait for others as well.
                let is_slow = matches!(trouble.stage, Stage::NoAck | Stage::Stalled);
                troubles.push(trouble);
                if is_slow {
                    break;
                }
            }
        }
        tried.push(node);
    }
    outcome(&messages, &arrived, &troubles)
}

fn outcome(messages: &[Message], arrived: &[bool], troubles: &[Trouble]) -> Outcome {
    let failure = failure(troubles);
    if arrived.contains(&true) {
        let missing = messages
            .iter()
            .zip(arrived)
            .filter(|(_, arrived)| !**arrived);
        let records = missing.flat_map(|(message, _)| message.records.iter().cloned().flatten());
        let again = |index| (index, Verdict::Retry(None, failure.clone()));
        return Outcome::Except(records.map(again).collect());
    }
    if troubles.iter().any(Trouble::may_have_arrived) {
        Outcome::RetryChunk(None, failure)
    } else {
        Outcome::DestinationDown(failure)
    }
}

/// What went wrong, at every server that was tried. The class is that of what came furthest.
fn failure(troubles: &[Trouble]) -> Failure {
    let furthest = troubles
        .iter()
        .find(|trouble| trouble.may_have_arrived())
        .or(troubles.first());
    let kind = furthest.map_or(FailureKind::Connect, |trouble| trouble.failure.kind);
    let messages: Vec<&str> = troubles
        .iter()
        .map(|trouble| trouble.failure.message.as_str())
        .collect();
    if messages.is_empty() {
        return Failure::new(kind, "there is no server with a weight above 0");
    }
    Failure::new(kind, messages.join("; "))
}
