//! `udp` with a real socket on loopback, as the engine builds it.

use std::net::SocketAddr;

use sdk::testing;
use serde_json::{Value, json};

use super::*;

fn try_build(params: Value) -> Result<Box<dyn Input>, ConfigErrors> {
    static PARSERS: &[&Descriptor] = &[&parsers::json::PLUGIN, &parsers::none::PLUGIN];
    let cx = BuildCx {
        plugins: PARSERS,
        ..BuildCx::detached("test")
    };
    build(params, &cx)
}

/// The events that the source of `params` makes of what `send` sends.
async fn received(
    params: Value,
    count: usize,
    send: impl FnOnce(SocketAddr) + Send + 'static,
) -> Vec<(String, Value)> {
    let input = try_build(params).unwrap_or_else(|errors| panic!("{errors:?}"));
    testing::received(input, count, send).await
}

fn none(more: &Value) -> Value {
    let mut params = json!({ "tag": "app", "listen": "127.0.0.1:0", "parse": { "type": "none" } });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    params
}

#[track_caller]
fn texts(seen: &[(String, Value)]) -> Vec<&str> {
    seen.iter()
        .map(|(_, record)| record["message"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn each_datagram_is_a_message() {
    let seen = received(
        none(&json!({})),
        3,
        testing::datagrams(&["one\n", "two\r\n", "a\nb\n\n"]),
    )
    .await;
    assert_eq!(texts(&seen), ["one", "two", "a\nb"]);
    let seen = received(
        none(&json!({ "remove_newline": false })),
        1,
        testing::datagrams(&["one\n"]),
    )
    .await;
    assert_eq!(texts(&seen), ["one\n"]);
}

#[tokio::test]
async fn long_messages_are_cut_and_the_sender_is_named() {
    let params = json!({ "message_length_limit": 4, "source_address_key": "from", "receive_buffer_size": "64KiB" });
    let seen = received(none(&params), 1, testing::datagrams(&["long message"])).await;
    assert_eq!(
        seen,
        [(
            "app".to_owned(),
            json!({ "message": "long", "from": "127.0.0.1" })
        )]
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_dropped_or_kept() {
    let params = |keep: bool| {
        json!({
            "tag": "app", "listen": "127.0.0.1:0", "parse": { "type": "json" }, "emit_unmatched_lines": keep,
        })
    };
    let seen = received(params(false), 1, testing::datagrams(&["x", "{\"a\":1}"])).await;
    assert_eq!(seen, [("app".to_owned(), json!({ "a": 1 }))]);
    let seen = received(params(true), 1, testing::datagrams(&["x"])).await;
    assert_eq!(seen, [("app".to_owned(), json!({ "unmatched_line": "x" }))]);
}

#[test]
fn what_is_wrong_is_found_at_its_place() {
    let params = json!({ "tag": "app", "bind": "nowhere", "parse": { "type": "nothing" } });
    let paths: Vec<_> = try_build(params)
        .err()
        .unwrap()
        .into_iter()
        .map(|error| error.path)
        .collect();
    assert_eq!(paths, ["/bind", "/parse/type"]);
}
