//! Bad input: counted by reason, closed with FIN, and other senders undisturbed.

use rmpv::Value;
use serde_json::json;

use super::kit::*;

#[tokio::test]
async fn undecodable_input_is_counted_and_closed() {
    let (running, collector) = Running::collecting(json!({ "chunk_size_limit": "1MiB" })).await;
    let mut honest = Client::connect(&running).await;
    let cases: [(&str, Vec<u8>); 7] = [
        ("malformed", vec![0xc1; 4096]),
        ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (
            "tls",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ),
        ("json", br#"["t",1,{"m":}]"#.to_vec()),
        ("too_large", vec![0x92, 0xa1, b't', 0xc6, 0x80, 0, 0, 0]),
        (
            "too_deep",
            [vec![0x93, 0xa1, b't', 0x01], vec![0x91; 10_000]].concat(),
        ),
        ("no_messages", vec![7; 100]),
    ];
    for (number, (reason, bytes)) in cases.into_iter().enumerate() {
        let mut bad = Client::connect(&running).await;
        bad.send(&bytes).await;
        bad.expect_fin(&[]).await;
        assert_eq!(running.invalid(reason), 1, "{reason}");
        let name = number.to_string();
        honest
            .send(&packed("t", &numbered(0, 1), Some(&name)))
            .await;
        honest.expect(ack(&name)).await;
    }
    assert_eq!(running.invalid("no_message"), 16);
    assert_eq!(collector.batches().len(), 7);
    running.end().await;
}

#[tokio::test]
async fn what_came_before_the_garbage_is_answered() {
    let (running, keeper) = Running::keeping(json!({})).await;
    let mut client = Client::connect(&running).await;
    client
        .send(&[packed("t", &numbered(0, 1), Some("a")), vec![0xc1; 9]].concat())
        .await;
    eventually("the good message", || keeper.take())
        .await
        .due
        .meet();
    client.expect_fin(&ack("a")).await;
    running.end().await;
}

#[tokio::test]
async fn a_message_that_is_cut_off_is_counted_and_not_taken() {
    let (running, collector) = Running::collecting(json!({})).await;
    let mut client = Client::connect(&running).await;
    let message = packed("t", &numbered(0, 10), Some("a"));
    client.send(&message[..message.len() - 3]).await;
    drop(client);
    eventually("it is counted", || {
        (running.invalid("truncated") == 1).then_some(())
    })
    .await;
    assert_eq!(collector.batches().len(), 0);
    running.end().await;
}

#[tokio::test]
async fn a_connection_without_a_byte_is_no_error() {
    let (running, _) = Running::collecting(json!({})).await;
    drop(Client::connect(&running).await);
    let closed = "weir_forward_connections_closed_total{direction=\"in\",reason=\"closed\"}";
    eventually("it is closed", || {
        (running.metric(closed) == 1).then_some(())
    })
    .await;
    assert_eq!(running.invalid("truncated"), 0);
    running.end().await;
}

#[tokio::test]
async fn invalid_events_are_dropped_alone_and_the_message_is_answered() {
    let (running, collector) = Running::collecting(json!({})).await;
    let mut client = Client::connect(&running).await;
    let bad = encode(&Value::Array(vec![1.into(), "not a map".into()]));
    let blob = [numbered(0, 2), bad, encode(&7.into()), numbered(2, 2)].concat();
    client.send(&packed("t", &blob, Some("a"))).await;
    client.expect(ack("a")).await;
    assert_eq!(numbers(&collector.batches()), [0, 1, 2, 3]);
    assert_eq!(
        (running.invalid("record"), running.invalid("entry")),
        (1, 1)
    );
    client
        .send(&packed("t", &encode(&7.into()), Some("nothing is left")))
        .await;
    client.expect(ack("nothing is left")).await;
    assert_eq!(collector.batches().len(), 1);
    running.end().await;
}

#[tokio::test]
async fn a_message_that_stands_still_is_given_up_and_a_silent_connection_is_not() {
    let (running, _) = Running::collecting(json!({ "message_timeout": "100ms" })).await;
    let (mut silent, mut slow) = (
        Client::connect(&running).await,
        Client::connect(&running).await,
    );
    slow.send(&packed("t", &numbered(0, 10), Some("a"))[..20])
        .await;
    slow.expect_fin(&[]).await;
    silent.send(&packed("t", &numbered(0, 1), Some("b"))).await;
    silent.expect(ack("b")).await;
    running.end().await;
    let (running, _) = Running::collecting(json!({ "idle_timeout": "100ms" })).await;
    Client::connect(&running).await.expect_fin(&[]).await;
    running.end().await;
}

/// fluent-logger-node sends chunk ids always, and may never read.
#[tokio::test]
async fn acknowledgements_that_nobody_reads_do_not_stop_reading() {
    let (running, collector) = Running::collecting(json!({})).await;
    let mut client = Client::connect(&running).await;
    let chunk = "c".repeat(200_000);
    let message = packed("t", &numbered(0, 1), Some(&chunk));
    for _ in 0..1_200 {
        client.send(&message).await;
    }
    eventually("every message is taken", || {
        (collector.batches().len() == 1_200).then_some(())
    })
    .await;
    let dropped = "weir_forward_acks_dropped_total{direction=\"in\"}";
    eventually("acks are dropped", || {
        (running.metric(dropped) > 0).then_some(())
    })
    .await;
    drop(client);
    running.end().await;
}
