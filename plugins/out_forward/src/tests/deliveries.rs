//! Deliveries that go well: to whom, over how many connections, and in which shares.

use std::{fmt::Write as _, net::UdpSocket, time::Duration};

use sdk::{output::Outcome, plugin::BuildCx, testing::frame};
use serde_json::{Value, json};

use super::{
    eventually, numbered, output, run,
    server::{Answers, Script, Server},
    with_context, write,
};
use crate::build;

#[tokio::test]
async fn records_arrive_over_one_connection() {
    let server = Server::start(Answers::Right);
    let output = output(&[server.table()], &json!({}));
    for n in 0..20 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    assert_eq!(server.numbers(), (0..20).collect::<Vec<_>>());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn without_keepalive_each_message_has_a_connection() {
    for acks in [true, false] {
        let server = Server::start(Answers::Right);
        let more = json!({ "keepalive": false, "require_ack_response": acks });
        let output = output(&[server.table()], &more);
        let frames = [
            frame(1, "a", &[json!({ "n": 1 })]),
            frame(2, "b", &[json!({ "n": 2 })]),
        ];
        assert_eq!(write(&output, &frames).await, Outcome::Delivered);
        eventually("both arrive", || server.numbers().len() == 2).await;
        assert_eq!((server.numbers(), server.connections()), (vec![1, 2], 2));
    }
}

#[tokio::test]
async fn without_acknowledgements_no_id_is_sent() {
    let server = Server::start(Answers::Never);
    let output = output(&[server.table()], &json!({ "require_ack_response": false }));
    assert_eq!(write(&output, &[numbered(1)]).await, Outcome::Delivered);
    eventually("it arrives", || server.numbers() == [1]).await;
    assert!(server.messages()[0].chunk.is_none());
    assert!(
        server
            .wire()
            .ends_with(b"\x82\xa4size\x01\xaacompressed\xa4text")
    );
}

#[tokio::test]
async fn a_chunk_that_is_sent_again_has_the_same_bytes() {
    let server = Server::start(Answers::Right);
    let output = output(&[server.table()], &json!({}));
    for _ in 0..2 {
        assert_eq!(write(&output, &[numbered(1)]).await, Outcome::Delivered);
    }
    let wire = server.wire();
    let (first, second) = wire.split_at(wire.len() / 2);
    assert_eq!(first, second);
}

#[tokio::test]
async fn chunks_follow_the_weights() {
    const CHUNKS: usize = 400;
    let servers = [
        Server::start(Answers::Right),
        Server::start(Answers::Right),
        Server::start(Answers::Right),
        Server::start(Answers::Right),
    ];
    let tables: Vec<Value> = servers
        .iter()
        .zip([60, 30, 10, 0])
        .map(|(server, weight)| {
            let mut table = server.table();
            table["weight"] = weight.into();
            table
        })
        .collect();
    let output = output(&tables, &json!({}));
    for n in 0..CHUNKS {
        assert_eq!(
            write(&output, &[numbered(n as u64)]).await,
            Outcome::Delivered
        );
    }
    let counts: Vec<usize> = servers
        .iter()
        .map(|server| server.messages().len())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), CHUNKS);
    for (count, expected) in counts.iter().zip([240, 120, 40, 0]) {
        assert!(count.abs_diff(expected) * 100 <= 5 * expected, "{counts:?}");
    }
}

#[tokio::test]
async fn a_server_that_closes_after_each_message_gets_all() {
    let server = Server::start(Answers::FirstOnly);
    let output = output(&[server.table()], &json!({}));
    let tags = ["a", "b", "c", "d", "e"];
    let frames: Vec<_> = (0..)
        .zip(tags)
        .map(|(n, tag)| frame(n, tag, &[json!({ "n": n })]))
        .collect();
    for _ in 0..2 {
        assert_eq!(write(&output, &frames).await, Outcome::Delivered);
    }
    let mut numbers = server.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
}

