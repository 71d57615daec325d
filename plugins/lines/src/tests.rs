//! The servers with real sockets on loopback.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use sdk::{
    event::{Tag, Time},
    input::Ready,
    msgpack::write,
    stop::Stopper,
    testing::{Collector, records},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes one event of each message.
struct Plain;

impl Take for Plain {
    fn take(&self, message: &Message<'_>, _report: &Report, gather: &mut Gather) {
        let mut record = Vec::new();
        write::map(&mut record, 1);
        write::str(&mut record, "m");
        write::str_bytes(&mut record, message.bytes);
        set_fields(&mut record, &[("from", &message.peer.host)]);
        gather.add(&Tag::new("t"), Time::from_secs(0), &record);
    }
}

struct Running {
    address: SocketAddr,
    collector: Collector,
    stopper: Stopper,
    task: JoinHandle<Result<(), sdk::RunError>>,
}

fn streams(framing: Framing) -> StreamSettings {
    StreamSettings {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        backlog: 16,
        tls: None,
        framing,
        limit_bytes: 1000,
        max_connections: 100,
        idle_timeout: None,
        keepalive: true,
        resolve_hostname: false,
    }
}

async fn start<F>(run: impl FnOnce(sdk::input::InputCx, sdk::stop::Stop) -> F) -> Running
where
    F: Future<Output = Result<(), sdk::RunError>> + Send + 'static,
{
    let said = Arc::new(Mutex::new(None));
    let notice = Arc::clone(&said);
    let ready = Ready::new(move |detail: &str| {
        let address = detail.split_whitespace().find_map(|word| word.parse().ok());
        *notice.lock().unwrap() = address;
    });
    let collector = Collector::default();
    let (stopper, stop) = Stopper::new();
    let task = tokio::spawn(run(collector.cx(ready), stop));
    let address = wait_for(|| *said.lock().unwrap()).await;
    Running {
        address,
        collector,
        stopper,
        task,
    }
}

async fn serve(settings: StreamSettings) -> Running {
    start(|cx, stop| serve_streams(settings, Arc::new(Plain), cx, stop)).await
}

async fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap()
}

impl Running {
    fn seen(&self) -> Vec<Value> {
        let batches = self.collector.batches();
        batches
            .iter()
            .flat_map(|batch| records(&batch.events))
            .collect()
    }

    async fn wait_for(&self, messages: &[&str]) {
        let expected: Vec<_> = messages
            .iter()
            .map(|text| json!({ "m": text, "from": "127.0.0.1" }))
            .collect();
        wait_for(|| (self.seen().len() >= expected.len()).then_some(())).await;
        assert_eq!(self.seen(), expected);
    }

    async fn stop(self) {
        self.stopper.stop();
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

fn line_feed() -> Framing {
    Framing::Delimiter(b"\n".to_vec())
}

#[tokio::test]
async fn lines_of_a_stream_become_events_and_the_last_needs_no_end() {
    let server = serve(streams(line_feed())).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"one\ntw").await.unwrap();
    server.wait_for(&["one"]).await;
    client.write_all(b"o\nthree").await.unwrap();
    client.shutdown().await.unwrap();
    server.wait_for(&["one", "two", "three"]).await;
    server.stop().await;
}

#[tokio::test]
async fn a_stop_takes_what_was_sent_and_leaves_nothing_running() {
    let server = serve(streams(Framing::OctetCount)).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"3 abc").await.unwrap();
    server.wait_for(&["abc"]).await;
    let collector = server.collector.clone();
    client.write_all(b"3 def").await.unwrap();
    server.stop().await;
    let last = collector
        .batches()
        .last()
        .map(|batch| records(&batch.events));
    assert_eq!(last, Some(vec![json!({ "m": "def", "from": "127.0.0.1" })]));
}

#[tokio::test]
async fn a_stream_without_lengths_is_closed() {
    let server = serve(streams(Framing::OctetCount)).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"3 abcxyz").await.unwrap();
    let ended = timeout(PATIENCE, client.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    server.wait_for(&["abc"]).await;
    server.stop().await;
}

#[tokio::test]
async fn silent_connections_and_those_over_the_limit_are_closed() {
    let settings = StreamSettings {
        max_connections: 1,
        idle_timeout: Some(Duration::from_millis(300)),
        ..streams(line_feed())
    };
    let server = serve(settings).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"a\n").await.unwrap();
    server.wait_for(&["a"]).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let ended = timeout(PATIENCE, second.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    let ended = timeout(PATIENCE, first.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    server.stop().await;
}

#[tokio::test]
async fn datagrams_become_events_and_long_ones_are_cut() {
    let settings = DatagramSettings {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        limit_bytes: 4,
        receive_buffer_bytes: Some(1 << 20),
        resolve_hostname: false,
    };
    let server = start(|cx, stop| serve_datagrams(settings, Arc::new(Plain), cx, stop)).await;
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for text in ["one", "two\n", "three"] {
        client.send_to(text.as_bytes(), server.address).unwrap();
    }
    server.wait_for(&["one", "two\n", "thre"]).await;
    server.stop().await;
}

#[tokio::test]
async fn many_datagrams_in_a_burst_arrive_in_order() {
    let settings = DatagramSettings {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        limit_bytes: 100,
        receive_buffer_bytes: Some(4 << 20),
        resolve_hostname: false,
    };
    let server = start(|cx, stop| serve_datagrams(settings, Arc::new(Plain), cx, stop)).await;
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let texts: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    for text in &texts {
        client.send_to(text.as_bytes(), server.address).unwrap();
    }
    server
        .wait_for(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    server.stop().await;
}
