//! Records as they come, options, and acknowledgements.

use rmpv::Value as Pack;
use sdk::{
    event::Batch,
    input::{Emit, EmitError, InputCx},
};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
};

use super::*;

#[tokio::test]
async fn c20_records_of_every_kind_pass_byte_for_byte() {
    let wide = (0..2_000).map(|n| (Pack::from(format!("key {n}")), n.into()));
    let not_text = rmpv::Utf8String::from("x");
    let mut records: Vec<Vec<u8>> = [
        Pack::Map(vec![(1.into(), 2.into()), (Pack::Nil, true.into())]),
        Pack::Map(vec![("a".into(), 1.into()), ("a".into(), 2.into())]),
        Pack::Map(vec![
            ("bin".into(), Pack::Binary(vec![0, 255])),
            (Pack::Binary(vec![7]), Pack::String(not_text)),
        ]),
        Pack::Map(vec![
            (
                "when".into(),
                Pack::Ext(0, vec![0x65, 0x53, 0xf1, 1, 0, 0, 0, 5]),
            ),
            ("x".into(), Pack::Ext(5, vec![1])),
        ]),
        Pack::Map(wide.collect()),
    ]
    .iter()
    .map(encode)
    .collect();
    // A str that is no UTF-8.
    records.push(unhex("81a16da2fffe"));
    let entries: Vec<u8> = records
        .iter()
        .flat_map(|record| [&unhex("92ce6553f101")[..], record].concat())
        .collect();
    let (running, collector) = Running::collecting(none()).await;
    let mut client = Client::connect(&running).await;
    client.send(&packed("t", &entries, Some("a"))).await;
    client.expect(ack("a")).await;
    let batch = collector.batches().remove(0);
    assert_eq!(
        (batch.count, batch.events.as_ref()),
        (6, entries.as_slice())
    );
    let last_wins = sdk::testing::records(&batch.events).remove(1);
    assert_eq!(last_wins, json!({ "a": 2 }));
    // What outputs of JSON write for bytes that are no text.
    let not_text = sdk::testing::records(&batch.events).remove(5);
    assert_eq!(not_text, json!({ "m": "\u{fffd}\u{fffd}" }));
    running.end().await;
}

/// Departs from the reference, which takes tags of 64 KiB: one above 1 KiB is an invalid event.
#[tokio::test]
async fn c21_tags_have_a_limit_and_the_message_is_answered() {
    let (running, collector) = Running::collecting(none()).await;
    let (longest, too_long) = ("t".repeat(1024), "t".repeat(64 << 10));
    keeps(
        &running,
        packed(&longest, &numbered(0, 1), Some("a")),
        ack("a"),
    )
    .await;
    keeps(
        &running,
        packed(&too_long, &numbered(0, 1), Some("b")),
        ack("b"),
    )
    .await;
    assert_eq!(events(&collector).len(), 1);
    assert_eq!(running.invalid("tag"), 1);
    running.end().await;
}

#[tokio::test]
async fn c25_three_acknowledgements_in_order_each_in_a_write_of_its_own() {
    let (running, _) = Running::collecting(none()).await;
    let mut client = Client::connect(&running).await;
    let messages = ["a", "b", "c"].map(|name| packed("t", &numbered(0, 1), Some(name)));
    client.send(&messages.concat()).await;
    client.expect(["a", "b", "c"].map(ack).concat()).await;
    running.end().await;
    // Each is a write of its own: an object that counts writes stands in for the socket.
    let mut writer = Writes::default();
    let (sender, dues) = tokio::sync::mpsc::channel(9);
    for name in ["a", "b", "c"] {
        let ack = Some(ack(name).into());
        sender
            .send(crate::answer::Due { receipt: None, ack })
            .await
            .unwrap();
    }
    drop(sender);
    let report =
        crate::report::Report::new(&Collector::default().cx(sdk::input::Ready::new(|_| {})));
    crate::answer::answer(&mut writer, dues, None, &report, &"test")
        .await
        .unwrap();
    assert_eq!(writer.0, ["a", "b", "c"].map(ack));
}

