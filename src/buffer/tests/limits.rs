//! Limits, back-pressure, and a disk that does not take what it should.

use super::*;

/// A buffer with room for about ten batches of one record each.
fn tight(dir: &Path) -> BufferSettings {
    BufferSettings {
        total_limit_bytes: 10 * 150 + 256,
        segment_bytes: 300,
        ..disk(dir)
    }
}

async fn fill(rig: &Rig) -> u32 {
    for number in 0.. {
        let (batch, receipt) = batch("tag", number..number + 1);
        let admitted = tokio::time::timeout(Duration::from_millis(50), rig.admit(batch)).await;
        if !matches!(admitted, Ok(Ok(()))) {
            return number;
        }
        within(receipt).await.unwrap();
    }
    unreachable!()
}

#[tokio::test]
async fn a_full_buffer_blocks_until_something_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let memory = BufferSettings {
        kind: BufferKind::Memory,
        ..tight(dir.path())
    };
    for settings in [memory, tight(dir.path())] {
        let rig = Rig::open(BufferSettings {
            chunk_limit_records: Some(1),
            ..settings
        });
        let stored = fill(&rig).await;
        assert!((5..12).contains(&stored), "{stored}");
        assert!(rig.buffer.status().is_full);
        assert!(rig.buffer.status().bytes <= rig.buffer.status().limit_bytes);
        let waiting = rig.put(stored..stored + 1);
        let deliver = async {
            for number in 0..stored {
                let chunk = rig.take().await;
                assert_eq!(rig.deliver(chunk), [number]);
            }
        };
        within(async { tokio::join!(waiting, deliver) }).await;
        until("no longer full", || !rig.buffer.status().is_full).await;
        assert_eq!(rig.drain().await, [stored]);
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn a_full_buffer_does_not_wait_for_the_flush_interval() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        flush_interval: Duration::from_hours(1),
        ..tight(dir.path())
    });
    let stored = fill(&rig).await;
    let deliver = async { rig.deliver(rig.take().await).len() };
    let (delivered, ()) =
        within(async { tokio::join!(deliver, rig.put(stored..stored + 1)) }).await;
    assert_eq!(delivered, stored as usize);
}

#[tokio::test]
async fn throw_exception_refuses_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        overflow: Overflow::ThrowException,
        ..tight(dir.path())
    });
    let stored = fill(&rig).await;
    assert_eq!(rig.buffer.reserve(20).await.unwrap_err(), Refusal::Full);
    assert!(rig.buffer.status().is_full && rig.counter("weir_buffer_overflow_total") >= 2);
    let chunk = rig.take().await;
    assert_eq!(rig.deliver(chunk).len(), stored as usize);
    until("there is room again", || !rig.buffer.status().is_full).await;
    rig.put(100..101).await;
    assert_eq!(rig.drain().await, [100]);
}

#[tokio::test]
async fn what_can_never_fit_is_refused_in_every_mode() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(tight(dir.path()));
    let refusal = rig.buffer.reserve(10_000).await.unwrap_err();
    assert_eq!(
        refusal,
        Refusal::TooLarge {
            bytes: 10_128,
            limit: 1_500
        }
    );
}

#[tokio::test]
async fn a_batch_as_large_as_the_limit_goes_through_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        total_limit_bytes: 2_000,
        ..disk(dir.path())
    });
    for _ in 0..5 {
        within(rig.put(0..100)).await;
        let chunk = rig.take().await;
        assert_eq!(rig.deliver(chunk).len(), 100);
    }
    assert!(segment_files(dir.path()).len() <= 2);
}

#[tokio::test]
async fn a_reservation_that_is_dropped_gives_its_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(tight(dir.path()));
    let before = rig.buffer.status().bytes;
    let reservation = rig.buffer.reserve(1_000).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(20), rig.buffer.reserve(1_000)).await;
    assert!(waiting.is_err());
    let mut next = Box::pin(rig.buffer.reserve(1_000));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), &mut next)
            .await
            .is_err()
    );
    drop(reservation);
    drop(within(next).await.unwrap());
    assert_eq!(rig.buffer.status().bytes, before);
}

#[tokio::test]
async fn a_closed_buffer_takes_nothing() {
    let rig = Rig::open(BufferSettings::memory());
    rig.put(0..1).await;
    rig.buffer.close();
    assert_eq!(rig.buffer.reserve(1).await.unwrap_err(), Refusal::Closed);
    assert_eq!(rig.drain().await, [0]);
}

#[tokio::test]
async fn a_disk_that_fails_ends_the_promises_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        segment_bytes: 200,
        ..disk(dir.path())
    };
    let rig = Rig::open(settings);
    rig.put(0..1).await;
    // No new segment can be made in a directory that is gone.
    let moved = dir.path().with_extension("gone");
    std::fs::rename(dir.path(), &moved).unwrap();
    let mut receipts = Vec::new();
    for number in 1..20 {
        let (batch, receipt) = batch("tag", number..number + 1);
        match rig.admit(batch).await {
            Ok(()) => receipts.push((number, receipt)),
            Err(refusal) => {
                assert!(matches!(refusal, Refusal::Failed { .. }), "{refusal}");
                break;
            }
        }
    }
    let mut promised = vec![0];
    for (number, receipt) in receipts {
        if within(receipt).await.is_ok() {
            promised.push(number);
        }
    }
    until("failed", || rig.buffer.status().failed.is_some()).await;
    assert_eq!(
        rig.drain().await,
        promised,
        "what was promised is delivered, nothing else"
    );
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    assert!(rig.dropped(DropReason::BufferFailed) > 0);
    std::fs::remove_dir_all(moved).unwrap();
}
