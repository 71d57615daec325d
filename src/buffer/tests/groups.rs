//! Large messages: their pieces become valid together, or not at all.

use sdk::{
    budget::Budget,
    event::{Group, Origin, Piece},
};

use super::*;

struct Message<'a> {
    rig: &'a Rig,
    group: Arc<Group>,
}

impl<'a> Message<'a> {
    fn new(rig: &'a Rig) -> Self {
        Self {
            rig,
            group: Group::next(),
        }
    }

    async fn piece(&self, numbers: std::ops::Range<u32>, last: bool) -> Receipt {
        let (mut batch, receipt) = batch("large", numbers);
        batch.piece = Some(Piece {
            group: Arc::clone(&self.group),
            last,
        });
        self.rig.admit(batch).await.unwrap();
        receipt
    }
}

fn settings_of_every_kind(dir: &Path) -> Vec<BufferSettings> {
    let memory = BufferSettings {
        flush_interval: Duration::ZERO,
        ..BufferSettings::memory()
    };
    vec![
        memory,
        disk(&dir.join("a")),
        BufferSettings {
            recent_bytes: 0,
            segment_bytes: 150,
            ..disk(&dir.join("b"))
        },
    ]
}

#[tokio::test]
async fn are_delivered_when_the_last_piece_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    for settings in settings_of_every_kind(dir.path()) {
        let rig = Rig::open(BufferSettings {
            chunk_limit_records: Some(4),
            ..settings
        });
        let message = Message::new(&rig);
        let receipts = [
            message.piece(10..13, false).await,
            message.piece(13..15, false).await,
        ];
        rig.put(0..2).await;
        let chunk = rig.take().await;
        assert_eq!(
            rig.deliver(chunk),
            [0, 1],
            "what came later overtakes what is not complete"
        );
        assert!(
            receipts.iter().all(|receipt| !receipt.is_settled()),
            "nothing is promised yet"
        );
        assert_eq!(rig.buffer.status().records, 5);
        let last = message.piece(15..16, true).await;
        drop(message);
        rig.put(2..3).await;
        for receipt in receipts.into_iter().chain([last]) {
            within(receipt).await.unwrap();
        }
        assert_eq!(rig.drain().await, [10, 11, 12, 13, 14, 15, 2]);
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn may_end_with_an_empty_piece() {
    let dir = tempfile::tempdir().unwrap();
    for settings in settings_of_every_kind(dir.path()) {
        let rig = Rig::open(settings.clone());
        let message = Message::new(&rig);
        let first = message.piece(0..2, false).await;
        let last = message.piece(2..2, true).await;
        within(first).await.unwrap();
        within(last).await.unwrap();
        let empty = Message::new(&rig).piece(0..0, true).await;
        within(empty).await.unwrap();
        assert_eq!(rig.drain().await, [0, 1]);
        drop(rig);
        let again = Rig::open(settings);
        assert_eq!(again.drain().await, NOTHING);
    }
}

#[tokio::test]
async fn that_are_cut_off_are_discarded() {
    let dir = tempfile::tempdir().unwrap();
    for settings in settings_of_every_kind(dir.path()) {
        let rig = Rig::open(settings);
        let message = Message::new(&rig);
        let receipts = [
            message.piece(0..2, false).await,
            message.piece(2..5, false).await,
        ];
        rig.put(7..8).await;
        drop(message);
        for receipt in receipts {
            assert!(
                within(receipt).await.is_err(),
                "its sender must not be told that it is stored"
            );
        }
        until("discarded", || rig.dropped(DropReason::Aborted) == 5).await;
        assert_eq!(rig.account.imbalance(), 0);
        assert_eq!(rig.drain().await, [7]);
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn that_were_not_complete_at_a_kill_are_discarded_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        segment_bytes: 100,
        ..disk(dir.path())
    });
    let message = Message::new(&rig);
    message.piece(0..2, false).await;
    message.piece(2..4, false).await;
    rig.put(7..8).await;
    let killed = snapshot(dir.path());
    let again = Rig::open(disk(killed.path()));
    assert_eq!(
        (
            again.dropped(DropReason::Aborted),
            again.buffer.status().records
        ),
        (4, 1)
    );
    assert_eq!(again.drain().await, [7]);
    assert_eq!(again.account.imbalance(), 0);
    drop(again);
    let third = Rig::open(disk(killed.path()));
    assert_eq!(
        (
            third.dropped(DropReason::Aborted),
            third.buffer.status().records
        ),
        (0, 0)
    );
}

#[tokio::test]
async fn stay_whole_when_a_part_was_delivered_before_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        segment_bytes: 100,
        chunk_limit_records: Some(2),
        ..disk(dir.path())
    };
    let rig = Rig::open(settings.clone());
    let message = Message::new(&rig);
    for (numbers, last) in [(0..2, false), (2..4, false), (4..6, false), (6..8, true)] {
        message.piece(numbers, last).await;
    }
    let chunks = [
        rig.take().await,
        rig.take().await,
        rig.take().await,
        rig.take().await,
    ];
    let [first, second, third, last] = chunks;
    // The frame that makes the message valid is done, one of the others is not.
    assert_eq!(rig.deliver(last), [6, 7]);
    assert_eq!(rig.deliver(first), [0, 1]);
    assert_eq!(rig.deliver(third), [4, 5]);
    rig.put(9..10).await;
    until("done frames are noted", || {
        segment_files(dir.path()).len() <= 3
    })
    .await;
    let killed = snapshot(dir.path());
    let again = Rig::open(disk(killed.path()));
    let delivered = again.drain().await;
    assert!(
        delivered.starts_with(&[2, 3]) && delivered.ends_with(&[9]),
        "{delivered:?}"
    );
    drop(again);
    assert_eq!(Rig::open(disk(killed.path())).drain().await, NOTHING);
    assert_eq!(rig.deliver(second), [2, 3]);
    assert_eq!(rig.drain().await, [9]);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    until("nothing is left", || segment_files(dir.path()).len() <= 2).await;
}

