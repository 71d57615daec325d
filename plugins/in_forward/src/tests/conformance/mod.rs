//! The conformance cases of the forward protocol over real sockets: bytes in; events, answers and the kind of close
//! out. Those that are one message or a few stand in the vectors of `forward_protocol`, which are sent here as they
//! are; each of the others is a test whose name begins with its number.

mod framing;
mod hostile;
mod options;
mod sessions;
mod splits;
mod vectors;

use serde_json::Value;

use super::kit::*;
use sdk::{
    event::{Batch, Time},
    testing::{Collector, to_json},
};

/// A message with an acknowledgement, by which a test sees that a connection goes on.
const STILL_THERE: &str = "94a44b454550ce6553f10181a16d0181a56368756e6ba46b656570";
/// The acknowledgement.
const STILL_THERE_ACK: &str = "81a361636ba46b656570";
/// The tag of that message.
const STILL_THERE_TAG: &str = "KEEP";

/// An event, as `tag seconds.nanoseconds record`.
fn show(batch: &Batch) -> Vec<String> {
    let events = batch.entries().map(|event| {
        let event = event.expect("every entry is well formed");
        let Time { secs, nanos } = event.time;
        let record = to_json(event.record);
        format!(
            "{} {secs}.{nanos:09} {record}",
            batch.tag.as_str().escape_default()
        )
    });
    events.collect()
}

/// The events that were taken, but for those that show that a connection goes on.
fn events(collector: &Collector) -> Vec<String> {
    let batches = collector.batches();
    let kept = batches
        .iter()
        .filter(|batch| batch.tag.as_str() != STILL_THERE_TAG);
    kept.flat_map(show).collect()
}

/// Sends bytes over a connection of its own, which must go on behind them, and be answered with these bytes.
#[track_caller]
fn keeps(running: &Running, bytes: Vec<u8>, answer: Vec<u8>) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let mut client = Client::connect(running).await;
        client.send(&bytes).await;
        client.send(&unhex(STILL_THERE)).await;
        let rest = client.finish().await;
        assert_eq!(rest, [answer, unhex(STILL_THERE_ACK)].concat(), "{place}");
    }
}

/// Sends bytes over a connection of its own, which must be closed with FIN after these bytes.
#[track_caller]
fn closes(running: &Running, bytes: Vec<u8>, answer: Vec<u8>) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let mut client = Client::connect(running).await;
        client.send(&bytes).await;
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut rest);
        within("the input closes", read)
            .await
            .expect("FIN, not RST");
        assert_eq!(rest, answer, "{place}");
    }
}

/// One event of the record `{"m": 1}`, as the vectors have it.
fn one(tag: &str) -> String {
    format!("{tag} 1700000001.000000000 {{\"m\":1}}")
}

fn none() -> Value {
    serde_json::json!({})
}
