//! What broke in other routers and can be tried with a buffer alone; the numbers are those of the table in
//! `docs/RESULTS.md`.

use std::fs;

use super::*;

/// A chunk of one record, segments of a few.
fn small_segments(dir: &Path) -> BufferSettings {
    BufferSettings {
        segment_bytes: 400,
        chunk_limit_records: Some(1),
        ..disk(dir)
    }
}

#[tokio::test]
async fn l01_a_state_file_cut_or_changed_anywhere_repeats_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(small_segments(dir.path()));
    for number in 0..4 {
        rig.put(number..number + 1).await;
    }
    for number in [0, 1] {
        let chunk = rig.take().await;
        assert_eq!(rig.deliver(chunk), [number]);
    }
    until("the state file tells", || {
        Inspection::look(dir.path()).unwrap().done().records > 0
    })
    .await;
    let killed = snapshot(dir.path());
    let state = fs::read(killed.path().join("state")).unwrap();
    for at in 0..=state.len() {
        let mut changed = state.clone();
        let cut = state[..at].to_vec();
        changed
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|byte| *byte ^= 0x20);
        for bytes in [cut, changed] {
            let copy = snapshot(killed.path());
            fs::write(copy.path().join("state"), bytes).unwrap();
            let again = Rig::open(small_segments(copy.path()));
            let delivered = again.drain().await;
            assert!(delivered.ends_with(&[2, 3]), "at {at}: {delivered:?}");
            assert!(delivered.is_sorted(), "at {at}: {delivered:?}");
        }
    }
}

#[tokio::test]
async fn l04_a_path_with_odd_letters_is_found_again() {
    let home = tempfile::tempdir().unwrap();
    for name in [
        "a [b] {c} * ? d",
        ".hidden",
        "\u{e9}\u{1f30a}",
        "%2e%2e",
        "a\nb",
        "state",
        "x.seg",
    ] {
        let dir = home.path().join(name);
        let rig = Rig::open(disk(&dir));
        rig.put(0..3).await;
        drop(rig);
        let rig = Rig::open(disk(&dir));
        assert_eq!(rig.drain().await, [0, 1, 2], "{name:?}");
    }
}

/// The descriptors of this process that lead into a directory.
fn descriptors(dir: &Path) -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let into =
        all.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(dir)));
    into.count()
}

#[tokio::test]
async fn l12_a_long_backlog_needs_no_more_descriptors_than_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(small_segments(dir.path()));
    for number in 0..600 {
        rig.put(number..number + 1).await;
    }
    drop(rig);
    assert!(segment_files(dir.path()).len() > 100);
    let rig = Rig::open(small_segments(dir.path()));
    let mut most = descriptors(dir.path());
    for number in 0..600 {
        let chunk = rig.take().await;
        most = most.max(descriptors(dir.path()));
        assert_eq!(rig.deliver(chunk), [number]);
    }
    assert!(most <= 8, "{most} descriptors");
}

#[tokio::test]
async fn l39_content_that_cannot_be_read_does_not_keep_a_buffer_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    rig.put(0..1).await;
    let (mut garbage, receipt) = batch("tag", 1..3);
    garbage.events = bytes::Bytes::from_static(&[0xc1; 40]);
    rig.admit(garbage).await.unwrap();
    within(receipt).await.unwrap();
    rig.put(3..4).await;
    drop(rig);
    let rig = Rig::open(BufferSettings {
        chunk_limit_bytes: 1,
        ..disk(dir.path())
    });
    let mut counts = Vec::new();
    for _ in 0..3 {
        let mut chunk = rig.take().await;
        counts.push(chunk.record_count());
        rig.account.delivered(u64::from(chunk.record_count()));
        chunk.settle(Bitmap::empty(chunk.record_count()));
        chunk.finish();
    }
    assert_eq!(counts, [1, 2, 1]);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn l44_other_sizes_over_a_full_buffer_and_empty_segments_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for (round, segment_bytes) in (0_u32..).zip([400, 1 << 20, 1, 16 << 20, 300]) {
        let rig = Rig::open(BufferSettings {
            segment_bytes,
            chunk_limit_bytes: 1 << (round * 4),
            recent_bytes: 1 << (round * 4),
            total_limit_bytes: 1 << (20 + round),
            ..disk(dir.path())
        });
        for number in round * 10..round * 10 + 10 {
            rig.put(number..number + 1).await;
            expected.push(number);
        }
        drop(rig);
        let newest = segment_files(dir.path()).pop().unwrap();
        let first = u64::from_str_radix(newest.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
        fs::write(files::segment_path(dir.path(), first + 500), b"").unwrap();
    }
    let rig = Rig::open(disk(dir.path()));
    assert_eq!(rig.drain().await, expected);
}

#[tokio::test]
async fn l45_an_empty_buffer_has_one_segment_also_after_kills() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(small_segments(dir.path()));
    for number in 0..40 {
        rig.put(number..number + 1).await;
        if number % 2 == 0 {
            let chunk = rig.take().await;
            rig.deliver(chunk);
        }
    }
    let mut killed = snapshot(dir.path());
    for _ in 0..3 {
        drop(Rig::open(small_segments(killed.path())));
        killed = snapshot(killed.path());
    }
    let rig = Rig::open(small_segments(killed.path()));
    assert!(segment_files(killed.path()).len() > 5);
    let mut left = rig.account.held_now();
    while left > 0 {
        let chunk = rig.take().await;
        left -= i64::try_from(rig.deliver(chunk).len()).unwrap();
    }
    until("only the newest segment is left", || {
        segment_files(killed.path()).len() == 1
    })
    .await;
}

#[tokio::test]
async fn l46_limits_at_every_power_and_filled_to_the_byte() {
    for limit in [(1 << 31) - 1, 1 << 31, 1 << 32, 1 << 40, u64::MAX] {
        let dir = tempfile::tempdir().unwrap();
        let settings = BufferSettings {
            total_limit_bytes: limit,
            ..disk(dir.path())
        };
        Rig::open(settings.clone()).put(0..5).await;
        let rig = Rig::open(settings);
        assert!(!rig.buffer.status().is_full, "{limit}");
        assert_eq!(rig.drain().await, [0, 1, 2, 3, 4], "{limit}");
    }
    // With one byte less the first batch does not fit; with none less it does, and then not one more record does.
    let events = batch("tag", 0..50).0.events.len();
    let needed = (events + frame::OVERHEAD) as u64 + room::SPARE_BYTES;
    let tight = |limit| BufferSettings {
        total_limit_bytes: limit,
        ..BufferSettings::memory()
    };
    let rig = Rig::open(tight(needed - 1));
    let refused = rig.buffer.reserve(events).await;
    assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
    let rig = Rig::open(tight(needed));
    rig.put(0..50).await;
    let next = tokio::time::timeout(Duration::from_millis(20), rig.buffer.reserve(1)).await;
    assert!(next.is_err() && rig.buffer.status().is_full);
    assert_eq!(rig.drain().await, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn l49_a_backlog_above_a_new_limit_is_delivered_and_then_more_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(small_segments(dir.path()));
    for number in 0..60 {
        rig.put(number..number + 1).await;
    }
    drop(rig);
    let rig = Rig::open(BufferSettings {
        total_limit_bytes: 2_000,
        ..small_segments(dir.path())
    });
    let waiting = rig.put(60..61);
    let deliver = async {
        for number in 0..60 {
            let chunk = rig.take().await;
            assert_eq!(rig.deliver(chunk), [number]);
        }
    };
    within(async { tokio::join!(waiting, deliver) }).await;
    assert_eq!(rig.drain().await, [60]);
}
