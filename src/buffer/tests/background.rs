//! A buffer is in use while what an earlier process left in it is looked through.

use sdk::event::{DIGEST_LEN, Group, Piece, Session};

use super::{faults::place, simulated::Simulated, *};

fn settings() -> BufferSettings {
    BufferSettings {
        segment_bytes: 400,
        chunk_limit_records: Some(1),
        ..disk(place())
    }
}

/// The names of the segments, oldest first.
fn segments(store: &Simulated) -> Vec<String> {
    let segments = store.files().segments(place()).unwrap();
    segments.into_iter().map(segment::file_name).collect()
}

/// What `kill -9` leaves of a buffer with records from 0 to `count`.
async fn left(count: u32) -> Simulated {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    for number in 0..count {
        rig.put(number..number + 1).await;
    }
    store.killed()
}

async fn recovered(rig: &Rig) {
    until("all is looked through", || {
        !rig.buffer.status().is_recovering
    })
    .await;
}

async fn nothing_comes(rig: &Rig) {
    let wait = Duration::from_millis(30);
    let chunk = tokio::time::timeout(wait, rig.buffer.next_chunk()).await;
    assert!(chunk.is_err(), "{chunk:?}");
}

#[tokio::test]
async fn records_are_taken_at_once_and_come_after_the_old_ones() {
    let store = left(30).await;
    store.hold(segments(&store).first().cloned());
    let bytes: u64 = store
        .all()
        .iter()
        .filter(|(path, _)| path.extension().is_some())
        .map(|(_, len)| len)
        .sum();
    let rig = Rig::open_at_once(store.files(), settings()).unwrap();
    assert!(
        rig.counter("weir_buffer_recovery_left_bytes") > bytes - 200,
        "it is told from the first moment"
    );
    let status = rig.buffer.status();
    assert!(status.is_recovering && status.records == 0 && status.failed.is_none());
    assert!(
        status.bytes > bytes - 200,
        "{} of {bytes} are counted",
        status.bytes
    );
    for number in 30..40 {
        rig.put(number..number + 1).await;
    }
    nothing_comes(&rig).await;
    assert!(!rig.buffer.is_empty());
    assert!(rig.counter("weir_buffer_recovery_left_bytes") > 0);
    store.hold(None);
    recovered(&rig).await;
    assert_eq!(rig.buffer.status().records, 40);
    assert_eq!(rig.counter("weir_buffer_recovery_left_bytes"), 0);
    assert_eq!(rig.drain().await, (0..40).collect::<Vec<_>>());
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    until("only one segment is left", || segments(&store).len() == 1).await;
}

#[tokio::test]
async fn what_was_looked_through_is_delivered_while_the_rest_is() {
    let store = left(30).await;
    let names = segments(&store);
    store.hold(names.get(names.len() / 2).cloned());
    let rig = Rig::open_at_once(store.files(), settings()).unwrap();
    let mut came = Vec::new();
    while came.len() < 8 {
        let chunk = rig.take().await;
        came.extend(rig.deliver(chunk));
    }
    assert_eq!(came, (0..8).collect::<Vec<_>>());
    until("what is delivered is removed", || {
        segments(&store).len() < names.len()
    })
    .await;
    assert!(rig.buffer.status().is_recovering);
    // A kill in the middle of it leaves what is not delivered.
    let killed = Rig::open_on(store.killed().files(), settings()).unwrap();
    assert_eq!(killed.drain().await, (8..30).collect::<Vec<_>>());
    store.hold(None);
    assert_eq!(rig.drain().await, (8..30).collect::<Vec<_>>());
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn the_end_of_the_buffer_ends_recovery() {
    let store = left(30).await;
    store.hold(segments(&store).get(1).cloned());
    let rig = Rig::open_at_once(store.files(), settings()).unwrap();
    rig.put(30..31).await;
    let other = store.clone();
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        other.hold(None);
    });
    drop(rig);
    release.join().unwrap();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    assert_eq!(rig.drain().await, (0..31).collect::<Vec<_>>());
}

