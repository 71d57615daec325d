//! A disk that does not take what it should: full, failing to write, failing to sync.

use rustix::io::Errno;

use sdk::event::{DIGEST_LEN, Group, Piece, Session};

use super::{
    simulated::{Call, Fault, How, Simulated},
    store::Mode,
    *,
};

pub(super) const IO: i32 = Errno::IO.raw_os_error();
pub(super) const NO_ROOM: i32 = Errno::NOSPC.raw_os_error();

/// Where the buffer lies on a simulated volume.
pub(super) fn place() -> &'static Path {
    Path::new("/buffer")
}

/// Every call of this kind does so from now on.
fn always(call: Call, how: How) -> [Fault; 1] {
    [Fault {
        call,
        from: 1,
        times: u64::MAX / 2,
        how,
    }]
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_leaves_no_trace() {
    for segment_bytes in [100, 1 << 20] {
        for taken in [0, 1, 50] {
            let store = Simulated::new();
            let settings = BufferSettings {
                segment_bytes,
                ..disk(place())
            };
            let rig = Rig::open_on(store.files(), settings).unwrap();
            rig.put(0..1).await;
            store.fail(always(Call::Write, How::After(taken, NO_ROOM)));
            let (batch, receipt) = batch("tag", 1..2);
            rig.admit(batch).await.unwrap();
            until("the buffer counts as full", || rig.buffer.status().is_full).await;
            let waiting = rig.put(2..3);
            let room_comes = async {
                assert!(
                    !receipt.is_settled(),
                    "nothing is promised while it cannot be stored"
                );
                store.mend();
            };
            within(async { tokio::join!(waiting, room_comes) }).await;
            within(receipt).await.unwrap();
            until("no longer full", || !rig.buffer.status().is_full).await;
            let again = Rig::open_on(store.killed().files(), disk(place())).unwrap();
            assert_eq!(again.drain().await, [0, 1, 2]);
            assert_eq!(
                again.counter("weir_buffer_cut_writes_total"),
                0,
                "segments of {segment_bytes}"
            );
            assert_eq!(rig.drain().await, [0, 1, 2]);
            assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        }
    }
}

/// Every call of this kind from `from` on, `times` times.
fn some(call: Call, from: u64, times: u64, how: How) -> [Fault; 1] {
    [Fault {
        call,
        from,
        times,
        how,
    }]
}

fn open(store: &Simulated, settings: BufferSettings) -> Rig {
    Rig::open_on(store.files(), settings).unwrap()
}

#[tokio::test]
async fn a_failed_write_or_sync_costs_a_segment_and_nothing_else() {
    let faults = [
        (Call::Sync, How::Error(IO)),
        (Call::Sync, How::Error(NO_ROOM)),
        (Call::Write, How::After(0, IO)),
        (Call::Write, How::After(30, IO)),
        (Call::Write, How::After(200, IO)),
    ];
    for (call, how) in faults {
        for at in 1..6 {
            let store = Simulated::new();
            let rig = open(&store, disk(place()));
            rig.put(0..1).await;
            store.fail(some(call, at, 1, how));
            for number in 1..6 {
                rig.put(number..number + 1).await;
            }
            let case = format!("{call:?} {at} {how:?}");
            assert_eq!(rig.buffer.status().failed, None, "{case}");
            assert_eq!(
                rig.counter("weir_buffer_abandoned_segments_total"),
                1,
                "{case}"
            );
            for left in [store.killed(), store.without_power(None)] {
                let again = open(&left, disk(place()));
                assert_eq!(again.drain().await, [0, 1, 2, 3, 4, 5], "{case}: each once");
                assert_eq!(
                    (again.account.imbalance(), again.account.held_now()),
                    (0, 0)
                );
                assert_eq!(again.dropped(DropReason::Corrupt), 0, "{case}");
            }
            let mut sequences = Vec::new();
            let mut numbers = Vec::new();
            rig.buffer.close();
            while let Some(chunk) = within(rig.buffer.next_chunk()).await {
                sequences.extend(chunk.frames().iter().map(|frame| frame.sequence));
                numbers.extend(rig.deliver(chunk));
            }
            assert_eq!(numbers, [0, 1, 2, 3, 4, 5], "{case}");
            assert!(
                sequences.is_sorted_by(|one, two| one < two),
                "{case}: {sequences:?}"
            );
            assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_on_ends_the_promises_until_it_works_again() {
    let faults = [
        (Call::Sync, How::Error(IO)),
        (Call::Write, How::After(0, IO)),
        (Call::Write, How::After(30, IO)),
        (Call::Write, How::Error(Errno::ROFS.raw_os_error())),
    ];
    for (call, how) in faults {
        let store = Simulated::new();
        let rig = open(&store, disk(place()));
        rig.put(0..1).await;
        store.fail(always(call, how));
        let mut receipts = Vec::new();
        for number in 1..4 {
            let (batch, receipt) = batch("tag", number..number + 1);
            if rig.admit(batch).await.is_ok() {
                receipts.push(receipt);
            }
        }
        for receipt in receipts {
            assert!(within(receipt).await.is_err(), "{call:?} {how:?}");
        }
        until("failed", || rig.buffer.status().failed.is_some()).await;
        let refusal = rig.buffer.reserve(1).await.unwrap_err();
        assert!(matches!(refusal, Refusal::Failed { .. }), "{refusal}");
        let chunk = rig.take().await;
        assert_eq!(
            rig.deliver(chunk),
            [0],
            "what was stored before is delivered"
        );
        let killed = store.killed();
        store.mend();
        until("mended", || rig.buffer.status().failed.is_none()).await;
        rig.put(7..9).await;
        for left in [store.killed(), store.without_power(None)] {
            let again = open(&left, disk(place()));
            let left = again.drain().await;
            assert!(
                left == [7, 8] || left == [0, 7, 8],
                "{call:?} {how:?}: {left:?}"
            );
            assert_eq!(again.account.imbalance(), 0);
        }
        assert_eq!(rig.drain().await, [7, 8]);
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        let again = open(&killed, disk(place()));
        again.put(5..6).await;
        assert!(again.drain().await.ends_with(&[5]));
        assert_eq!(again.account.imbalance(), 0);
    }
}

#[tokio::test]
async fn a_directory_in_which_nothing_can_be_made_is_opened_all_the_same() {
    let modes = [Call::Open(Mode::CreateNew), Call::SyncDir];
    let kinds = [
        IO,
        NO_ROOM,
        Errno::MFILE.raw_os_error(),
        Errno::ROFS.raw_os_error(),
    ];
    for (call, errno) in modes
        .into_iter()
        .flat_map(|call| kinds.map(|errno| (call, errno)))
    {
        let store = Simulated::new();
        let rig = open(&store, disk(place()));
        rig.put(0..3).await;
        drop(rig);
        store.fail(always(call, How::Error(errno)));
        let rig = open(&store, disk(place()));
        let is_full = errno == NO_ROOM;
        assert_eq!(
            rig.buffer.status().failed.is_none(),
            is_full,
            "{call:?} {errno}"
        );
        let chunk = rig.take().await;
        assert_eq!(rig.deliver(chunk), [0, 1, 2]);
        store.mend();
        until("mended", || rig.buffer.status().failed.is_none()).await;
        rig.put(3..4).await;
        assert_eq!(rig.drain().await, [3], "{call:?} {errno}");
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    }
}

#[tokio::test]
async fn a_large_message_of_which_a_piece_was_refused_never_becomes_whole() {
    let store = Simulated::new();
    let rig = open(&store, disk(place()));
    let group = Group::next();
    let piece = |numbers, last| {
        let (mut batch, receipt) = batch("large", numbers);
        batch.piece = Some(Piece {
            group: Arc::clone(&group),
            last,
        });
        (batch, receipt)
    };
    let (first, one) = piece(0..1, false);
    rig.admit(first).await.unwrap();
    until("stored", || {
        rig.buffer.status().records == 1 && rig.account.received_so_far() == 1
    })
    .await;
    store.fail(always(Call::Sync, How::Error(IO)));
    let (second, two) = piece(1..2, false);
    rig.admit(second).await.unwrap();
    assert!(within(two).await.is_err() && within(one).await.is_err());
    store.mend();
    until("mended", || rig.buffer.status().failed.is_none()).await;
    let (third, three) = piece(2..3, true);
    rig.admit(third).await.unwrap();
    assert!(within(three).await.is_err());
    drop(group);
    rig.put(7..8).await;
    assert_eq!(rig.drain().await, [7]);
    until("its first piece is discarded", || {
        rig.account.held_now() == 0
    })
    .await;
    assert_eq!(rig.account.imbalance(), 0);
}

#[tokio::test]
async fn what_was_never_stored_is_not_known_to_the_duplicate_window() {
    let message = |session: &mut Session, number: u32| {
        let (mut batch, receipt) = batch("tag", number..number + 1);
        batch.fingerprint = Some(session.next([7; DIGEST_LEN], Duration::from_mins(10)));
        session.owe();
        (batch, receipt)
    };
    let store = Simulated::new();
    let rig = open(&store, disk(place()));
    rig.put(0..1).await;
    // The group is whole on disk, but its sync failed, and so does everything after it, until a segment can be made.
    store.fail([
        Fault {
            call: Call::Sync,
            from: 1,
            times: 1,
            how: How::Error(IO),
        },
        Fault {
            call: Call::Open(Mode::CreateNew),
            from: 1,
            times: 1,
            how: How::Error(IO),
        },
    ]);
    let mut lost = Session::new();
    let (sent, receipt) = message(&mut lost, 1);
    rig.admit(sent).await.unwrap();
    assert!(within(receipt).await.is_err());
    until("mended", || rig.buffer.status().failed.is_none()).await;
    let again = open(&store.killed(), disk(place()));
    drop(lost);
    let (sent, receipt) = message(&mut Session::new(), 1);
    again.admit(sent).await.unwrap();
    within(receipt).await.unwrap();
    assert_eq!(again.drain().await, [0, 1]);
}

#[tokio::test]
async fn a_segment_goes_after_the_state_is_durable_and_before_the_directory_is() {
    let store = Simulated::new();
    let settings = BufferSettings {
        segment_bytes: 200,
        ..disk(place())
    };
    let rig = open(&store, settings);
    store.take_journal();
    for number in 0..20 {
        rig.put(number..number + 1).await;
        let chunk = rig.take().await;
        rig.deliver(chunk);
    }
    until("segments are removed", || store.all().len() < 6).await;
    let journal = store.take_journal();
    let unlinked = |(call, name): &&(Call, String)| {
        *call == Call::Unlink && segment::parse_name(name).is_some()
    };
    assert!(journal.iter().filter(unlinked).count() > 3);
    for (at, _) in journal
        .iter()
        .enumerate()
        .filter(|(_, call)| unlinked(call))
    {
        let state = journal[..at].iter().rev().find(|(_, name)| name == "state");
        assert_eq!(state.unwrap().0, Call::Sync, "before {at} of {journal:?}");
        let behind = journal[at..].iter().find(|call| !unlinked(call)).unwrap();
        assert_eq!(behind.0, Call::SyncDir, "behind {at} of {journal:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_removed_still_counts_and_is_removed_later() {
    for call in [Call::Unlink, Call::Sync] {
        let store = Simulated::new();
        let settings = BufferSettings {
            segment_bytes: 200,
            durability: Durability::Os,
            ..disk(place())
        };
        let rig = open(&store, settings);
        let occupied = |store: &Simulated| -> u64 {
            let all = store.all().into_iter();
            all.filter(|(path, _)| path.extension().is_some_and(|ending| ending == "seg"))
                .map(|(_, len)| len)
                .sum()
        };
        for number in 0..12 {
            rig.put(number..number + 1).await;
        }
        // Only segments are removed, and the state is the only file that is synced.
        store.fail(always(call, How::Error(IO)));
        let before = store.all();
        while rig.account.held_now() > 0 {
            let chunk = rig.take().await;
            rig.deliver(chunk);
        }
        let is_stuck = || store.counts().get(&call).copied() > Some(2);
        until("removal was tried", is_stuck).await;
        assert!(
            store
                .all()
                .keys()
                .filter(|path| before.contains_key(*path))
                .count()
                >= before.len() - 1
        );
        assert_eq!(rig.buffer.status().bytes, occupied(&store), "{call:?}");
        store.mend();
        until("they are removed", || rig.buffer.status().bytes < 300).await;
        assert_eq!(rig.buffer.status().bytes, occupied(&store), "{call:?}");
        assert_eq!(rig.account.imbalance(), 0);
        drop(rig);
        let again = open(&store, disk(place()));
        assert_eq!(again.counter("weir_buffer_lost_segments_total"), 0);
        assert_eq!(again.drain().await, NOTHING);
    }
}

#[tokio::test]
async fn a_segment_that_is_missing_is_said_and_the_others_are_delivered() {
    let store = Simulated::new();
    let settings = BufferSettings {
        segment_bytes: 200,
        recent_bytes: 0,
        chunk_limit_records: Some(1),
        ..disk(place())
    };
    let rig = open(&store, settings.clone());
    for number in 0..9 {
        rig.put(number..number + 1).await;
    }
    let segments = store.files().segments(place()).unwrap();
    let second = files::segment_path(place(), segments[1]);
    let killed = store.killed();
    killed.files().remove(&second).unwrap();
    let again = open(&killed, settings.clone());
    assert_eq!(again.counter("weir_buffer_lost_segments_total"), 1);
    let left = again.drain().await;
    assert!((5..9).contains(&left.len()), "{left:?}");
    assert_eq!(
        (again.account.imbalance(), again.account.held_now()),
        (0, 0)
    );
    drop(again);
    let third = open(&killed, settings);
    assert_eq!(
        third.counter("weir_buffer_lost_segments_total"),
        0,
        "said once"
    );

    store.files().remove(&second).unwrap();
    assert_eq!(rig.drain().await, left);
    assert_eq!(rig.counter("weir_buffer_lost_segments_total"), 1);
    assert_eq!(rig.dropped(DropReason::Corrupt), 9 - left.len() as u64);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

/// A buffer of three segments that has to read everything back.
async fn read_back(store: &Simulated) -> Rig {
    let settings = BufferSettings {
        segment_bytes: 40_000,
        recent_bytes: 0,
        chunk_limit_records: Some(500),
        ..disk(place())
    };
    let rig = open(store, settings);
    for number in 0..9 {
        rig.put(number * 1000..(number + 1) * 1000).await;
    }
    rig
}

#[tokio::test]
async fn reading_that_fails_for_a_while_loses_nothing() {
    for (call, from, times) in [
        (Call::Read, 1, 3),
        (Call::Read, 4, 3),
        (Call::Open(Mode::Read), 1, 3),
        (Call::Len, 1, 1),
    ] {
        for live in [true, false] {
            let store = Simulated::new();
            let rig = read_back(&store).await;
            let killed = store.killed();
            let store = if live { store } else { killed };
            store.fail(some(call, from, times, How::Error(IO)));
            let rig = if live {
                rig
            } else {
                open(&store, disk(place()))
            };
            assert_eq!(rig.drain().await.len(), 9_000, "{call:?} {live}");
            assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
            assert_eq!(rig.dropped(DropReason::Corrupt), 0);
        }
    }
}

#[tokio::test]
async fn what_can_never_be_read_is_kept_and_not_called_delivered() {
    for live in [true, false] {
        let store = Simulated::new();
        let rig = read_back(&store).await;
        let killed = store.killed();
        let store = if live { store } else { killed };
        let segments = store.files().segments(place()).unwrap();
        let path = files::segment_path(place(), segments[1]);
        store.spoil(&path, 25_000..25_010);
        let rig = if live {
            rig
        } else {
            open(&store, disk(place()))
        };
        let delivered = rig.drain().await;
        assert_eq!(delivered.len(), 8_000, "one frame is lost, live: {live}");
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        assert_eq!(rig.dropped(DropReason::Corrupt), 1_000);
        assert_eq!(rig.account.delivered_so_far(), 8_000);
        let kept = place().join("quarantine").join(path.file_name().unwrap());
        until("the segment is kept", || store.read(&kept).is_some()).await;
    }
}

#[test]
fn a_dead_letter_that_cannot_be_written_keeps_nothing() {
    let faults = [
        (Call::Sync, How::Error(IO)),
        (Call::Write, How::After(20, NO_ROOM)),
    ];
    for (call, how) in faults {
        let store = Simulated::new();
        let files = store.files();
        let letter = DeadLetter::open_on(files.clone(), place(), 1 << 20, &Metrics::new()).unwrap();
        store.fail(always(call, how));
        let error = letter.append(&[dead_letters::dead(1)]).unwrap_err();
        assert!(matches!(error, DeadLetterError::Io { .. }), "{error}");
        store.mend();
        letter.append(&[dead_letters::dead(2)]).unwrap();
        let lines = dead_letters::lines_on(&files, place());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["record"]["n"], 2);
    }
}
