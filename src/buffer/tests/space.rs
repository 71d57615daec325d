//! A volume that has no room, or less than must stay free, because of us or of a neighbour.

use super::{
    faults::place,
    simulated::Simulated,
    store::{Mode, Store as _},
    *,
};

/// A volume of a mebibyte: its ballast has 64 KiB, and 20 KiB stay free.
const VOLUME_BYTES: u64 = 1 << 20;
const BALLAST_BYTES: u64 = VOLUME_BYTES / 16;
const FREE_BYTES: u64 = VOLUME_BYTES / 50;

fn volume() -> Simulated {
    let store = Simulated::new();
    store.limit(Some(VOLUME_BYTES));
    store
}

fn settings() -> BufferSettings {
    BufferSettings {
        segment_bytes: 20_000,
        chunk_limit_records: Some(100),
        ..disk(place())
    }
}

fn free(store: &Simulated) -> u64 {
    store.volume(place()).unwrap().free
}

fn neighbour() -> &'static Path {
    Path::new("/neighbour")
}

/// Somebody else takes all that is free but `left` bytes.
fn crowd(store: &Simulated, left: u64) {
    let file = store.open(neighbour(), Mode::CreateNew).unwrap();
    file.allocate(free(store) - left).unwrap();
}

fn ballast(rig: &Rig) -> u64 {
    rig.counter("weir_buffer_ballast_bytes")
}

/// Stores batches of a hundred records until one finds no room; returns the number of records.
async fn fill(rig: &Rig) -> u32 {
    for number in (0..).step_by(100) {
        let put = rig.put(number..number + 100);
        if tokio::time::timeout(Duration::from_millis(300), put)
            .await
            .is_err()
        {
            return number;
        }
    }
    unreachable!()
}

#[tokio::test]
async fn the_buffer_leaves_free_what_must_stay_free() {
    let store = volume();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    assert_eq!(ballast(&rig), BALLAST_BYTES);
    assert_eq!(rig.counter("weir_buffer_min_free_bytes"), FREE_BYTES);
    let stored = fill(&rig).await;
    assert!(rig.buffer.status().is_full);
    // What was promised before the look is still written.
    assert!(free(&store) > FREE_BYTES / 2, "{}", free(&store));
    assert!(free(&store) < FREE_BYTES + 20_000);
    assert_eq!(ballast(&rig), BALLAST_BYTES, "nothing ran into the wall");
    let waiting = rig.put(stored..stored + 100);
    let deliver = async {
        for _ in 0..20 {
            rig.deliver(rig.take().await);
        }
    };
    within(async { tokio::join!(waiting, deliver) }).await;
    until("it is not full any more", || !rig.buffer.status().is_full).await;
    assert!(rig.drain().await.ends_with(&[stored + 99]));
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn what_is_delivered_is_noted_on_a_full_volume() {
    let store = volume();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    rig.put(0..100).await;
    rig.put(100..200).await;
    crowd(&store, 0);
    let (batch, receipt) = batch("tag", 200..300);
    rig.admit(batch).await.unwrap();
    until("the buffer is full", || rig.buffer.status().is_full).await;
    let chunk = rig.take().await;
    assert_eq!(rig.deliver(chunk).len(), 100);
    until("ballast is given up", || ballast(&rig) < BALLAST_BYTES).await;
    let noted = || async {
        let killed = Rig::open_on(store.killed().files(), settings()).unwrap();
        killed.drain().await == (100..200).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + DEADLINE;
    while !noted().await {
        assert!(Instant::now() < deadline, "what was delivered comes again");
    }
    assert!(!receipt.is_settled(), "there is no room for it");
    assert!(
        free(&store) > 3_000,
        "no batch gets the room of the ballast"
    );
    store.unlink(neighbour()).unwrap();
    within(receipt).await.unwrap();
    until("the ballast is back", || ballast(&rig) == BALLAST_BYTES).await;
    assert_eq!(rig.drain().await, (100..300).collect::<Vec<_>>());
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn a_buffer_on_a_full_volume_opens_delivers_and_takes_again() {
    let store = volume();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    rig.put(0..100).await;
    for has_ballast in [true, false] {
        let store = store.killed();
        if !has_ballast {
            store.unlink(&place().join("ballast")).unwrap();
        }
        crowd(&store, 0);
        let rig = Rig::open_on(store.files(), settings()).unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(100), rig.put(100..200)).await;
        assert!(waiting.is_err() && rig.buffer.status().failed.is_none());
        let chunk = rig.take().await;
        assert_eq!(rig.deliver(chunk).len(), 100);
        store.unlink(neighbour()).unwrap();
        within(rig.put(200..300)).await;
        until("the ballast is there", || ballast(&rig) == BALLAST_BYTES).await;
        assert!(rig.drain().await.ends_with(&[299]));
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn on_a_full_volume_the_oldest_go_where_that_is_asked_for() {
    for left in [0, FREE_BYTES / 2] {
        let store = volume();
        let rig = Rig::open_on(
            store.files(),
            BufferSettings {
                overflow: Overflow::DropOldestChunk,
                ..settings()
            },
        )
        .unwrap();
        for number in (0..20_000).step_by(100) {
            within(rig.put(number..number + 100)).await;
        }
        crowd(&store, left);
        for number in (20_000..30_000).step_by(100) {
            within(rig.put(number..number + 100)).await;
        }
        assert!(rig.dropped(DropReason::Overflow) > 0);
        let left = rig.drain().await;
        let dropped = u32::try_from(rig.dropped(DropReason::Overflow)).unwrap();
        assert!(
            left.len() > 5_000,
            "{}: no more than was needed",
            left.len()
        );
        assert_eq!(left, (dropped..30_000).collect::<Vec<_>>());
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn throw_exception_refuses_on_a_full_volume_and_takes_again() {
    let store = volume();
    let rig = Rig::open_on(
        store.files(),
        BufferSettings {
            overflow: Overflow::ThrowException,
            ..settings()
        },
    )
    .unwrap();
    crowd(&store, FREE_BYTES / 2);
    until("it refuses", || {
        let mut reserve = std::pin::pin!(rig.buffer.reserve(100));
        let answer = reserve
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        matches!(answer, std::task::Poll::Ready(Err(Refusal::Full)))
    })
    .await;
    store.unlink(neighbour()).unwrap();
    until("it is not full any more", || !rig.buffer.status().is_full).await;
    rig.put(0..100).await;
    assert_eq!(rig.drain().await.len(), 100);
}

#[tokio::test]
async fn a_small_buffer_has_no_ballast_and_another_size_replaces_it() {
    let store = Simulated::new();
    let path = place().join("ballast");
    for (limit, expected) in [
        (8 << 30, 4 << 20),
        (16 << 20, 1 << 20),
        (1 << 19, 0),
        (8 << 20, 1 << 19),
    ] {
        let rig = Rig::open_on(
            store.files(),
            BufferSettings {
                total_limit_bytes: limit,
                ..disk(place())
            },
        )
        .unwrap();
        assert_eq!(ballast(&rig), expected);
        assert_eq!(store.all().get(&path).copied().unwrap_or(0), expected);
        rig.put(0..1).await;
    }
}
