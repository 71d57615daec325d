//! Hostile input: declared lengths, depth, bombs, limits, slow and empty connections.

use std::{io::Write as _, time::Duration};

use sdk::{
    event::Batch,
    input::{Emit, EmitError, InputCx},
};
use serde_json::json;
use socket2::SockRef;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A packed message with the option `compressed`.
fn compressed(blob: &[u8], method: &str) -> Vec<u8> {
    let option = rmpv::Value::Map(vec![
        ("compressed".into(), method.into()),
        ("chunk".into(), "z".into()),
    ]);
    encode(&rmpv::Value::Array(vec![
        "t".into(),
        rmpv::Value::Binary(blob.to_vec()),
        option,
    ]))
}

#[tokio::test]
async fn c37_declared_lengths_occupy_nothing_and_are_not_waited_for() {
    let (running, _) = Running::collecting(json!({ "message_timeout": "300ms" })).await;
    let mut waiting = Vec::new();
    for _ in 0..250 {
        for header in ["ddffffffff", "dbffffffff", "dfffffffff", "c9ffffffff00"] {
            let mut client = Client::connect(&running).await;
            client.send(&unhex(header)).await;
            waiting.push(client);
        }
    }
    keeps(&running, packed("t", &numbered(0, 1), Some("a")), ack("a")).await;
    for client in &mut waiting {
        client.expect_fin(&[]).await;
    }
    let silent = "weir_forward_connections_closed_total{direction=\"in\",reason=\"silent\"}";
    assert_eq!(running.metric(silent), 1_000);
    running.end().await;
}

/// Departs from the reference, which takes 100 levels: a record may have 64.
#[tokio::test]
async fn c38_depth_has_a_limit_that_the_stack_never_sees() {
    let (running, collector) = Running::collecting(none()).await;
    let nested = |depth: usize| {
        let value = [vec![0x91; depth - 1], vec![0x90]].concat();
        [unhex("93a174ce6553f10181a16d"), value].concat()
    };
    keeps(&running, nested(60), vec![]).await;
    assert_eq!(events(&collector).len(), 1);
    for depth in [100, 200, 100_000] {
        closes(&running, nested(depth), vec![]).await;
    }
    assert_eq!(running.invalid("too_deep"), 3);
    assert_eq!(events(&collector).len(), 1);
    running.end().await;
}

#[tokio::test]
async fn c39_bombs_stop_at_the_limit_and_disturb_nobody() {
    let (running, collector) =
        Running::collecting(json!({ "decompression_size_limit": "8MiB" })).await;
    let plain = numbered(0, 1).repeat(4 << 20);
    let small = [gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()];
    // A frame that says it holds a terabyte, in a window of as much.
    let huge = unhex("28b52ffdc00000000000010000");
    for (blob, method) in [(&small[0], "gzip"), (&small[1], "zstd"), (&huge, "zstd")] {
        closes(&running, compressed(blob, method), vec![]).await;
        keeps(&running, packed("t", &numbered(0, 1), Some("a")), ack("a")).await;
    }
    assert_eq!(running.invalid("inflated"), 2);
    assert_eq!(running.invalid("compression"), 1);
    assert_eq!(
        collector
            .batches()
            .iter()
            .filter(|batch| batch.piece.as_ref().is_none_or(|piece| piece.last))
            .count(),
        6
    );
    running.end().await;
}

#[tokio::test]
async fn c40_damaged_compression_is_refused_and_the_magic_is_believed() {
    let (running, collector) = Running::collecting(none()).await;
    let good = gzip(&numbered(7, 1));
    let cut_off = &good[..good.len() - 5];
    let garbage = [&good[..], b"garbage"].concat();
    closes(&running, compressed(cut_off, "gzip"), vec![]).await;
    closes(&running, compressed(&garbage, "gzip"), vec![]).await;
    closes(&running, compressed(&numbered(7, 1), "gzip"), vec![]).await;
    assert_eq!(events(&collector).len(), 0);
    assert_eq!(running.invalid("compression"), 3);
    keeps(&running, packed("t", &good, Some("a")), ack("a")).await;
    let mut batches = collector.batches();
    batches.retain(|batch| batch.tag.as_str() == "t");
    assert_eq!(numbers(&batches), [7]);
    running.end().await;
}