#[tokio::test]
async fn an_acknowledgement_that_comes_twice_does_no_harm() {
    let server = Server::start(Answers::Twice);
    let output = output(&[server.table()], &json!({}));
    for n in 0..20 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    assert_eq!(server.numbers(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_large_chunk_is_sent_while_acknowledgements_come() {
    let server = Server::start(Answers::Right);
    let output = output(&[server.table()], &json!({}));
    // Many messages, so that neither side can hold all that the other sends.
    let pad = "x".repeat(10_000);
    let frames: Vec<_> = (0..3_000_u64)
        .map(|n| frame(n, &format!("tag.{n}"), &[json!({ "n": n, "pad": pad })]))
        .collect();
    assert_eq!(write(&output, &frames).await, Outcome::Delivered);
    assert_eq!(server.numbers(), (0..3_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_idle_server_gets_heartbeats_and_a_busy_one_does_not() {
    let server = Server::start(Answers::Right);
    let more = json!({ "heartbeat_interval": "50ms" });
    let output = output(&[server.table()], &more);
    let running = run(&output);
    eventually("five heartbeats", || server.connections() >= 5).await;
    assert!(server.wire().is_empty(), "a heartbeat carries nothing");
    running.stop();
}

#[tokio::test]
async fn heartbeats_over_udp_ask_the_same_port() {
    let server = Server::start(Answers::Right);
    let udp = UdpSocket::bind(("127.0.0.1", server.port)).unwrap();
    let more = json!({ "heartbeat_type": "udp", "heartbeat_interval": "50ms" });
    let output = output(&[server.table()], &more);
    let running = run(&output);
    udp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        let mut bytes = [9; 8];
        (0..3).all(|_| {
            let (len, peer) = udp.recv_from(&mut bytes).unwrap();
            udp.send_to(&[0], peer).unwrap();
            bytes[..len] == [0]
        })
    });
    assert!(asked.await.unwrap());
    assert_eq!(server.connections(), 0);
    running.stop();
}

#[tokio::test]
async fn servers_are_counted() {
    let server = Server::start(Answers::Right);
    let cx = BuildCx::detached("test");
    let mut table = server.table();
    table["name"] = "first".into();
    let output = with_context(&[table], &json!({}), &cx);
    assert_eq!(write(&output, &[numbered(1)]).await, Outcome::Delivered);
    let text = cx.metrics.encode();
    for line in [
        "weir_forward_node_up{node=\"first\"} 1",
        "weir_forward_acks_total{node=\"first\"} 1",
        "weir_forward_messages_total{node=\"first\"} 1",
        "weir_forward_ack_timeouts_total{node=\"first\"} 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn contradictions_are_found_together() {
    let params = json!({
        "server": [
            { "host": "a", "password": "x" },
            { "host": "a" },
        ],
        "transport": "tcp",
        "tls": { "client_cert_path": "x" },
        "ack_response_timeout": "10ms",
        "heartbeat_type": "udp",
        "dns_round_robin": true,
    });
    let errors = build(params, &BuildCx::detached("test")).err().unwrap();
    let mut text = String::new();
    for error in &errors {
        writeln!(text, "{}: {}", error.path, error.message).unwrap();
    }
    let expected = "\
/ack_response_timeout: 10ms is too short for `ack_response_timeout`
/dns_round_robin: `dns_round_robin` and `heartbeat_type = \"udp\"` do not go together: heartbeats would tell of another address than the records take
/transport: `transport = \"tcp\"` has no use for the table `tls`
/server/0: `password` needs the table `security`
/server/1: there are two servers named \"a:24224\"
";
    assert_eq!(text, expected);
    let none = build(json!({}), &BuildCx::detached("test")).err().unwrap();
    assert_eq!(none[0].message, "there is no server");
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let server = Server::follow(Script::new(Answers::Right), 0);
    let table = json!({ "host": "localhost", "port": server.port });
    let output = output(
        &[table],
        &json!({ "expire_dns_cache": 0, "dns_round_robin": true }),
    );
    for n in 0..3 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    assert_eq!(server.numbers(), [0, 1, 2]);
}
