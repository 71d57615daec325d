//! How long connections are waited for and kept: what each time limit does on its own.

use std::{net::SocketAddr, time::Instant};

use sdk::output::{FailureKind, Outcome};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::Duration,
};

use super::{
    again, down, eventually, kernel, numbered, output, run,
    server::{Answers, Server},
    write,
};

fn calm(more: &Value) -> Value {
    let mut params = json!({ "heartbeat_type": "none" });
    let all = params.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    params
}

fn at(port: u16) -> Value {
    json!({ "host": "127.0.0.1", "port": port })
}

/// A server whose socket takes a little and whose process reads nothing.
#[tokio::test]
async fn send_timeout_gives_up_a_server_that_takes_no_bytes() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(8).unwrap();
    let port = listener.local_addr().unwrap().port();
    let more = calm(&json!({ "send_timeout": "300ms", "ack_response_timeout": "1h" }));
    let output = output(&[at(port)], &more);
    let pad = "x".repeat(1 << 20);
    let frames: Vec<_> = (0..32)
        .map(|n| sdk::testing::frame(n, "t", &[json!({ "pad": pad })]))
        .collect();
    let begun = Instant::now();
    let failure = again(write(&output, &frames).await);
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_eq!(
        failure.message,
        format!("127.0.0.1:{port}: took no bytes for 0.3 s")
    );
    assert!(begun.elapsed() >= Duration::from_millis(300));
    drop(listener);
}

/// A server whose queue of connections is full answers no SYN: for the client it is a host that is not there.
#[tokio::test]
async fn connect_timeout_gives_up_a_server_that_does_not_answer() {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))
    {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue has no end");
    }
    let more = calm(&json!({ "connect_timeout": "250ms" }));
    let output = output(&[at(address.port())], &more);
    let begun = Instant::now();
    let failure = down(write(&output, &[numbered(1)]).await);
    assert_eq!(failure.kind, FailureKind::Connect);
    assert_eq!(
        failure.message,
        format!("{address}: no connection within 0.25 s")
    );
    assert!(begun.elapsed() >= Duration::from_millis(250));
}

/// Beside one that is kept for ever, which shows that nothing else closes it.
#[tokio::test]
async fn keepalive_timeout_closes_what_is_idle() {
    let (short, long) = (Server::start(Answers::Right), Server::start(Answers::Right));
    let often = json!({ "heartbeat_interval": "10ms" });
    let kept = output(&[long.table()], &calm(&often));
    let mut more = calm(&often);
    more["keepalive_timeout"] = "100ms".into();
    let closing = output(&[short.table()], &more);
    let running = [run(&kept), run(&closing)];
    for n in 1..=2 {
        assert_eq!(write(&kept, &[numbered(n)]).await, Outcome::Delivered);
        assert_eq!(write(&closing, &[numbered(n)]).await, Outcome::Delivered);
        eventually("the idle connection is closed", || short.open() == 0).await;
        assert_eq!(long.open(), 1);
    }
    assert_eq!((short.connections(), long.connections()), (2, 1));
    running.iter().for_each(sdk::stop::Stopper::stop);
}

/// `None` when no timer for keepalive packets runs on the output's end of its one connection.
async fn keepalive_timer(more: &Value) -> Option<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = output(&[at(port)], &calm(more));
    let accepting = async {
        let (stream, peer) = listener.accept().await.unwrap();
        eventually("the message is there and nothing is under way", || {
            kernel::end(port, peer.port()).is_some_and(|here| here.unread > 0)
                && kernel::end(peer.port(), port).is_some_and(|there| there.unsent == 0)
        })
        .await;
        let there = kernel::end(peer.port(), port).unwrap();
        drop(stream);
        (there.timer == "02").then(|| Duration::from_millis(there.ends_in * 10))
    };
    let frames = [numbered(1)];
    tokio::join!(accepting, write(&output, &frames)).0
}

#[tokio::test]
async fn send_keepalive_packet_lets_the_kernel_ask() {
    for more in [json!({}), json!({ "send_keepalive_packet": true })] {
        let timer = keepalive_timer(&more).await.expect("a timer runs");
        let seconds = timer.as_secs_f64();
        assert!((50.0..=61.0).contains(&seconds), "after {seconds} s");
    }
    let without = keepalive_timer(&json!({ "send_keepalive_packet": false })).await;
    assert_eq!(without, None);
}