#[tokio::test]
async fn c41_what_is_inside_a_packed_stream_and_can_never_be_read_closes() {
    let (running, collector) = Running::collecting(none()).await;
    let blob = [numbered(0, 1), vec![0xc1], numbered(1, 1)].concat();
    closes(&running, packed("t", &blob, Some("a")), vec![]).await;
    assert_eq!(events(&collector).len(), 0);
    assert_eq!(running.invalid("malformed"), 1);
    running.end().await;
}

/// Counts what is emitted and lets it go.
#[derive(Debug, Default)]
struct Counter {
    bytes: AtomicU64,
    records: AtomicU64,
}

impl Emit for Counter {
    fn emit(&self, batch: Batch) -> sdk::Fut<'_, Result<(), EmitError>> {
        self.bytes
            .fetch_add(batch.events.len() as u64, Ordering::Relaxed);
        self.records
            .fetch_add(batch.count.into(), Ordering::Relaxed);
        batch.due.meet();
        Box::pin(async { Ok(()) })
    }
}

/// Departs from the reference, which keeps a connection whose message is too large: it is closed, with FIN.
#[tokio::test]
async fn c42_a_message_may_have_the_limit_and_no_byte_more() {
    let message = packed("t", &numbered(0, 100), Some("a"));
    for (limit, is_taken) in [(message.len(), true), (message.len() - 1, false)] {
        let (running, collector) = Running::collecting(json!({ "chunk_size_limit": limit })).await;
        if is_taken {
            keeps(&running, message.clone(), ack("a")).await;
        } else {
            closes(&running, message.clone(), vec![]).await;
        }
        assert_eq!(events(&collector).len(), if is_taken { 100 } else { 0 });
        assert_eq!(running.invalid("too_large"), i64::from(!is_taken));
        running.end().await;
    }
}

#[tokio::test]
async fn c42_three_hundred_mebibytes_stream_through() {
    let counter = Arc::new(Counter::default());
    let running = Running::start(json!({ "chunk_size_limit": "1GiB" }), |ready| InputCx {
        emit: Arc::clone(&counter) as Arc<dyn Emit>,
        budget: sdk::budget::Budget::new(32 << 20),
        ..Collector::default().cx(ready)
    })
    .await;
    let record = rmpv::Value::Map(vec![("m".into(), "x".repeat(1 << 20).into())]);
    let entry = encode(&rmpv::Value::Array(vec![1_700_000_001.into(), record]));
    let len = u32::try_from(300 * entry.len()).unwrap();
    let mut client = Client::connect(&running).await;
    client
        .send(&[&unhex("93a174c6")[..], &len.to_be_bytes()].concat())
        .await;
    for _ in 0..300 {
        client.send(&entry).await;
    }
    client.send(&unhex("81a56368756e6ba161")).await;
    client.expect(ack("a")).await;
    assert_eq!(counter.bytes.load(Ordering::Relaxed), u64::from(len));
    assert_eq!(counter.records.load(Ordering::Relaxed), 300);
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn c43_senders_that_drip_do_not_hold_the_others_up() {
    let (running, collector) = Running::collecting(none()).await;
    let message = packed("t", &numbered(0, 1), Some("a"));
    let mut slow = Vec::new();
    for _ in 0..500 {
        slow.push(Client::connect(&running).await);
    }
    for (at, byte) in message.iter().enumerate() {
        for client in &mut slow {
            client.send(&[*byte]).await;
        }
        keeps(
            &running,
            packed("t", &numbered(at as u64, 1), Some("b")),
            ack("b"),
        )
        .await;
    }
    for client in slow {
        assert_eq!(client.finish().await, ack("a"));
    }
    assert_eq!(events(&collector).len(), 500 + message.len());
    running.end().await;
}

#[tokio::test]
async fn c44_a_thousand_empty_connections_and_resets_leave_nothing() {
    let (running, collector) = Running::collecting(none()).await;
    for number in 0..1_000 {
        let client = Client::connect(&running).await;
        if number % 2 == 0 {
            SockRef::from(&client.0)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
    }
    let open = "weir_forward_connections{direction=\"in\"}";
    let accepted = "weir_forward_connections_accepted_total{direction=\"in\"}";
    eventually("all are over", || {
        (running.metric(accepted) == 1_000 && running.metric(open) == 0).then_some(())
    })
    .await;
    assert_eq!(running.invalid("truncated"), 0);
    assert_eq!(collector.batches().len(), 0);
    keeps(&running, packed("t", &numbered(0, 1), Some("a")), ack("a")).await;
    running.end().await;
}
