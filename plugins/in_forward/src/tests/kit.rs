//! An input that runs, a client that speaks to it byte for byte, and waiting for conditions.

use std::{net::SocketAddr, time::Duration};

use rmpv::Value;
use sdk::{
    RunError,
    event::Batch,
    input::{InputCx, Ready},
    metrics::Metrics,
    stop::Stopper,
    testing::{Collector, Keeper},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{listener, settings::Settings};

/// Everything here happens within this time, or fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An input on a free port.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Metrics,
    stopper: Stopper,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Starts with these parameters beside `listen`.
    pub(crate) async fn start(
        params: serde_json::Value,
        make_cx: impl FnOnce(Ready) -> InputCx,
    ) -> Self {
        Self::start_with(params, |_| {}, make_cx).await
    }

    /// Starts with parameters and with settings that have none.
    pub(crate) async fn start_with(
        mut params: serde_json::Value,
        change: impl FnOnce(&mut Settings),
        make_cx: impl FnOnce(Ready) -> InputCx,
    ) -> Self {
        params["listen"] = json!("127.0.0.1:0");
        let (mut running, detail) = Self::begin(params, change, make_cx).await;
        running.address = detail.parse().unwrap();
        running
    }

    /// Starts where the parameters say, which is no address.
    pub(crate) async fn start_at(
        params: serde_json::Value,
        make_cx: impl FnOnce(Ready) -> InputCx,
    ) -> Self {
        Self::begin(params, |_| {}, make_cx).await.0
    }

    async fn begin(
        params: serde_json::Value,
        change: impl FnOnce(&mut Settings),
        make_cx: impl FnOnce(Ready) -> InputCx,
    ) -> (Self, String) {
        let mut settings = Settings::new(
            serde_json::from_value(params).unwrap(),
            "weir.example",
            None,
        )
        .unwrap();
        change(&mut settings);
        let (tell, told) = oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        let ready = Ready::new(move |detail| {
            let tell = tell.lock().unwrap().take().expect("ready once");
            tell.send(detail.to_owned()).unwrap();
        });
        let cx = make_cx(ready);
        let metrics = cx.metrics.clone();
        let (stopper, stop) = Stopper::new();
        let task = tokio::spawn(listener::run(settings, cx, stop));
        let detail = within("the input is bound", told).await.unwrap();
        let place = detail.strip_prefix("listening on ").expect("says where");
        let running = Self {
            address: ([0, 0, 0, 0], 0).into(),
            metrics,
            stopper,
            task,
        };
        (running, place.to_owned())
    }

    /// Starts with a collector.
    pub(crate) async fn collecting(params: serde_json::Value) -> (Self, Collector) {
        let collector = Collector::default();
        (
            Self::start(params, |ready| collector.cx(ready)).await,
            collector,
        )
    }

    /// Starts with a keeper.
    pub(crate) async fn keeping(params: serde_json::Value) -> (Self, Keeper) {
        let keeper = Keeper::default();
        (Self::start(params, |ready| keeper.cx(ready)).await, keeper)
    }

    /// Gives the signal to stop.
    pub(crate) fn stop(&self) {
        self.stopper.stop();
    }

    /// Whether it ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops it and waits for its end.
    pub(crate) async fn end(self) {
        self.stop();
        within("the input ends", self.task).await.unwrap().unwrap();
    }

    /// The value of a series, 0 when it does not exist. `labels` as they are written.
    pub(crate) fn metric(&self, series: &str) -> i64 {
        let text = self.metrics.encode();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.unwrap_or(0)
    }

    /// The count of undecodable input with this reason.
    pub(crate) fn invalid(&self, reason: &str) -> i64 {
        self.metric(&format!(
            "weir_invalid_records_total{{reason=\"{reason}\"}}"
        ))
    }
}

/// A connection of a sender.
pub(crate) struct Client(pub(super) TcpStream);

impl Client {
    pub(crate) async fn connect(running: &Running) -> Self {
        Self(TcpStream::connect(running.address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("the input reads", self.0.write_all(bytes))
            .await
            .unwrap();
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: Vec<u8>) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let mut answer = vec![0; bytes.len()];
            let read = timeout(PATIENCE, self.0.read_exact(&mut answer)).await;
            read.unwrap_or_else(|_| panic!("{place}: no answer"))
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(answer, bytes, "{place}");
        }
    }

    /// Closes its side, and reads until the other side closes.
    pub(crate) async fn finish(mut self) -> Vec<u8> {
        self.0.shutdown().await.unwrap();
        let mut rest = Vec::new();
        within("the input closes", self.0.read_to_end(&mut rest))
            .await
            .expect("FIN, not RST");
        rest
    }

    /// The other side closes with FIN, after these bytes.
    pub(crate) async fn expect_fin(&mut self, bytes: &[u8]) {
        let mut rest = Vec::new();
        within("the input closes", self.0.read_to_end(&mut rest))
            .await
            .expect("FIN, not RST");
        assert_eq!(rest, bytes);
    }
}

/// Waits for `future`, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Waits until `found` has something.
pub(crate) async fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = found() {
                return found;
            }
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect()
}

pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

/// Entries with the records `{"n": first}` and so on.
pub(crate) fn numbered(first: u64, count: u64) -> Vec<u8> {
    let entry = |n: u64| {
        encode(&Value::Array(vec![
            1_700_000_001.into(),
            Value::Map(vec![("n".into(), n.into())]),
        ]))
    };
    (first..first + count).flat_map(entry).collect()
}

/// A packed message.
pub(crate) fn packed(tag: &str, blob: &[u8], chunk: Option<&str>) -> Vec<u8> {
    let option = chunk
        .map(|chunk| ("chunk".into(), chunk.into()))
        .into_iter()
        .collect();
    encode(&Value::Array(vec![
        tag.into(),
        Value::Binary(blob.to_vec()),
        Value::Map(option),
    ]))
}

/// The acknowledgement of a chunk.
pub(crate) fn ack(chunk: &str) -> Vec<u8> {
    encode(&Value::Map(vec![("ack".into(), chunk.into())]))
}

/// The numbers of the records of these batches.
pub(crate) fn numbers<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Vec<u64> {
    let records = batches
        .into_iter()
        .flat_map(|batch| sdk::testing::records(&batch.events));
    records
        .map(|record| record["n"].as_u64().expect("a number"))
        .collect()
}
