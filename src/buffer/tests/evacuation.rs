//! Segments that are kept for little are written anew when room is wanted, and nothing changes for who reads them.

use std::collections::BTreeMap;

use sdk::event::{Group, Piece};

use super::{
    faults::{IO, place},
    simulated::{Call, Fault, How, Simulated},
    *,
};

/// Segments of about twenty records, and room for about ten segments.
fn settings() -> BufferSettings {
    BufferSettings {
        segment_bytes: 2_000,
        total_limit_bytes: 20_000,
        chunk_limit_records: Some(1),
        ..disk(place())
    }
}

/// Fills a buffer; of every ten records the first is kept by a worker, the others are delivered. Returns what is kept.
async fn pinned(rig: &Rig) -> Vec<Chunk> {
    let mut kept = Vec::new();
    for number in 0..1_000 {
        let (batch, receipt) = batch("tag", number..number + 1);
        let admitted = tokio::time::timeout(Duration::from_millis(200), rig.admit(batch)).await;
        if admitted.is_err() {
            break;
        }
        within(receipt).await.unwrap();
        let chunk = rig.take().await;
        if number % 10 == 0 {
            kept.push(chunk);
        } else {
            rig.deliver(chunk);
        }
    }
    kept
}

fn identities(chunks: &[Chunk]) -> BTreeMap<u64, Vec<u32>> {
    let frames = chunks.iter().flat_map(Chunk::frames);
    frames
        .map(|frame| (frame.sequence, numbers(std::slice::from_ref(frame))))
        .collect()
}

#[tokio::test]
async fn room_is_found_though_every_segment_is_pinned() {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    let kept = pinned(&rig).await;
    // Without it, ten segments of twenty records would be all.
    assert!(kept.len() > 40, "{}", kept.len());
    let status = rig.buffer.status();
    assert!(status.bytes <= status.limit_bytes);
    let before = identities(&kept);
    for store in [store.killed(), store.without_power(None)] {
        let again = Rig::open_on(store.files(), settings()).unwrap();
        assert_eq!(again.counter("weir_buffer_corrupt_ranges_total"), 0);
        again.buffer.close();
        let mut hands = Vec::new();
        while let Some(chunk) = within(again.buffer.next_chunk()).await {
            hands.push(chunk);
        }
        let mut after = identities(&hands);
        after.retain(|_, numbers| numbers.iter().all(|number| number % 10 == 0));
        assert_eq!(after, before, "the same records under the same sequences");
        for chunk in hands {
            again.deliver(chunk);
        }
        assert_eq!(
            (again.account.imbalance(), again.account.held_now()),
            (0, 0)
        );
    }
    for chunk in kept {
        rig.deliver(chunk);
    }
    drop(rig.drain().await);
    until("only the newest segment is left", || {
        let status = rig.buffer.status();
        status.bytes < 2_500 && status.pinned_bytes == 0
    })
    .await;
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn a_chunk_that_was_set_aside_is_found_in_its_new_place() {
    for aside_before in [true, false] {
        let store = Simulated::new();
        let rig = Rig::open_on(store.files(), settings()).unwrap();
        let later = Instant::now() + Duration::from_hours(1);
        let mut hands = Vec::new();
        let mut kept = Vec::new();
        for number in 0..600 {
            rig.put(number..number + 1).await;
            let chunk = rig.take().await;
            if number % 20 != 7 {
                rig.deliver(chunk);
                continue;
            }
            kept.push(number);
            if aside_before {
                chunk.set_aside(later);
            } else {
                hands.push(chunk);
            }
        }
        // Thirty segments had to make room in ten.
        assert!(rig.buffer.status().bytes <= 20_000);
        for chunk in hands {
            chunk.set_aside(later);
        }
        rig.buffer.release_aside();
        assert_eq!(rig.drain().await, kept);
        assert_eq!(rig.counter("weir_buffer_corrupt_ranges_total"), 0);
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn a_segment_that_cannot_be_written_anew_stays_as_it_is() {
    for call in [Call::Sync, Call::Rename, Call::Write] {
        let store = Simulated::new();
        let rig = Rig::open_on(
            store.files(),
            BufferSettings {
                overflow: Overflow::ThrowException,
                ..settings()
            },
        )
        .unwrap();
        let mut kept = Vec::new();
        for number in 0..60 {
            rig.put(number..number + 1).await;
            let chunk = rig.take().await;
            if number % 10 == 0 {
                kept.push(chunk);
            } else {
                rig.deliver(chunk);
            }
        }
        let segments = || {
            store
                .all()
                .into_iter()
                .filter(|(path, _)| path.extension().is_some_and(|end| end == "seg"))
        };
        let before: Vec<_> = segments().collect();
        store.fail([Fault {
            call,
            from: 1,
            times: 2,
            how: How::Error(IO),
        }]);
        assert!(rig.buffer.reserve(30_000).await.is_err());
        assert_eq!(rig.buffer.reserve(18_000).await.unwrap_err(), Refusal::Full);
        until("it was tried", || {
            store.counts().get(&call).is_some_and(|count| *count >= 2)
        })
        .await;
        store.mend();
        for (path, len) in before {
            let now = segments()
                .find(|(other, _)| *other == path)
                .map(|(_, len)| len);
            assert!(now.is_none_or(|now| now <= len), "{}", path.display());
        }
        let killed = Rig::open_on(store.killed().files(), settings()).unwrap();
        let came = killed.drain().await;
        assert!(
            (0..60).step_by(10).all(|number| came.contains(&number)),
            "{came:?}"
        );
        assert_eq!(killed.counter("weir_buffer_corrupt_ranges_total"), 0);
        for chunk in kept {
            rig.deliver(chunk);
        }
        drop(rig.drain().await);
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn pieces_of_a_message_that_wait_stay_where_they_are() {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    let group = Group::next();
    let mut receipts = Vec::new();
    for piece in 0..3 {
        let (mut batch, receipt) = batch("large", 5_000 + piece..5_001 + piece);
        batch.piece = Some(Piece {
            group: Arc::clone(&group),
            last: piece == 2,
        });
        if piece == 2 {
            // It becomes complete when everything else is pinned.
            receipts.push((batch, receipt));
        } else {
            rig.admit(batch).await.unwrap();
        }
    }
    let kept = pinned(&rig).await;
    for chunk in kept {
        rig.deliver(chunk);
    }
    for (batch, receipt) in receipts {
        within(rig.admit(batch)).await.unwrap();
        within(receipt).await.unwrap();
    }
    let came = rig.drain().await;
    assert!(came.ends_with(&[5_000, 5_001, 5_002]), "{came:?}");
    assert_eq!(rig.counter("weir_buffer_corrupt_ranges_total"), 0);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn few_files_are_open_however_many_segments_there_are() {
    let store = Simulated::new();
    let settings = BufferSettings {
        segment_bytes: 100,
        total_limit_bytes: 1 << 30,
        recent_bytes: 0,
        ..settings()
    };
    let rig = Rig::open_on(store.files(), settings.clone()).unwrap();
    for number in 0..3_000 {
        rig.put(number..number + 1).await;
    }
    drop(rig);
    let store = store.killed();
    let rig = Rig::open_on(store.files(), settings).unwrap();
    assert!(store.files().segments(place()).unwrap().len() > 1_000);
    let mut came = 0;
    let workers = async {
        while came < 3_000 {
            let hands = [rig.take().await, rig.take().await, rig.take().await];
            for chunk in hands {
                came += rig.deliver(chunk).len();
            }
        }
    };
    within(workers).await;
    assert!(store.most_open() <= 17, "{} at once", store.most_open());
}
