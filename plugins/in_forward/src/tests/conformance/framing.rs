//! Framing: many messages, values that are none, other protocols, JSON, keepalive.

use serde_json::json;

use super::*;

#[tokio::test]
async fn c32_five_thousand_messages_in_one_write() {
    let (running, collector) = Running::collecting(none()).await;
    keeps(
        &running,
        unhex("93a174ce6553f10181a16d01").repeat(5_000),
        vec![],
    )
    .await;
    assert_eq!(events(&collector), vec![one("t"); 5_000]);
    running.end().await;
}

#[tokio::test]
async fn c33_values_that_are_no_messages_are_passed_over_but_not_for_ever() {
    let (running, collector) = Running::collecting(none()).await;
    let strays = ["c0", "80", "01", "a3616263", "c3"].map(unhex).concat();
    let message = unhex("93a174ce6553f10181a16d01");
    keeps(
        &running,
        [&message[..], &strays, &message, &strays].concat(),
        vec![],
    )
    .await;
    assert_eq!(events(&collector), [one("t"), one("t")]);
    assert_eq!(running.invalid("no_message"), 8);
    closes(&running, [unhex("c3").repeat(17), message].concat(), vec![]).await;
    assert_eq!(events(&collector).len(), 2);
    assert_eq!(running.invalid("no_messages"), 1);
    running.end().await;
}

#[tokio::test]
async fn c35_what_came_before_garbage_is_acknowledged() {
    let (running, collector) = Running::collecting(none()).await;
    let bytes = unhex("94a174ce6553f10181a16d0181a56368756e6ba3616263c1");
    closes(&running, bytes, unhex("81a361636ba3616263")).await;
    assert_eq!(events(&collector), [one("t")]);
    assert_eq!(running.invalid("malformed"), 1);
    running.end().await;
}

#[tokio::test]
async fn c36_http_and_tls_are_closed_at_once() {
    let (running, collector) = Running::collecting(none()).await;
    let request = b"GET / HTTP/1.1\r\nHost: weir.example\r\nUser-Agent: test\r\n\r\n";
    closes(&running, request.to_vec(), vec![]).await;
    closes(&running, unhex("16030100c8010000c40303"), vec![]).await;
    assert_eq!((running.invalid("http"), running.invalid("tls")), (1, 1));
    assert_eq!(running.invalid("no_message"), 0);
    assert_eq!(events(&collector).len(), 0);
    running.end().await;
}

#[tokio::test]
async fn c45_denied_keepalive_acknowledges_what_came_together() {
    let (running, collector) = Running::collecting(json!({ "deny_keepalive": true })).await;
    let two = ["a", "b"]
        .map(|name| packed("t", &numbered(0, 1), Some(name)))
        .concat();
    closes(&running, two, [ack("a"), ack("b")].concat()).await;
    assert_eq!(events(&collector).len(), 2);
    running.end().await;
}

#[tokio::test]
async fn c46_json_is_answered_in_json_without_a_line_break() {
    let (running, collector) = Running::collecting(none()).await;
    let one_message = br#"["t",1700000001,{"m":1},{"chunk":"j"}]"#;
    let mut client = Client::connect(&running).await;
    client.send(one_message).await;
    client.expect(br#"{"ack":"j"}"#.to_vec()).await;
    let two = br#"["t",1700000001,{"m":1},{"chunk":"j1"}]["t",1700000001,{"m":1},{"chunk":"j2"}]"#;
    client.send(two).await;
    assert_eq!(client.finish().await, br#"{"ack":"j1"}{"ack":"j2"}"#);
    assert_eq!(events(&collector), [one("t"), one("t"), one("t")]);
    running.end().await;
}

#[tokio::test]
async fn c47_json_with_floats_comments_double_keys_and_cut_characters() {
    let (running, collector) = Running::collecting(none()).await;
    let text = "[\"t\", 1700000001.25, /* why */ {\"m\": 1, \"m\": \"\u{20ac}\u{1f600}\"}, {\"chunk\": 7}] // the end\n";
    let bytes = text.as_bytes();
    keeps_json(&running, bytes, br#"{"ack":7}"#).await;
    let expected = "t 1700000001.250000000 {\"m\":\"\u{20ac}\u{1f600}\"}".to_owned();
    assert_eq!(events(&collector), [expected]);
    running.end().await;
}

/// Sends JSON over a connection of its own, which must go on behind it.
async fn keeps_json(running: &Running, bytes: &[u8], answer: &[u8]) {
    let mut client = Client::connect(running).await;
    client.send(bytes).await;
    client.expect(answer.to_vec()).await;
    client.send(br#"["KEEP",1,{},{"chunk":"keep"}]"#).await;
    assert_eq!(client.finish().await, br#"{"ack":"keep"}"#);
}
