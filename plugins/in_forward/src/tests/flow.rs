//! Messages, acknowledgements and their order, stopping.

use serde_json::json;

use super::kit::*;

#[tokio::test]
async fn acknowledges_byte_for_byte_in_every_mode() {
    let (running, collector) = Running::collecting(json!({})).await;
    let mut client = Client::connect(&running).await;
    for (message, answer) in [
        (
            "94a174ce6553f10181a16d0181a56368756e6ba3616263",
            "81a361636ba3616263",
        ),
        (
            "93a1749192ce6553f10181a16d0181a56368756e6bc4020102",
            "81a361636bc4020102",
        ),
        (
            "93a174c40a92ce6553f10181a16d0181a56368756e6bda000161",
            "81a361636bda000161",
        ),
        ("93a1749081a56368756e6b07", "81a361636b07"),
    ] {
        client.send(&unhex(message)).await;
        client.expect(unhex(answer)).await;
    }
    client.send(&unhex("93a174ce6553f10181a16d01")).await;
    eventually("the message without a chunk is taken", || {
        (collector.batches().len() == 4).then_some(())
    })
    .await;
    let batch = collector.batches().remove(0);
    assert_eq!((batch.tag.as_str(), batch.count), ("t", 1));
    assert_eq!(
        batch.origin.map(|origin| (origin.chunk, origin.identifies)),
        Some(("abc".into(), false))
    );
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn a_client_that_closes_its_side_still_gets_its_answers() {
    let (running, keeper) = Running::keeping(json!({})).await;
    let mut client = Client::connect(&running).await;
    client.send(&packed("t", &numbered(0, 3), Some("a"))).await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.0)
        .await
        .unwrap();
    let batch = eventually("the batch", || keeper.take()).await;
    batch.due.meet();
    client.expect_fin(&ack("a")).await;
    assert_eq!(
        running.metric("weir_forward_connections_closed_total{direction=\"in\",reason=\"closed\"}"),
        1
    );
    running.end().await;
}

#[tokio::test]
async fn slow_receipts_neither_stop_reading_nor_change_the_order() {
    let (running, keeper) = Running::keeping(json!({})).await;
    let mut client = Client::connect(&running).await;
    for name in ["a", "b", "c"] {
        client.send(&packed("t", &numbered(0, 1), Some(name))).await;
    }
    eventually("all three are read though none is stored", || {
        (keeper.waiting() == 3).then_some(())
    })
    .await;
    let (first, second, third) = (
        keeper.take().unwrap(),
        keeper.take().unwrap(),
        keeper.take().unwrap(),
    );
    third.due.meet();
    second.due.meet();
    let nothing = tokio::time::timeout(
        std::time::Duration::from_millis(50),
        client.expect(ack("a")),
    )
    .await;
    assert!(nothing.is_err(), "answered before it was stored");
    first.due.meet();
    client.expect([ack("a"), ack("b"), ack("c")].concat()).await;
    eventually("acks are counted", || {
        (running.metric("weir_forward_acks_total{direction=\"in\"}") == 3).then_some(())
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn what_is_not_stored_is_not_acknowledged_and_closes_the_connection() {
    let (running, keeper) = Running::keeping(json!({})).await;
    let mut client = Client::connect(&running).await;
    for name in ["a", "b", "c"] {
        client.send(&packed("t", &numbered(0, 1), Some(name))).await;
    }
    let first = eventually("a", || keeper.take()).await;
    let second = eventually("b", || keeper.take()).await;
    let third = eventually("c", || keeper.take()).await;
    first.due.meet();
    drop(second);
    third.due.meet();
    client.expect_fin(&ack("a")).await;
    running.end().await;
}

#[tokio::test]
async fn two_clients_and_one_bad_one() {
    let (running, collector) = Running::collecting(json!({})).await;
    let (mut one, mut two, mut bad) = (
        Client::connect(&running).await,
        Client::connect(&running).await,
        Client::connect(&running).await,
    );
    let half = packed("two", &numbered(100, 50), Some("2"));
    two.send(&half[..100]).await;
    bad.send(&[0xc1; 100]).await;
    bad.expect_fin(&[]).await;
    one.send(&packed("one", &numbered(0, 100), Some("1"))).await;
    one.expect(ack("1")).await;
    two.send(&half[100..]).await;
    two.expect(ack("2")).await;
    assert_eq!(numbers(&collector.batches()), (0..150).collect::<Vec<_>>());
    drop(bad);
    eventually("two are open", || {
        (running.metric("weir_forward_connections{direction=\"in\"}") == 2).then_some(())
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn stopping_takes_what_was_sent_and_answers_it() {
    let (running, keeper) = Running::keeping(json!({})).await;
    let mut client = Client::connect(&running).await;
    let (whole, half) = (
        packed("t", &numbered(0, 10), Some("a")),
        packed("t", &numbered(10, 10), Some("b")),
    );
    client.send(&[whole.as_slice(), &half[..50]].concat()).await;
    let batch = eventually("the first message", || keeper.take()).await;
    running.stop();
    let refused = tokio::net::TcpStream::connect(running.address);
    eventually("the port is closed", || {
        std::net::TcpStream::connect(running.address).err()
    })
    .await;
    drop(refused);
    assert!(!running.has_ended(), "it waits for the receipt");
    client.send(&half[50..]).await;
    let second = eventually("the message that was arriving", || keeper.take()).await;
    assert_eq!(numbers([&batch, &second]), (0..20).collect::<Vec<_>>());
    second.due.meet();
    batch.due.meet();
    client.expect_fin(&[ack("a"), ack("b")].concat()).await;
    running.end().await;
}

#[tokio::test]
async fn a_message_that_does_not_end_does_not_hold_the_stop() {
    let (running, keeper) = Running::keeping(json!({})).await;
    let mut client = Client::connect(&running).await;
    let half = packed("t", &numbered(10, 10), Some("b"));
    client.send(&half[..50]).await;
    eventually("it is connected", || {
        (running.metric("weir_forward_connections{direction=\"in\"}") == 1).then_some(())
    })
    .await;
    running.end().await;
    client.expect_fin(&[]).await;
    assert_eq!(keeper.waiting(), 0);
}

#[tokio::test]
async fn denied_keepalive_answers_what_is_there_and_closes() {
    let (running, collector) = Running::collecting(json!({ "deny_keepalive": true })).await;
    let mut client = Client::connect(&running).await;
    client
        .send(
            &[
                packed("t", &numbered(0, 1), Some("a")),
                packed("t", &numbered(1, 1), Some("b")),
            ]
            .concat(),
        )
        .await;
    client.expect_fin(&[ack("a"), ack("b")].concat()).await;
    assert_eq!(numbers(&collector.batches()), [0, 1]);
    running.end().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let (running, _) = Running::collecting(json!({ "max_connections": 2 })).await;
    let (mut one, _two) = (
        Client::connect(&running).await,
        Client::connect(&running).await,
    );
    one.send(&packed("t", &numbered(0, 1), Some("a"))).await;
    one.expect(ack("a")).await;
    let mut three = Client::connect(&running).await;
    three.expect_fin(&[]).await;
    one.send(&packed("t", &numbered(0, 1), Some("b"))).await;
    one.expect(ack("b")).await;
    drop(one);
    eventually("there is room again", || {
        (running.metric("weir_forward_connections{direction=\"in\"}") == 1).then_some(())
    })
    .await;
    let mut four = Client::connect(&running).await;
    four.send(&packed("t", &numbered(0, 1), Some("c"))).await;
    four.expect(ack("c")).await;
    running.end().await;
}
