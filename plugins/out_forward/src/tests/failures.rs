//! Servers that are away, go away, fall silent or lie.

use std::time::{Duration, Instant};

use sdk::{
    output::{FailureKind, Outcome, Verdict},
    plugin::BuildCx,
    testing::frame,
};
use serde_json::json;

use super::{
    again, down, eventually, numbered, output, run,
    server::{Answers, Script, Server},
    with_context, write,
};

/// Short times, and no heartbeats.
fn quick() -> serde_json::Value {
    json!({ "ack_response_timeout": "1s", "heartbeat_type": "none", "recover_wait": "100ms" })
}

#[tokio::test]
async fn silence_moves_the_chunk_to_a_server_that_answers() {
    let silent = Server::start(Answers::Never);
    let healthy = Server::start(Answers::Right);
    let cx = BuildCx::detached("test");
    let mut table = silent.table();
    table["name"] = "silent".into();
    let more = json!({ "ack_response_timeout": "1s" });
    let output = with_context(&[table, healthy.table()], &more, &cx);
    let running = run(&output);
    let begun = Instant::now();
    let mut failures = Vec::new();
    for n in 0..20 {
        // What the engine does: the same chunk again.
        loop {
            match write(&output, &[numbered(n)]).await {
                Outcome::Delivered => break,
                other => failures.push(again(other)),
            }
        }
    }
    // Only one chunk had to wait; the silent one is left out for the others.
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].kind, FailureKind::Timeout);
    assert_eq!(failures[0].message, "silent: no acknowledgement within 1 s");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(healthy.numbers(), (0..20).collect::<Vec<_>>());
    let text = cx.metrics.encode();
    assert!(
        text.contains("weir_forward_ack_timeouts_total{node=\"silent\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("weir_forward_node_up{node=\"silent\"} 0\n"),
        "{text}"
    );
    running.stop();
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let stays = Server::start(Answers::Right);
    let goes = Server::start(Answers::Right);
    let port = goes.port;
    let more = json!({ "heartbeat_interval": "20ms", "recover_wait": "100ms" });
    let output = output(&[stays.table(), goes.table()], &more);
    let running = run(&output);
    for n in 0..10 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    assert!(!goes.messages().is_empty());
    drop(goes);
    for n in 10..20 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    let back = Server::follow(Script::new(Answers::Right), port);
    let mut n = 20;
    while back.messages().is_empty() {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
        n += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(n < 4_000, "the server is not used again");
    }
    running.stop();
}

#[tokio::test]
async fn one_server_alone_is_asked_again_at_once() {
    let server = Server::start(Answers::Right);
    let port = server.port;
    let output = output(&[server.table()], &json!({}));
    assert_eq!(write(&output, &[numbered(1)]).await, Outcome::Delivered);
    drop(server);
    eventually("the port is closed", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    })
    .await;
    let failure = down(write(&output, &[numbered(2)]).await);
    assert_eq!(failure.kind, FailureKind::Connect);
    assert!(
        failure.message.starts_with(&format!("127.0.0.1:{port}: ")),
        "{failure}"
    );
    let back = Server::follow(Script::new(Answers::Right), port);
    assert_eq!(write(&output, &[numbered(2)]).await, Outcome::Delivered);
    assert_eq!(back.numbers(), [2]);
}

#[tokio::test]
async fn standbys_take_over_and_step_back() {
    let first = Server::start(Answers::Right);
    let second = Server::start(Answers::Right);
    let port = first.port;
    let mut table = second.table();
    table["standby"] = true.into();
    let output = output(&[first.table(), table], &quick());
    assert_eq!(write(&output, &[numbered(1)]).await, Outcome::Delivered);
    drop(first);
    for n in 2..5 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    assert_eq!(second.numbers(), [2, 3, 4]);
    let back = Server::follow(Script::new(Answers::Right), port);
    let mut n = 5;
    while back.messages().is_empty() {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
        n += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(n < 4_000, "the first is not used again");
    }
    let taken = second.messages().len();
    for n in 0..5 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    assert_eq!(second.messages().len(), taken);
}

#[tokio::test]
async fn a_wrong_acknowledgement_is_none() {
    let server = Server::start(Answers::Wrong);
    let output = output(&[server.table()], &quick());
    let failure = again(write(&output, &[numbered(1)]).await);
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert!(
        failure
            .message
            .ends_with("acknowledged something that was not sent"),
        "{failure}"
    );
}

#[tokio::test]
async fn what_was_acknowledged_is_not_sent_again() {
    let server = Server::start(Answers::NotThirteen);
    let output = output(&[server.table()], &quick());
    let frames = [
        frame(1, "a", &[json!({ "n": 1 }), json!({ "n": 2 })]),
        frame(2, "b", &[json!({ "n": 13 }), json!({ "n": 3 })]),
    ];
    let Outcome::Except(exceptions) = write(&output, &frames).await else {
        panic!("one message arrived and one did not");
    };
    let indexes: Vec<u32> = exceptions.iter().map(|(index, _)| *index).collect();
    assert_eq!(indexes, [2, 3]);
    for (_, verdict) in exceptions {
        assert!(
            matches!(verdict, Verdict::Retry(None, failure) if failure.kind == FailureKind::Connect)
        );
    }
    assert_eq!(server.numbers(), [1, 2]);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let server = Server::start(Answers::Right);
    let port = server.port;
    let output = output(&[server.table()], &quick());
    for n in 0..5 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    drop(server);
    let back = eventually_back(port).await;
    assert_eq!(write(&output, &[numbered(9)]).await, Outcome::Delivered);
    assert_eq!(back.numbers(), [9]);
}

async fn eventually_back(port: u16) -> Server {
    eventually("the port is closed", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    })
    .await;
    Server::follow(Script::new(Answers::Right), port)
}

#[tokio::test]
async fn nobody_there_spares_the_attempts() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let tables = [
        json!({ "host": "127.0.0.1", "port": port }),
        json!({ "host": "weir.invalid" }),
    ];
    let output = output(&tables, &quick());
    let failure = down(write(&output, &[numbered(1)]).await);
    for part in [
        "127.0.0.1",
        "weir.invalid:24224: the name cannot be looked up",
    ] {
        assert!(failure.message.contains(part), "{failure}");
    }
}