/// Remembers what was written at a time.
#[derive(Default)]
struct Writes(Vec<Vec<u8>>);

impl tokio::io::AsyncWrite for Writes {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.0.push(bytes.to_vec());
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

/// As fluent-logger-node does.
#[tokio::test]
async fn c26_a_sender_that_never_reads_is_read_all_the_same() {
    let (running, collector) = Running::collecting(none()).await;
    let mut client = Client::connect(&running).await;
    let chunk = "c".repeat(2_000);
    let message = packed("t", &numbered(0, 1), Some(&chunk));
    for _ in 0..10_000 {
        client.send(&message).await;
    }
    eventually("all are taken", || {
        (collector.batches().len() == 10_000).then_some(())
    })
    .await;
    let (sent, dropped) = ("forward_acks", "forward_acks_dropped");
    let count = |name: &str| running.metric(&format!("weir_{name}_total{{direction=\"in\"}}"));
    eventually("acknowledgements are dropped", || {
        (count(dropped) > 0).then_some(())
    })
    .await;
    assert!(count(sent) < 10_000);
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn c27_a_half_closed_connection_is_answered_before_it_is_closed() {
    let (running, keeper) = Running::keeping(none()).await;
    let mut client = Client::connect(&running).await;
    client
        .send(&unhex("94a174ce6553f10181a16d0181a56368756e6ba3616263"))
        .await;
    client.0.shutdown().await.unwrap();
    let batch = eventually("the message", || keeper.take()).await;
    batch.due.meet();
    client.expect_fin(&unhex("81a361636ba3616263")).await;
    running.end().await;
}

#[tokio::test]
async fn c28_a_compression_that_nobody_knows_is_refused_with_fin() {
    let (running, collector) = Running::collecting(none()).await;
    let message = |option: &str| {
        unhex(&format!(
            "93a174c40a92ce6553f10181a16d0182aa636f6d70726573736564{option}a56368756e6ba161"
        ))
    };
    keeps(&running, message("a474657874"), ack("a")).await;
    closes(&running, message("a36c7a34"), vec![]).await;
    closes(&running, message("07"), vec![]).await;
    assert_eq!(events(&collector), [one("t")]);
    assert_eq!(running.invalid("compression"), 2);
    running.end().await;
}

/// A buffer without room: it makes wait, or refuses.
#[derive(Debug, Default)]
struct Full {
    collector: Collector,
    throws: AtomicBool,
    room: Notify,
}

impl Emit for Full {
    fn emit(&self, batch: Batch) -> sdk::Fut<'_, Result<(), EmitError>> {
        Box::pin(async move {
            if self.throws.load(Ordering::Relaxed) {
                return Err(EmitError::Refused {
                    output: "out".into(),
                    reason: "the buffer is full".into(),
                });
            }
            self.room.notified().await;
            self.collector.emit(batch).await
        })
    }
}

#[tokio::test]
async fn c29_a_full_buffer_makes_the_sender_wait_or_closes_and_never_acknowledges() {
    let full = Arc::new(Full::default());
    let running = Running::start(none(), |ready| InputCx {
        emit: Arc::clone(&full) as Arc<dyn Emit>,
        ..full.collector.cx(ready)
    })
    .await;
    let mut client = Client::connect(&running).await;
    client.send(&packed("t", &numbered(1, 1), Some("a"))).await;
    let early =
        tokio::time::timeout(std::time::Duration::from_millis(100), client.0.read_u8()).await;
    assert!(early.is_err(), "nothing is said while there is no room");
    full.room.notify_one();
    client.expect(ack("a")).await;
    assert_eq!(numbers(&full.collector.batches()), [1]);
    full.throws.store(true, Ordering::Relaxed);
    client.send(&packed("t", &numbered(2, 1), Some("b"))).await;
    client.expect_fin(&[]).await;
    assert_eq!(numbers(&full.collector.batches()), [1]);
    let refused = "weir_forward_connections_closed_total{direction=\"in\",reason=\"refused\"}";
    assert_eq!(running.metric(refused), 1);
    running.end().await;
}
