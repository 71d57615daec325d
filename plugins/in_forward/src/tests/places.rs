//! Heartbeats by UDP, and the Unix socket.

use std::{net::UdpSocket, os::unix::fs::PermissionsExt as _};

use sdk::testing::Collector;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use super::kit::*;

fn asks(asked: std::net::SocketAddr, datagrams: &[&[u8]]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for datagram in datagrams {
        socket.send_to(datagram, asked).unwrap();
        let mut answer = [7; 9];
        let (len, from) = socket.recv_from(&mut answer).expect("an answer");
        assert_eq!((&answer[..len], from), (&[0][..], asked));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_are_answered_with_one_zero_byte_from_the_address_that_was_asked() {
    let collector = Collector::default();
    let everywhere = |settings: &mut crate::settings::Settings| {
        settings.place = crate::settings::Place::Tcp("0.0.0.0:0".parse().unwrap());
    };
    let running = Running::start_with(json!({}), everywhere, |ready| collector.cx(ready)).await;
    let port = running.address.port();
    for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        let asked = std::net::SocketAddr::new(ip.parse().unwrap(), port);
        let answered = tokio::task::spawn_blocking(move || {
            asks(asked, &[b"", b"\0", &[1; 128], &[2; 500]]);
        });
        answered.await.unwrap();
    }
    running.end().await;
}

#[tokio::test]
async fn heartbeats_can_be_left_out() {
    let (running, _) = Running::collecting(json!({ "udp_heartbeat": false })).await;
    UdpSocket::bind(running.address).expect("the port is free for UDP");
    running.end().await;
}

#[tokio::test]
async fn a_unix_socket_speaks_the_whole_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fluent.sock");
    // The file of a process that is gone.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let params = json!({ "path": path, "unix_perm": "660", "source_address_key": "from" });
    let collector = Collector::default();
    let running = Running::start_at(params, |ready| collector.cx(ready)).await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut client = UnixStream::connect(&path).await.unwrap();
    client
        .write_all(&packed("t", &numbered(4, 2), Some("a")))
        .await
        .unwrap();
    let mut answer = vec![0; ack("a").len()];
    within("an answer", client.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, ack("a"));
    assert_eq!(numbers(&collector.batches()), [4, 5]);
    let (_stopper, stop) = sdk::stop::Stopper::new();
    let second = crate::listener::run(
        crate::settings::Settings::new(
            serde_json::from_value(json!({ "path": path })).unwrap(),
            "h",
            None,
        )
        .unwrap(),
        collector.cx(sdk::input::Ready::new(|_| panic!("the path is in use"))),
        stop,
    );
    let error = within("it fails", second).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("listen on the Unix socket {}: ", path.display())),
        "{error}"
    );
    drop(client);
    running.end().await;
    assert!(!path.exists());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "kept").unwrap();
    assert!(crate::unix::Bound::new(&path, None, 1, &sdk::sockets::Sockets::detached()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
}
