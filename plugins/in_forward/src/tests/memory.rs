//! Large messages in pieces, and the budget that no circle of waiting connections can exhaust.

use std::{sync::Arc, time::Duration};

use lines::Names;
use sdk::{
    budget::Budget,
    input::{InputCx, Ready},
    stop::{Stop, Stopper},
    testing::{Collector, Keeper},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::Barrier,
    task::JoinHandle,
    time::Instant,
};

use super::kit::*;
use crate::{peer::Peer, report::Report, settings::Settings, source::Source, welcome::serve_plain};

/// Starts with pieces of at most `part_bytes` and this budget.
async fn start(part_bytes: usize, budget: &Budget, cx: impl FnOnce(Ready) -> InputCx) -> Running {
    let with_budget = |ready| InputCx {
        budget: budget.clone(),
        ..cx(ready)
    };
    Running::start_with(
        json!({}),
        |settings| settings.limits.part_bytes = part_bytes,
        with_budget,
    )
    .await
}

#[tokio::test]
async fn a_large_message_comes_in_pieces_that_belong_together() {
    let (budget, collector) = (Budget::new(16 << 20), Collector::default());
    let running = start(1 << 20, &budget, |ready| collector.cx(ready)).await;
    let mut client = Client::connect(&running).await;
    let blob = numbered(0, 4_000_000);
    assert!(blob.len() > 40 << 20);
    client.send(&packed("t", &blob, Some("big"))).await;
    client.expect(ack("big")).await;
    client
        .send(&packed("t", &numbered(0, 1), Some("small")))
        .await;
    client.expect(ack("small")).await;
    let mut batches = collector.batches();
    assert!(
        batches.pop().unwrap().piece.is_none(),
        "the small one is whole"
    );
    assert!(batches.len() > 40, "{} pieces", batches.len());
    let pieces: Vec<_> = batches
        .iter()
        .map(|batch| batch.piece.clone().expect("a piece"))
        .collect();
    assert!(
        pieces
            .iter()
            .all(|piece| piece.group.id == pieces[0].group.id)
    );
    let (last, earlier) = pieces.split_last().unwrap();
    assert!(last.last && earlier.iter().all(|piece| !piece.last));
    let (last, earlier) = batches.split_last().unwrap();
    let mut first = 0;
    for batch in earlier {
        let origin = batch.origin.as_ref().expect("a place in the message");
        assert_eq!((origin.chunk.len(), origin.first), (0, first));
        first += batch.count;
    }
    let origin = last.origin.as_ref().expect("the last piece has the id");
    assert_eq!(
        (origin.chunk.as_ref(), origin.first),
        (b"big".as_slice(), 4_000_000 - last.count)
    );
    assert!(batches.iter().all(|batch| batch.events.len() <= 1 << 20));
    let events: Vec<u8> = batches
        .iter()
        .flat_map(|batch| batch.events.to_vec())
        .collect();
    assert!(events == blob, "every byte in order");
    running.end().await;
    assert_eq!(budget.used_bytes(), 0);
}

#[tokio::test]
async fn a_large_message_that_breaks_off_gives_its_group_up() {
    let (budget, keeper) = (Budget::new(16 << 20), Keeper::default());
    let running = start(64 << 10, &budget, |ready| keeper.cx(ready)).await;
    let mut client = Client::connect(&running).await;
    let message = packed("t", &numbered(0, 100_000), Some("a"));
    client.send(&message[..message.len() / 2]).await;
    let piece = eventually("a piece", || keeper.take()).await;
    let group = Arc::downgrade(&piece.piece.as_ref().unwrap().group);
    drop(client);
    drop(piece);
    eventually("the connection is closed", || {
        (running.metric("weir_forward_connections{direction=\"in\"}") == 0).then_some(())
    })
    .await;
    while let Some(piece) = keeper.take() {
        assert!(!piece.piece.unwrap().last);
    }
    assert!(group.upgrade().is_none(), "somebody still holds the group");
    assert_eq!(budget.used_bytes(), 0);
    running.end().await;
}

/// Each of these connections holds a part of a message, and together they want more than there is.
#[tokio::test(flavor = "multi_thread")]
async fn connections_do_not_wait_for_each_other_in_a_circle() {
    const CLIENTS: usize = 12;
    let (budget, collector) = (Budget::new(1 << 20), Collector::default());
    let running = start(8 << 20, &budget, |ready| collector.cx(ready)).await;
    let halfway = Arc::new(Barrier::new(CLIENTS + 1));
    let message = packed("t", &numbered(0, 60_000), Some("a"));
    assert!(message.len() > 600 << 10);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (mut client, halfway, message) = (
            Client::connect(&running).await,
            Arc::clone(&halfway),
            message.clone(),
        );
        clients.push(tokio::spawn(async move {
            let (front, back) = message.split_at(300 << 10);
            client.send(front).await;
            halfway.wait().await;
            client.send(back).await;
            client.expect(ack("a")).await;
        }));
    }
    eventually("the budget is spent on parts of messages", || {
        (budget.used_bytes() == 1 << 20).then_some(())
    })
    .await;
    halfway.wait().await;
    for client in clients {
        within("every client is answered", client).await.unwrap();
    }
    assert_eq!(collector.batches().len(), CLIENTS);
    running.end().await;
    assert_eq!(budget.used_bytes(), 0);
}

