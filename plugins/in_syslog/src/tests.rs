//! `syslog` with real sockets on loopback, as the engine builds it.

use std::net::SocketAddr;

use sdk::testing;
use serde_json::{Value, json};

use super::*;

fn try_build(params: Value) -> Result<Box<dyn Input>, ConfigErrors> {
    static PARSERS: &[&Descriptor] = &[&parsers::none::PLUGIN, &parsers::syslog::PLUGIN];
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

fn syslog(more: &Value) -> Value {
    let mut params = json!({ "tag": "system", "listen": "127.0.0.1:0" });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    params
}

fn old() -> (String, Value) {
    let record =
        json!({ "host": "web1", "ident": "su", "pid": "7", "message": "failed for alice" });
    ("system.auth.crit".to_owned(), record)
}

fn new() -> (String, Value) {
    let record = json!({
        "host": "web2", "ident": "app", "pid": "8", "msgid": "ID1", "extradata": "[a b=\"c\"]", "message": "two\nlines",
    });
    ("system.local4.notice".to_owned(), record)
}

const OLD: &str = "<34>Jan 10 11:59:59 web1 su[7]: failed for alice";
const NEW: &str = "<165>1 2026-01-10T11:59:59.5Z web2 app 8 ID1 [a b=\"c\"] two\nlines";

/// `OLD` without its priority.
const BARE: &str = "Jan 10 11:59:59 web1 su[7]: failed for alice";

fn sorted(mut seen: Vec<(String, Value)>) -> Vec<(String, Value)> {
    seen.sort_by(|left, right| left.0.cmp(&right.0));
    seen
}

#[tokio::test]
async fn datagrams_of_both_forms_are_read() {
    let seen = received(syslog(&json!({})), 2, testing::datagrams(&[OLD, NEW])).await;
    assert_eq!(sorted(seen), [old(), new()]);
}

#[tokio::test]
async fn streams_are_framed_by_lines_and_by_lengths() {
    let stream = format!("{OLD}\n{} {NEW}{OLD}\r\n", NEW.len());
    let stream: &'static str = stream.leak();
    let seen = received(
        syslog(&json!({ "protocol_type": "tcp" })),
        3,
        testing::stream(stream),
    )
    .await;
    assert_eq!(sorted(seen), [old(), old(), new()]);
    let counted = json!({ "protocol_type": "tcp", "frame_type": "octet_count" });
    let stream: &'static str = format!("{} {NEW}", NEW.len()).leak();
    let seen = received(syslog(&counted), 1, testing::stream(stream)).await;
    assert_eq!(seen, [new()]);
    let lines = json!({ "protocol_type": "tcp", "frame_type": "traditional", "delimiter": "\0" });
    let stream: &'static str = format!("{NEW}\0{OLD}\0").leak();
    let seen = received(syslog(&lines), 2, testing::stream(stream)).await;
    assert_eq!(sorted(seen), [old(), new()]);
}

#[tokio::test]
async fn severity_facility_and_sender_are_written_where_that_is_asked_for() {
    let params = json!({
        "severity_key": "severity", "facility_key": "facility", "source_address_key": "from",
        "parse": { "type": "syslog", "with_priority": true, "message_format": "rfc3164" },
    });
    let seen = received(syslog(&params), 1, testing::datagrams(&[OLD])).await;
    let (tag, mut record) = old();
    record["from"] = "127.0.0.1".into();
    record["severity"] = "crit".into();
    record["facility"] = "auth".into();
    assert_eq!(seen, [(tag, record)]);
}

#[tokio::test]
async fn another_parser_gets_what_is_behind_the_priority() {
    let params = json!({ "parse": { "type": "none" } });
    let seen = received(syslog(&params), 1, testing::datagrams(&["<13>any text\n"])).await;
    assert_eq!(
        seen,
        [(
            "system.user.notice".to_owned(),
            json!({ "message": "any text" })
        )]
    );
}

#[tokio::test]
async fn what_cannot_be_read_has_a_tag_of_its_own_or_is_dropped() {
    let params = json!({ "emit_unmatched_lines": true, "source_address_key": "from" });
    let seen = received(
        syslog(&params),
        2,
        testing::datagrams(&["no priority", "<34>no time\n"]),
    )
    .await;
    let unmatched = |text: &str| {
        let record = json!({ "unmatched_line": text, "from": "127.0.0.1" });
        ("system.unmatched".to_owned(), record)
    };
    assert_eq!(seen, [unmatched("no priority"), unmatched("<34>no time\n")]);
    let seen = received(
        syslog(&json!({})),
        1,
        testing::datagrams(&["no priority", "", "\n", OLD]),
    )
    .await;
    assert_eq!(seen, [old()]);
    let without = json!({ "with_priority": false });
    let seen = received(syslog(&without), 1, testing::datagrams(&[BARE])).await;
    assert_eq!(seen, [("system.user.notice".to_owned(), old().1)]);
}

#[test]
fn what_is_wrong_is_found_at_its_place() {
    let paths = |more: Value| -> Vec<String> {
        let errors = try_build(syslog(&more)).err().unwrap();
        errors.into_iter().map(|error| error.path).collect()
    };
    assert_eq!(paths(json!({ "protocol_type": "tls" })), ["/protocol_type"]);
    let tls = json!({ "cert_path": "a", "private_key_path": "b" });
    assert_eq!(
        paths(json!({ "protocol_type": "tcp", "tls": tls })),
        ["/tls"]
    );
    assert_eq!(
        paths(json!({ "protocol_type": "tcp", "delimiter": "" })),
        ["/delimiter"]
    );
    assert_eq!(
        paths(json!({ "parse": { "type": "syslog", "time_format": "%K" } })),
        ["/parse/time_format"]
    );
    assert!(try_build(syslog(&json!({ "tls": tls }))).is_ok());
}
