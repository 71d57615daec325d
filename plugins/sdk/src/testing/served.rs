//! Driving an input that listens: it runs, the test sends to its socket, and what it emits comes back.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Collector, records};
use crate::{
    input::{Input, Ready},
    stop::Stopper,
};

/// How long events may take to come, and the input to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `input`, calls `send` with the address that it says it listens on, and returns tag and record of the events when
/// there are `count`. The input is stopped then.
///
/// # Panics
/// When the events do not come in time, or the input does not end well.
pub async fn received(
    input: Box<dyn Input>,
    count: usize,
    send: impl FnOnce(SocketAddr) + Send + 'static,
) -> Vec<(String, Value)> {
    let said: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    let notice = Arc::clone(&said);
    let ready = Ready::new(move |detail: &str| {
        let address = detail.split_whitespace().find_map(|word| word.parse().ok());
        *notice.lock().unwrap_or_else(PoisonError::into_inner) = address;
    });
    let collector = Collector::default();
    let (stopper, stop) = Stopper::new();
    let task = tokio::spawn(input.run(collector.cx(ready), stop));
    let deadline = Instant::now() + PATIENCE;
    let mut send = Some(send);
    let seen = loop {
        let address = *said.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(address), Some(send)) = (address, send.take_if(|_| address.is_some())) {
            let outcome = tokio::task::spawn_blocking(move || send(address)).await;
            assert!(outcome.is_ok(), "sending failed");
        }
        let seen = events_of(&collector);
        if seen.len() >= count {
            break seen;
        }
        assert!(Instant::now() < deadline, "only {seen:?} came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    stopper.stop();
    let ended = tokio::time::timeout(PATIENCE, task).await;
    assert!(
        matches!(ended, Ok(Ok(Ok(())))),
        "the input ended with {ended:?}"
    );
    seen
}

/// For [`received`]: sends this over one TCP connection.
///
/// # Panics
/// When nobody takes it.
pub fn stream(text: &'static str) -> impl FnOnce(SocketAddr) + Send + 'static {
    move |address| {
        let sent =
            TcpStream::connect(address).and_then(|mut stream| stream.write_all(text.as_bytes()));
        assert!(sent.is_ok(), "{sent:?}");
    }
}

/// For [`received`]: sends these as datagrams from one socket.
///
/// # Panics
/// When they cannot be sent.
pub fn datagrams(texts: &'static [&'static str]) -> impl FnOnce(SocketAddr) + Send + 'static {
    move |address| {
        let sent = UdpSocket::bind("127.0.0.1:0").and_then(|socket| {
            texts
                .iter()
                .try_for_each(|text| socket.send_to(text.as_bytes(), address).map(drop))
        });
        assert!(sent.is_ok(), "{sent:?}");
    }
}

fn events_of(collector: &Collector) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    for batch in collector.batches() {
        let tag = batch.tag.to_string();
        seen.extend(
            records(&batch.events)
                .into_iter()
                .map(|record| (tag.clone(), record)),
        );
    }
    seen
}