/// Stores messages of three pieces between others, one of them without its end.
async fn with_messages() -> Simulated {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    for message in 0..10 {
        let group = Group::next();
        for piece in 0..3 {
            let number = message * 10 + piece;
            let (mut batch, _receipt) = batch("large", number..number + 1);
            batch.piece = Some(Piece {
                group: Arc::clone(&group),
                last: piece == 2 && message != 7,
            });
            rig.admit(batch).await.unwrap();
            rig.put(number + 5..number + 6).await;
        }
        if message == 7 {
            std::mem::forget(group);
        }
    }
    store.killed()
}

fn expected() -> Vec<u32> {
    let all = (0..10).flat_map(|message| [0, 1, 2, 5, 6, 7].map(|n| message * 10 + n));
    all.filter(|number| !(70..73).contains(number)).collect()
}

#[tokio::test]
async fn large_messages_are_whole_or_given_up() {
    let store = with_messages().await;
    let names = segments(&store);
    for name in &names {
        let store = store.killed();
        store.hold(Some(name.clone()));
        let rig = Rig::open_at_once(store.files(), settings()).unwrap();
        rig.put(100..101).await;
        store.hold(None);
        let mut came = rig.drain().await;
        came.sort_unstable();
        let mut wanted = expected();
        wanted.push(100);
        assert_eq!(came, wanted);
        assert_eq!(rig.dropped(DropReason::Aborted), 3);
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_is_left_alone_and_read_later() {
    let store = with_messages().await;
    for name in segments(&store) {
        let store = store.killed();
        let path = place().join(&name);
        let before = store.read(&path);
        store.deny(Some(name.clone()));
        let rig = Rig::open_on(store.files(), settings()).unwrap();
        rig.put(100..101).await;
        let mut came = Vec::new();
        let others = Duration::from_millis(100);
        while let Ok(chunk) = tokio::time::timeout(others, rig.take()).await {
            came.extend(rig.deliver(chunk));
        }
        assert!(came.contains(&100) && came.len() < expected().len());
        assert_eq!(store.read(&path), before);
        assert!(rig.counter("weir_buffer_corrupt_ranges_total") > 0);
        assert!(rig.counter("weir_buffer_recovery_left_bytes") > 0);
        rig.put(101..102).await;
        store.deny(None);
        until("it is read", || {
            rig.counter("weir_buffer_recovery_left_bytes") == 0
        })
        .await;
        came.extend(rig.drain().await);
        came.sort_unstable();
        let mut wanted = expected();
        wanted.extend([100, 101]);
        assert_eq!(came, wanted, "{name}");
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn what_may_have_been_stored_waits_until_that_is_known() {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    let print =
        |session: &mut Session, number| session.next([number; DIGEST_LEN], Duration::from_mins(1));
    let mut session = Session::new();
    let (mut known, receipt) = batch("tag", 0..1);
    known.fingerprint = Some(print(&mut session, 1));
    rig.admit(known).await.unwrap();
    within(receipt).await.unwrap();
    rig.put(1..2).await;
    let store = store.killed();
    store.hold(segments(&store).first().cloned());
    let rig = Rig::open_at_once(store.files(), settings()).unwrap();
    let mut session = Session::new();
    let mut receipts = Vec::new();
    for (number, mark) in [(0, 1), (2, 2)] {
        let (mut batch, receipt) = batch("tag", number..number + 1);
        batch.fingerprint = Some(print(&mut session, mark));
        rig.admit(batch).await.unwrap();
        receipts.push(receipt);
    }
    rig.put(3..4).await;
    assert!(receipts.iter().all(|receipt| !receipt.is_settled()));
    store.hold(None);
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    let mut came = rig.drain().await;
    came.sort_unstable();
    assert_eq!(came, [0, 1, 2, 3]);
    assert_eq!(rig.dropped(DropReason::Duplicate), 1);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}
