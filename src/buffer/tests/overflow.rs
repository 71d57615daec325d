//! `overflow_action = "drop_oldest_chunk"`: who goes, who stays, and that each is counted.

use std::collections::BTreeSet;

use sdk::event::{Group, Piece};

use super::*;

/// A buffer with room for about forty batches of one record each.
fn tight(dir: &Path) -> BufferSettings {
    BufferSettings {
        total_limit_bytes: 40 * 150 + 256,
        segment_bytes: 600,
        overflow: Overflow::DropOldestChunk,
        chunk_limit_records: Some(1),
        ..disk(dir)
    }
}

fn in_memory(settings: &BufferSettings) -> BufferSettings {
    BufferSettings {
        kind: BufferKind::Memory,
        ..settings.clone()
    }
}

/// Nothing is held, and `stored` records are those that were delivered and those that were dropped.
fn check_books(rig: &Rig, stored: usize, delivered: usize) {
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    let dropped = rig.dropped(DropReason::Overflow);
    assert_eq!(delivered as u64 + dropped, stored as u64);
}

#[tokio::test]
async fn the_newest_stay_and_the_others_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    for recent_bytes in [0, 1 << 20] {
        for settings in [in_memory(&tight(dir.path())), tight(dir.path())] {
            let rig = Rig::open(BufferSettings {
                recent_bytes,
                ..settings
            });
            for number in 0..400 {
                within(rig.put(number..number + 1)).await;
                let status = rig.buffer.status();
                assert!(!status.is_full && status.bytes <= status.limit_bytes);
            }
            let left = rig.drain().await;
            let first = *left.first().unwrap();
            assert!(first > 300, "{first}");
            assert_eq!(left, (first..400).collect::<Vec<_>>());
            check_books(&rig, 400, left.len());
        }
    }
}

#[tokio::test]
async fn what_was_dropped_does_not_come_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(tight(dir.path()));
    for number in 0..200 {
        within(rig.put(number..number + 1)).await;
    }
    let dropped = rig.dropped(DropReason::Overflow);
    drop(rig);
    let rig = Rig::open(tight(dir.path()));
    let left = rig.drain().await;
    assert_eq!(
        left,
        (u32::try_from(dropped).unwrap()..200).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_a_worker_has_is_never_dropped() {
    let dir = tempfile::tempdir().unwrap();
    for settings in [in_memory(&tight(dir.path())), tight(dir.path())] {
        let rig = Rig::open(settings);
        let mut delivered = 0;
        for round in 0..10 {
            let from = round * 100;
            within(rig.put(from..from + 1)).await;
            within(rig.put(from + 1..from + 2)).await;
            let mut hands = vec![rig.take().await];
            for number in from + 2..from + 100 {
                within(rig.put(number..number + 1)).await;
                if number % 40 == 0 {
                    hands.push(rig.take().await);
                }
            }
            for chunk in hands {
                delivered += rig.deliver(chunk).len();
            }
        }
        delivered += rig.drain().await.len();
        assert!(rig.dropped(DropReason::Overflow) > 500);
        check_books(&rig, 1_000, delivered);
    }
}

#[tokio::test]
async fn when_everything_is_under_way_senders_wait() {
    let dir = tempfile::tempdir().unwrap();
    for settings in [in_memory(&tight(dir.path())), tight(dir.path())] {
        let rig = Rig::open(settings);
        let mut hands = Vec::new();
        let mut stored = 0;
        while rig.buffer.status().bytes + 600 < rig.buffer.status().limit_bytes {
            within(rig.put(stored..stored + 1)).await;
            hands.push(rig.take().await);
            stored += 1;
        }
        let refused = async {
            loop {
                let put = rig.put(stored..stored + 1);
                if tokio::time::timeout(Duration::from_millis(100), put)
                    .await
                    .is_err()
                {
                    return;
                }
                hands.push(rig.take().await);
                stored += 1;
            }
        };
        within(refused).await;
        until("it counts as full", || rig.buffer.status().is_full).await;
        assert_eq!(rig.dropped(DropReason::Overflow), 0);
        let waiting = rig.put(stored..stored + 1);
        let deliver = async {
            for chunk in hands {
                rig.deliver(chunk);
            }
        };
        within(async { tokio::join!(waiting, deliver) }).await;
        until("it is not full any more", || !rig.buffer.status().is_full).await;
        let left = rig.drain().await;
        assert_eq!(rig.dropped(DropReason::Overflow), 0);
        // The one whose wait ended in time was stored or gave up; nothing else is in doubt.
        assert!(left.ends_with(&[stored]), "{left:?}");
    }
}

#[tokio::test]
async fn a_large_message_goes_as_a_whole_or_stays() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        chunk_limit_records: None,
        ..tight(dir.path())
    });
    for message in 0..60 {
        let group = Group::next();
        let mut receipts = Vec::new();
        for piece in 0..4 {
            let number = message * 10 + piece;
            let (mut batch, receipt) = batch("large", number..number + 1);
            batch.piece = Some(Piece {
                group: Arc::clone(&group),
                last: piece == 3,
            });
            within(rig.admit(batch)).await.unwrap();
            receipts.push(receipt);
        }
        for receipt in receipts {
            within(receipt).await.unwrap();
        }
        within(rig.put(message * 10 + 9..message * 10 + 10)).await;
    }
    let left = rig.drain().await;
    let messages: BTreeSet<u32> = left
        .iter()
        .filter(|n| *n % 10 < 9)
        .map(|n| n / 10)
        .collect();
    assert!(!messages.is_empty() && messages.len() < 60);
    for message in messages {
        for piece in 0..4 {
            assert!(left.contains(&(message * 10 + piece)), "half of {message}");
        }
    }
    check_books(&rig, 300, left.len());
}

