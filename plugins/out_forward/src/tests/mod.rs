//! Tests over loopback, with servers that follow a script.

mod conformance;
mod deliveries;
mod discoveries;
mod encoding;
mod failures;
mod handshakes;
mod kernel;
mod server;
mod waiting;

use std::{sync::Arc, time::Duration};

use sdk::{
    output::{ChunkView, Failure, Frame, Outcome, Output},
    plugin::BuildCx,
    stop::{Stop, Stopper},
    testing::frame,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::build;

/// An output for these servers, with `more` parameters.
fn output(servers: &[Value], more: &Value) -> Arc<dyn Output> {
    with_context(servers, more, &BuildCx::detached("test"))
}

fn with_context(servers: &[Value], more: &Value, cx: &BuildCx) -> Arc<dyn Output> {
    let mut params = json!({ "server": servers });
    let all = params.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    build(params, cx).unwrap()
}

async fn write(output: &Arc<dyn Output>, frames: &[Frame]) -> Outcome {
    let chunk = ChunkView {
        buffer: 1,
        frames,
        live: None,
        attempt: 0,
    };
    output.write(chunk).await
}

/// A frame with one record `{"n": n}` under the tag `app`.
fn numbered(n: u64) -> Frame {
    frame(n, "app", &[json!({ "n": n })])
}

/// Starts the background work; it ends with what is returned.
fn run(output: &Arc<dyn Output>) -> Stopper {
    let (stopper, stop): (Stopper, Stop) = Stopper::new();
    let output = Arc::clone(output);
    tokio::spawn(async move { output.run(stop).await });
    stopper
}

/// Waits until `look` says so.
async fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !look() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        sleep(Duration::from_millis(5)).await;
    }
}

#[track_caller]
fn down(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::DestinationDown(failure) => failure,
        other => panic!("not down but {other:?}"),
    }
}

#[track_caller]
fn again(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::RetryChunk(None, failure) => failure,
        other => panic!("not to be tried again but {other:?}"),
    }
}
