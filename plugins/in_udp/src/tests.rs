//! `udp` with a real socket on loopback, as the engine builds it.

use std::net::{SocketAddr, UdpSocket};

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

fn sender(texts: &'static [&'static str]) -> impl FnOnce(SocketAddr) + Send + 'static {
    move |address| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for text in texts {
            socket.send_to(text.as_bytes(), address).unwrap();
        }
    }
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
        sender(&["one\n", "two\r\n", "a\nb\n\n"]),
    )
    .await;
    assert_eq!(texts(&seen), ["one", "two", "a\nb"]);
    let seen = received(
        none(&json!({ "remove_newline": false })),
        1,
        sender(&["one\n"]),
    )
    .await;
    assert_eq!(texts(&seen), ["one\n"]);
}

#[tokio::test]
async fn long_messages_are_cut_and_the_sender_is_named() {
    let params = json!({ "message_length_limit": 4, "source_address_key": "from", "receive_buffer_size": "64KiB" });
    let seen = received(none(&params), 1, sender(&["long message"])).await;
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
    let seen = received(params(false), 1, sender(&["x", "{\"a\":1}"])).await;
    assert_eq!(seen, [("app".to_owned(), json!({ "a": 1 }))]);
    let seen = received(params(true), 1, sender(&["x"])).await;
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
