//! The plugin against a scripted server on loopback.

mod affinity;
mod answers;
mod configuration;
mod conformance;
mod deliveries;
mod divided;
mod documents;
mod identity;
mod keys;
mod model;
mod nodes;
mod server;
mod shapes;
mod times;
mod trust;
mod updates;

use std::sync::Arc;

use sdk::{
    output::{Bitmap, ChunkView, Failure, FailureKind, Frame, Outcome, Output, Verdict},
    plugin::BuildCx,
    testing::frame,
};
use serde_json::{Value, json};

use server::Server;

/// Builds an output for `hosts` with more parameters.
fn output(hosts: &[String], more: &Value) -> Arc<dyn Output> {
    let mut params = json!({ "hosts": hosts, "index": "logs-%Y.%m.%d" });
    let more = more.as_object().expect("an object").clone();
    params.as_object_mut().unwrap().extend(more);
    crate::build(params, &BuildCx::detached("es")).expect("parameters")
}

/// Records `{"n": 0}` to `{"n": count - 1}` as one frame.
fn numbers(count: i64) -> Frame {
    let records: Vec<Value> = (0..count).map(|n| json!({ "n": n })).collect();
    frame(7, "app", &records)
}

async fn write(output: &Arc<dyn Output>, frames: &[Frame]) -> Outcome {
    write_live(output, frames, None).await
}

async fn write_live(output: &Arc<dyn Output>, frames: &[Frame], live: Option<&Bitmap>) -> Outcome {
    output
        .write(ChunkView {
            buffer: 3,
            frames,
            live,
            attempt: 0,
        })
        .await
}

/// Index, whether it is tried again, and class of each exception.
fn exceptions(outcome: &Outcome) -> Vec<(u32, bool, FailureKind)> {
    let Outcome::Except(exceptions) = outcome else {
        panic!("{outcome:?}")
    };
    let mut exceptions: Vec<_> = exceptions
        .iter()
        .map(|(index, verdict)| match verdict {
            Verdict::Retry(_, failure) => (*index, true, failure.kind),
            Verdict::Reject(failure) => (*index, false, failure.kind),
        })
        .collect();
    exceptions.sort_by_key(|(index, _, _)| *index);
    exceptions
}

/// The failure of a chunk of which nothing is known to have arrived.
fn retried(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::RetryChunk(_, failure) => failure,
        other => panic!("{other:?}"),
    }
}