#[tokio::test]
async fn the_other_actions_drop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for overflow in [Overflow::Block, Overflow::ThrowException] {
        let rig = Rig::open(BufferSettings {
            overflow,
            ..tight(dir.path())
        });
        let mut stored = 0;
        for number in 0..400 {
            let (batch, _) = batch("tag", number..number + 1);
            let admitted = tokio::time::timeout(Duration::from_millis(1), rig.admit(batch)).await;
            stored += usize::from(matches!(admitted, Ok(Ok(()))));
        }
        assert_eq!(rig.dropped(DropReason::Overflow), 0);
        assert_eq!(rig.drain().await.len(), stored);
    }
}

#[tokio::test]
async fn what_was_set_aside_is_given_up_too() {
    let dir = tempfile::tempdir().unwrap();
    let later = Instant::now() + Duration::from_hours(1);
    for settings in [in_memory(&tight(dir.path())), tight(dir.path())] {
        let rig = Rig::open(BufferSettings {
            chunk_limit_records: Some(4),
            ..settings
        });
        let mut delivered = 0;
        for number in 0..400 {
            within(rig.put(2 * number..2 * number + 2)).await;
            if number % 2 == 0 {
                continue;
            }
            // Half of what is taken fails, after one of its records was delivered.
            let mut chunk = rig.take().await;
            let mut left = Bitmap::full(chunk.record_count());
            left.set(0, false);
            rig.account.delivered(1);
            delivered += 1;
            chunk.settle(left);
            chunk.tries.attempts += 1;
            chunk.note_tries().await;
            chunk.set_aside(later);
        }
        rig.buffer.release_aside();
        while rig.buffer.status().records > 0 {
            let chunk = rig.take().await;
            delivered += chunk.live().alive() as usize;
            rig.deliver(chunk);
        }
        assert!(rig.dropped(DropReason::Overflow) > 400);
        check_books(&rig, 800, delivered);
    }
}

#[tokio::test]
async fn of_a_large_message_that_was_set_aside_no_part_stays() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        chunk_limit_records: Some(2),
        ..tight(dir.path())
    });
    for message in 0..60 {
        let group = Group::next();
        let mut receipts = Vec::new();
        for piece in 0..4 {
            let number = message * 10 + piece;
            let (mut batch, receipt) = batch("large", number..number + 1);
            batch.piece = Some(Piece {
                group: Arc::clone(&group),
                last: piece == 3,
            });
            within(rig.admit(batch)).await.unwrap();
            receipts.push(receipt);
        }
        for receipt in receipts {
            within(receipt).await.unwrap();
        }
        if message % 2 == 0 {
            let chunk = rig.take().await;
            assert_eq!(chunk.record_count(), 2);
            chunk.set_aside(Instant::now() + Duration::from_hours(1));
        }
    }
    rig.buffer.flush();
    let left: BTreeSet<u32> = rig.drain().await.into_iter().collect();
    let messages: BTreeSet<u32> = left.iter().map(|number| number / 10).collect();
    assert!(!messages.is_empty() && messages.len() < 60);
    for number in messages
        .iter()
        .flat_map(|message| message * 10..message * 10 + 4)
    {
        assert!(left.contains(&number), "half of a message: {left:?}");
    }
    check_books(&rig, 240, left.len());
}
