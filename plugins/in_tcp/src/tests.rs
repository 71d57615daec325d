//! `tcp` with a real socket on loopback, as the engine builds it.

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

#[tokio::test]
async fn messages_are_parsed_and_say_who_sent_them() {
    let params = json!({
        "tag": "app", "listen": "127.0.0.1:0", "parse": { "type": "json" },
        "source_address_key": "address", "emit_unmatched_lines": true,
    });
    let seen = received(
        params,
        3,
        testing::stream("{\"a\":1}\nno json\n{\"address\":\"forged\"}"),
    )
    .await;
    let expected = [
        json!({ "a": 1, "address": "127.0.0.1" }),
        json!({ "unmatched_line": "no json", "address": "127.0.0.1" }),
        json!({ "address": "127.0.0.1" }),
    ];
    assert_eq!(seen, expected.map(|record| ("app".to_owned(), record)));
}

#[tokio::test]
async fn the_delimiter_is_what_the_configuration_says_and_long_messages_are_cut() {
    let params = json!({
        "tag": "app", "bind": "127.0.0.1", "port": 0, "parse": { "type": "none" }, "delimiter": "||",
        "message_length_limit": 5,
    });
    let seen = received(params, 3, testing::stream("a\nb||long message||c||")).await;
    let texts: Vec<_> = seen
        .iter()
        .map(|(_, record)| record["message"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["a\nb", "long ", "c"]);
}

#[tokio::test]
async fn messages_that_cannot_be_read_are_dropped_by_default() {
    let params = json!({ "tag": "app", "listen": "127.0.0.1:0", "parse": { "type": "json" } });
    let seen = received(params, 1, testing::stream("x\n{\"a\":1}\n")).await;
    assert_eq!(seen, [("app".to_owned(), json!({ "a": 1 }))]);
}

#[test]
fn what_is_wrong_is_found_at_its_place() {
    let params = json!({
        "tag": "app", "bind": "nowhere", "delimiter": "", "parse": { "type": "none", "types": "a:b" },
        "tls": { "cert_path": "a", "private_key_path": "b", "client_cert_auth": true },
    });
    let paths: Vec<_> = try_build(params)
        .err()
        .unwrap()
        .into_iter()
        .map(|error| error.path)
        .collect();
    assert_eq!(
        paths,
        [
            "/bind",
            "/delimiter",
            "/tls/client_cert_auth",
            "/parse/types"
        ]
    );
}
