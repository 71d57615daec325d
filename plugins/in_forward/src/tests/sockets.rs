//! Parameters that only the kernel or the log shows: the queue of connections, keepalive packets, warnings of size.

use std::{net::SocketAddr, time::Duration};

use sdk::testing::Logbook;
use serde_json::{Value, json};

use super::kit::*;

/// How many connections the kernel completes while nobody accepts any: this thread runs the input, and waits here.
fn completes(address: SocketAddr, most: usize) -> usize {
    let mut waiting = Vec::new();
    while waiting.len() < most {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            Ok(stream) => waiting.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
                break;
            }
        }
    }
    waiting.len()
}

/// Linux lets one more wait than it is told.
#[tokio::test]
async fn backlog_is_how_many_may_wait_to_be_accepted() {
    for (backlog, expected) in [
        (json!(1), 2),
        (json!(5), 6),
        // 1024 by default: more than are tried here.
        (Value::Null, 50),
    ] {
        let mut params = json!({});
        if !backlog.is_null() {
            params["backlog"] = backlog;
        }
        let (running, _) = Running::collecting(params).await;
        assert_eq!(completes(running.address, 50), expected);
        running.end().await;
    }
}

/// The timer on the input's end of a connection, in the kernel's table: its kind, and when it ends.
fn timer(running: &Running, client: &Client) -> Option<(String, Duration)> {
    let (own, other) = (
        running.address.port(),
        client.0.local_addr().unwrap().port(),
    );
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of the kernel");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |at: usize| u16::from_str_radix(fields[at].split_once(':')?.1, 16).ok();
        if port(1)? != own || port(2)? != other {
            return None;
        }
        let (kind, ends_in) = fields[5].split_once(':')?;
        let hundredths = u64::from_str_radix(ends_in, 16).ok()?;
        Some((kind.to_owned(), Duration::from_millis(hundredths * 10)))
    })
}

#[tokio::test]
async fn send_keepalive_packet_lets_the_kernel_ask() {
    for (params, is_asked) in [
        (json!({}), true),
        (
            json!({ "send_keepalive_packet": true, "deny_keepalive": true }),
            true,
        ),
        (json!({ "send_keepalive_packet": false }), false),
    ] {
        let (running, keeper) = Running::keeping(params.clone()).await;
        let mut client = Client::connect(&running).await;
        // Nothing is answered yet, so the connection stands still.
        client.send(&packed("t", &numbered(0, 1), Some("a"))).await;
        let batch = eventually("the message is taken", || keeper.take()).await;
        // A timer of the last packets may run first; that of keepalive packets is the kind 02.
        let found = eventually("only the timer of keepalive packets is left", || {
            timer(&running, &client).filter(|(kind, _)| kind == "02" || kind == "00")
        })
        .await;
        match found {
            (kind, after) if kind == "02" => {
                assert!(is_asked, "{params}");
                let seconds = after.as_secs_f64();
                assert!((50.0..=61.0).contains(&seconds), "after {seconds} s");
            }
            _ => assert!(!is_asked, "{params}"),
        }
        batch.due.meet();
        client.expect(ack("a")).await;
        drop(client);
        running.end().await;
    }
}

#[tokio::test]
async fn chunk_size_warn_limit_is_said_and_the_message_is_taken() {
    let (logbook, _guard) = Logbook::open(tracing::Level::INFO);
    let message = packed("t", &numbered(0, 100), Some("a"));
    let len = message.len();
    for (limit, is_said) in [(len, false), (len - 1, true)] {
        let (running, collector) =
            Running::collecting(json!({ "chunk_size_warn_limit": limit })).await;
        let mut client = Client::connect(&running).await;
        // Two in one segment: it is the message that is measured, and not what was read.
        client.send(&[&message[..], &message].concat()).await;
        client.expect([ack("a"), ack("a")].concat()).await;
        assert_eq!(numbers(&collector.batches()).len(), 200);
        let text = format!("a message of {len} bytes is larger than chunk_size_warn_limit");
        let lines = logbook.lines(&text);
        assert_eq!(lines.len(), usize::from(is_said), "{lines:?}");
        drop(client);
        running.end().await;
    }
    let line = logbook.lines("chunk_size_warn_limit").remove(0);
    assert!(line.starts_with("WARN source="), "{line}");
}