#[tokio::test]
async fn that_fill_the_buffer_are_refused_instead_of_waiting_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let one = events(0..100).len() as u64;
    let rig = Rig::open(BufferSettings {
        total_limit_bytes: one * 3,
        ..disk(dir.path())
    });
    let message = Message::new(&rig);
    let receipts = [
        message.piece(0..100, false).await,
        message.piece(100..200, false).await,
    ];
    let (worker, refused) = tokio::join!(
        async {
            tokio::time::timeout(Duration::from_secs(3), rig.buffer.next_chunk())
                .await
                .is_err()
        },
        within(rig.buffer.reserve(usize::try_from(one).unwrap())),
    );
    assert!(worker, "nothing may be delivered");
    assert_eq!(refused.unwrap_err(), Refusal::Full);
    drop(message);
    for receipt in receipts {
        assert!(within(receipt).await.is_err());
    }
    within(rig.put(0..100)).await;
    assert_eq!(rig.drain().await.len(), 100);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn permits_are_given_back_when_the_bytes_are_written() {
    let dir = tempfile::tempdir().unwrap();
    for settings in settings_of_every_kind(dir.path()) {
        let rig = Rig::open(settings);
        let budget = Budget::new(1 << 20);
        let message = Message::new(&rig);
        let (mut batch, _receipt) = batch("large", 0..10);
        batch.piece = Some(Piece {
            group: Arc::clone(&message.group),
            last: false,
        });
        batch.permit = Some(Arc::new(budget.take(1 << 20).await));
        rig.admit(batch).await.unwrap();
        until("the permit is back", || budget.used_bytes() == 0).await;
    }
}

/// Origins of these frames: chunk id and place of the first record.
fn origins(chunk: &Chunk) -> Vec<(String, u32)> {
    let origins = chunk
        .frames()
        .iter()
        .map(|frame| frame.origin.clone().expect("an origin"));
    origins
        .map(|origin| {
            (
                String::from_utf8_lossy(&origin.chunk).into_owned(),
                origin.first,
            )
        })
        .collect()
}

/// Sends a message of three pieces, of which only the last knows the chunk id.
async fn with_origin(rig: &Rig) {
    let message = Message::new(rig);
    for (numbers, chunk) in [(0..2, ""), (2..5, ""), (5..6, "c7")] {
        let (mut batch, receipt) = batch("large", numbers.clone());
        let last = !chunk.is_empty();
        batch.origin = Some(Origin {
            chunk: chunk.into(),
            first: numbers.start,
            kept: None,
            identifies: true,
        });
        batch.piece = Some(Piece {
            group: Arc::clone(&message.group),
            last,
        });
        rig.admit(batch).await.unwrap();
        if last {
            within(receipt).await.unwrap();
        }
    }
}

#[tokio::test]
async fn give_every_piece_the_chunk_id_of_the_last() {
    let expected = [
        ("c7".to_owned(), 0),
        ("c7".to_owned(), 2),
        ("c7".to_owned(), 5),
    ];
    let dir = tempfile::tempdir().unwrap();
    for settings in settings_of_every_kind(dir.path()) {
        let rig = Rig::open(settings);
        with_origin(&rig).await;
        let chunk = rig.take().await;
        assert_eq!(origins(&chunk), expected);
        assert_eq!(rig.deliver(chunk), [0, 1, 2, 3, 4, 5]);
    }
}

#[tokio::test]
async fn give_every_piece_the_chunk_id_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    with_origin(&rig).await;
    let killed = snapshot(dir.path());
    let again = Rig::open(disk(killed.path()));
    let chunk = again.take().await;
    let expected = [
        ("c7".to_owned(), 0),
        ("c7".to_owned(), 2),
        ("c7".to_owned(), 5),
    ];
    assert_eq!(origins(&chunk), expected);
    assert_eq!(again.deliver(chunk), [0, 1, 2, 3, 4, 5]);
}

/// A file in quarantine that only holds the beginning of a frame is no place where the last piece may have been.
#[tokio::test]
async fn half_a_frame_in_quarantine_is_not_the_end_of_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    let message = Message::new(&rig);
    let _receipt = message.piece(0..1, false).await;
    let path = segment_files(dir.path()).remove(0);
    let len = || std::fs::metadata(&path).unwrap().len();
    until("it is stored", || len() > 64).await;
    let left = snapshot(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    let mut header = segment::SegmentHeader::decode(&bytes[..64]).unwrap();
    header.first += u64::from(segment::FRAMES_MAX);
    let quarantine = left.path().join("quarantine");
    std::fs::create_dir_all(&quarantine).unwrap();
    for (half, expected) in [(19, 0), (bytes.len() - 64, 1)] {
        let copy = snapshot(left.path());
        let aside = [header.encode(), bytes[64..64 + half].to_vec()].concat();
        let quarantine = copy.path().join("quarantine");
        std::fs::write(files::segment_path(&quarantine, header.first), aside).unwrap();
        let rig = Rig::open(disk(copy.path()));
        let delivered = rig.drain().await;
        assert_eq!(
            (delivered.len(), rig.dropped(DropReason::Aborted)),
            (expected, 1 - expected as u64),
            "{half} bytes"
        );
    }
}
