//! What goes in comes out, whole and in order.

use bytes::Bytes;
use sdk::event::Origin;

use super::*;

async fn round_trip(settings: BufferSettings) {
    let rig = Rig::open(BufferSettings {
        chunk_limit_bytes: 500,
        ..settings
    });
    let mut receipts = Vec::new();
    for start in (0..300).step_by(10) {
        let (mut batch, receipt) = batch(&format!("app.{}", start % 3), start..start + 10);
        if start.is_multiple_of(20) {
            let kept = (start.is_multiple_of(40)).then(|| Bytes::from_static(&[0xff, 0x03]));
            let chunk = Bytes::from(format!("chunk {start}"));
            batch.origin = Some(Origin {
                chunk,
                first: start,
                kept,
                identifies: start.is_multiple_of(60),
            });
        }
        rig.admit(batch).await.unwrap();
        receipts.push(receipt);
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    assert_eq!(
        (rig.buffer.status().records, rig.account.imbalance()),
        (300, 0)
    );
    let mut sequences = Vec::new();
    let mut all = Vec::new();
    while all.len() < 300 {
        let chunk = rig.take().await;
        assert!(
            chunk
                .frames()
                .iter()
                .map(|frame| frame.events.len())
                .sum::<usize>()
                <= 500
        );
        for frame in chunk.frames() {
            check(frame);
            sequences.push(frame.sequence);
        }
        all.extend(rig.deliver(chunk));
    }
    assert_eq!(all, (0..300).collect::<Vec<_>>());
    let first = sequences[0];
    assert_eq!(sequences, (first..first + 30).collect::<Vec<_>>());
    assert_eq!(
        (rig.buffer.status().records, rig.account.imbalance()),
        (0, 0)
    );
    assert_eq!(rig.drain().await, NOTHING);
}

/// What [`round_trip`] stored under these numbers.
fn check(frame: &Frame) {
    let start = numbers(std::slice::from_ref(frame))[0];
    assert_eq!(frame.tag.as_str(), format!("app.{}", start % 3));
    let origin = frame.origin.as_ref();
    assert_eq!(origin.is_some(), start.is_multiple_of(20));
    if let Some(origin) = origin {
        assert_eq!(origin.chunk, format!("chunk {start}").as_bytes());
        assert_eq!(origin.first, start);
        assert_eq!(origin.identifies, start.is_multiple_of(60));
        let kept: Option<&[u8]> = start.is_multiple_of(40).then_some(&[0xff, 0x03]);
        assert_eq!(origin.kept.as_deref(), kept);
    }
}

#[tokio::test]
async fn through_memory() {
    round_trip(BufferSettings {
        flush_interval: Duration::ZERO,
        ..BufferSettings::memory()
    })
    .await;
}

#[tokio::test]
async fn through_a_disk_buffer_that_still_has_it_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    round_trip(disk(dir.path())).await;
}

#[tokio::test]
async fn through_a_disk_buffer_that_reads_it_back() {
    let dir = tempfile::tempdir().unwrap();
    round_trip(BufferSettings {
        recent_bytes: 0,
        segment_bytes: 2_000,
        ..disk(dir.path())
    })
    .await;
}

#[tokio::test]
async fn through_a_disk_buffer_that_does_not_sync() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        recent_bytes: 3_000,
        durability: Durability::Os,
        ..disk(dir.path())
    };
    round_trip(settings).await;
}

#[tokio::test]
async fn a_window_gathers_what_comes_late() {
    let dir = tempfile::tempdir().unwrap();
    let window = Some(Duration::from_millis(300));
    let rig = Rig::open(BufferSettings {
        commit_window: window,
        ..disk(dir.path())
    });
    tokio::join!(rig.put(0..1), rig.put(1..2), rig.put(2..3));
    assert_eq!(rig.counter("weir_buffer_commits_total"), 1);
    assert_eq!(rig.drain().await, [0, 1, 2]);
}