#[tokio::test]
async fn what_waits_for_its_receipt_counts_against_the_budget() {
    let (budget, keeper) = (Budget::new(1 << 20), Keeper::default());
    let running = start(8 << 20, &budget, |ready| keeper.cx(ready)).await;
    let mut client = Client::connect(&running).await;
    let blob = numbered(0, 10_000);
    client.send(&packed("t", &blob, Some("a"))).await;
    let batch = eventually("the batch", || keeper.take()).await;
    assert!(
        budget.used_bytes() >= blob.len(),
        "{} of {}",
        budget.used_bytes(),
        blob.len()
    );
    let (due, permit) = (batch.due, batch.permit);
    drop(permit);
    due.meet();
    client.expect(ack("a")).await;
    assert_eq!(budget.used_bytes(), 0);
    running.end().await;
}

#[tokio::test]
async fn nothing_more_is_read_while_too_much_waits() {
    let (budget, keeper) = (Budget::new(1 << 20), Keeper::default());
    let running = start(8 << 20, &budget, |ready| keeper.cx(ready)).await;
    let mut client = Client::connect(&running).await;
    let message = packed("t", &numbered(0, 10_000), None);
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            client.send(&message).await;
        }
        client
    });
    eventually("two messages are taken", || {
        (keeper.waiting() >= 2).then_some(())
    })
    .await;
    let share = (1 << 20) / 4 / numbered(0, 10_000).len() + 2;
    for taken in 0..100 {
        assert!(
            keeper.waiting() <= share,
            "{} messages wait",
            keeper.waiting()
        );
        let batch = eventually("the next message", || keeper.take()).await;
        drop(batch.permit);
        batch.due.meet();
        assert_eq!(batch.count, 10_000, "message {taken}");
    }
    drop(sending.await.unwrap());
    running.end().await;
}

/// Senders over pipes instead of sockets, so that time can be turned.
pub(super) struct Pipes {
    pub(super) source: Arc<Source>,
    pub(super) stopper: Stopper,
    pub(super) stop: Stop,
}

impl Pipes {
    fn new(budget: &Budget, collector: &Collector) -> Self {
        Self::of(InputCx {
            budget: budget.clone(),
            ..collector.cx(Ready::new(|_| {}))
        })
    }

    pub(super) fn of(cx: InputCx) -> Self {
        let settings = Settings::new(
            serde_json::from_value(json!({})).unwrap(),
            "weir.example",
            None,
        )
        .unwrap();
        let (stopper, stop) = Stopper::new();
        Self {
            source: Arc::new(Source {
                settings,
                report: Report::new(&cx).into(),
                cx,
                gate: None,
                names: Names::default(),
                partial: None,
                tls: None,
            }),
            stopper,
            stop,
        }
    }

    fn connect(&self) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(64 << 10);
        let (source, stop) = (Arc::clone(&self.source), self.stop.clone());
        (
            client,
            tokio::spawn(async move {
                {
                    let peer = Peer::local(std::path::Path::new("a pipe"));
                    serve_plain(server, peer, &source, stop).await;
                }
            }),
        )
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_sender_does_not_keep_the_spare() {
    let (budget, collector) = (Budget::new(1 << 20), Collector::default());
    let pipes = Pipes::new(&budget, &collector);
    let all = budget.take(usize::MAX).await;
    let message = packed("t", &numbered(0, 60_000), Some("a"));
    let (mut stalled, served) = pipes.connect();
    within(
        "the first part is read",
        stalled.write_all(&message[..200 << 10]),
    )
    .await
    .unwrap();
    let (mut honest, _) = pipes.connect();
    let begun = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(&mut honest);
    let mut answer = vec![0; ack("a").len()];
    let exchange =
        async { tokio::join!(writer.write_all(&message), reader.read_exact(&mut answer)) };
    let (sent, read) = within("the honest sender is answered", exchange).await;
    sent.unwrap();
    read.unwrap();
    assert_eq!(answer, ack("a"));
    let waited = begun.elapsed();
    assert!(
        (4..=8).contains(&waited.as_secs()),
        "answered after {waited:?}"
    );
    within("the stalled one is given up", served).await.unwrap();
    drop((all, honest));
    pipes.stopper.stop();
}

#[tokio::test(start_paused = true)]
async fn a_dripping_sender_does_not_keep_the_spare() {
    let (budget, collector) = (Budget::new(1 << 20), Collector::default());
    let pipes = Pipes::new(&budget, &collector);
    let all = budget.take(usize::MAX).await;
    let message = packed("t", &numbered(0, 60_000), Some("a"));
    let (mut dripping, served) = pipes.connect();
    within(
        "the first part is read",
        dripping.write_all(&message[..200 << 10]),
    )
    .await
    .unwrap();
    let begun = Instant::now();
    for byte in message[200 << 10..].chunks(1) {
        if within("it is read or closed", dripping.write_all(byte))
            .await
            .is_err()
        {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    within("it is given up", served).await.unwrap();
    let lasted = begun.elapsed();
    assert!(
        (29..=35).contains(&lasted.as_secs()),
        "it lasted {lasted:?}"
    );
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn without_pressure_a_slow_sender_is_heard_out() {
    let (budget, collector) = (Budget::new(1 << 20), Collector::default());
    let pipes = Pipes::new(&budget, &collector);
    let message = packed("t", &numbered(0, 10), Some("a"));
    let (mut slow, _) = pipes.connect();
    for byte in message.chunks(1) {
        slow.write_all(byte).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let mut answer = vec![0; ack("a").len()];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, ack("a"));
}