#[tokio::test]
async fn a_chunk_waits_for_its_interval_its_size_or_a_flush() {
    let interval = Duration::from_hours(1);
    let one = events(0..1).len();
    let settings = BufferSettings {
        flush_interval: interval,
        chunk_limit_bytes: 3 * one,
        ..BufferSettings::memory()
    };
    let rig = Rig::open(settings);
    rig.put(0..1).await;
    let early = tokio::time::timeout(Duration::from_millis(30), rig.buffer.next_chunk()).await;
    assert!(early.is_err(), "one record is not due yet");
    rig.put(1..2).await;
    rig.put(2..3).await;
    let chunk = rig.take().await;
    assert_eq!(rig.deliver(chunk), [0, 1, 2], "as large as a chunk may be");
    rig.put(3..4).await;
    let (buffer, taken) = (rig.buffer.clone(), rig.take());
    let flush = async { buffer.flush() };
    let (chunk, ()) = tokio::join!(taken, flush);
    assert_eq!(rig.deliver(chunk), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_lonely_record_leaves_after_the_interval() {
    let settings = BufferSettings {
        flush_interval: Duration::from_mins(1),
        ..BufferSettings::memory()
    };
    let rig = Rig::open(settings);
    let (batch, receipt) = batch("tag", 0..1);
    rig.admit(batch).await.unwrap();
    until("stored", || receipt.is_settled()).await;
    let start = Instant::now();
    let chunk = rig.buffer.next_chunk().await.unwrap();
    assert!(
        start.elapsed() > Duration::from_secs(50),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(rig.deliver(chunk), [0]);
}

#[tokio::test]
async fn chunks_have_a_limit_of_records_too() {
    let dir = tempfile::tempdir().unwrap();
    for recent_bytes in [0, 1 << 20] {
        let settings = BufferSettings {
            chunk_limit_records: Some(5),
            recent_bytes,
            ..disk(dir.path())
        };
        let rig = Rig::open(settings);
        for start in (0..12).step_by(2) {
            rig.put(start..start + 2).await;
        }
        rig.put(12..30).await;
        let mut sizes = Vec::new();
        for _ in 0..4 {
            let chunk = rig.take().await;
            sizes.push(chunk.record_count());
            rig.deliver(chunk);
        }
        assert_eq!(sizes, [4, 4, 4, 18]);
    }
}

/// Only the last `alive` of so many records are left.
fn left(records: u32, alive: u32) -> Bitmap {
    let mut left = Bitmap::empty(records);
    (records - alive..records).for_each(|index| left.set(index, true));
    left
}

#[tokio::test]
async fn a_chunk_that_comes_back_is_first_and_the_books_still_balance() {
    let dir = tempfile::tempdir().unwrap();
    for settings in [
        disk(dir.path()),
        BufferSettings {
            flush_interval: Duration::ZERO,
            ..BufferSettings::memory()
        },
    ] {
        let rig = Rig::open(BufferSettings {
            chunk_limit_records: Some(3),
            ..settings
        });
        rig.put(0..3).await;
        rig.put(3..6).await;
        let mut first = rig.take().await;
        rig.account.delivered(2);
        first.settle(left(3, 1));
        drop(first);
        assert_eq!(
            (rig.account.imbalance(), rig.buffer.status().records),
            (0, 4)
        );
        let again = rig.take().await;
        assert_eq!(again.live(), &left(3, 1), "what was delivered stays so");
        assert_eq!(rig.deliver(again), [0, 1, 2]);
        assert_eq!(rig.drain().await, [3, 4, 5]);
        assert_eq!(
            (rig.account.imbalance(), rig.buffer.status().records),
            (0, 0)
        );
    }
}

#[tokio::test]
async fn a_memory_buffer_that_ends_says_what_it_loses() {
    let rig = Rig::open(BufferSettings::memory());
    rig.put(0..7).await;
    rig.buffer.flush();
    let mut chunk = rig.take().await;
    rig.account.delivered(2);
    chunk.settle(left(7, 5));
    drop(chunk);
    let Rig {
        buffer,
        account,
        metrics,
    } = rig;
    drop(buffer);
    assert_eq!((account.imbalance(), account.held_now()), (0, 0));
    assert!(
        metrics
            .encode()
            .contains("weir_dropped_records_total{reason=\"shutdown\",intended=\"false\"} 5")
    );
}

#[tokio::test]
async fn many_workers_and_senders_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        chunk_limit_bytes: 2_000,
        segment_bytes: 10_000,
        recent_bytes: 5_000,
        total_limit_bytes: 100_000,
        ..disk(dir.path())
    };
    let rig = Arc::new(Rig::open(settings));
    let senders = (0..8_u32).map(|sender| {
        let rig = Arc::clone(&rig);
        async move {
            for start in (0..500).step_by(10) {
                let from = sender * 1_000 + start;
                rig.put(from..from + 10).await;
            }
        }
    });
    let senders: Vec<_> = senders.map(tokio::spawn).collect();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move {
                let mut got = Vec::new();
                while let Some(chunk) = rig.buffer.next_chunk().await {
                    got.extend(rig.deliver(chunk));
                }
                got
            })
        })
        .collect();
    for sender in senders {
        within(sender).await.unwrap();
    }
    rig.buffer.close();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(within(worker).await.unwrap());
    }
    all.sort_unstable();
    let expected: Vec<u32> = (0..8)
        .flat_map(|sender| sender * 1_000..sender * 1_000 + 500)
        .collect();
    assert_eq!(all, expected);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    until("segments are removed", || {
        segment_files(dir.path()).len() <= 1 || rig.buffer.status().bytes < 25_000
    })
    .await;
}
