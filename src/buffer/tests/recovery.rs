//! What a restart finds, after an orderly end and after `kill -9`.

use std::{collections::BTreeSet, sync::Mutex};

use sdk::event::{Group, Piece};

use super::*;

#[tokio::test]
async fn what_was_stored_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        segment_bytes: 200,
        ..disk(dir.path())
    });
    for number in 0..20 {
        rig.put(number..number + 1).await;
    }
    let id = rig.buffer.id();
    let killed = snapshot(dir.path());
    let again = Rig::open(disk(killed.path()));
    assert_eq!((again.buffer.id(), again.buffer.status().records), (id, 20));
    assert!(again.buffer.status().oldest_age.unwrap() < DEADLINE);
    assert_eq!(again.account.imbalance(), 0);
    assert_eq!(again.drain().await, (0..20).collect::<Vec<_>>());
    assert_eq!(
        (again.account.imbalance(), again.account.held_now()),
        (0, 0)
    );
}

#[tokio::test]
async fn nothing_is_delivered_twice_after_an_orderly_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..4 {
        let settings = BufferSettings {
            segment_bytes: 300,
            chunk_limit_records: Some(1),
            ..disk(dir.path())
        };
        let rig = Rig::open(settings);
        for number in round * 10..round * 10 + 10 {
            rig.put(number..number + 1).await;
            expected.push(number);
        }
        // Every other chunk is finished, the rest is left to the next process.
        let chunks = [
            rig.take().await,
            rig.take().await,
            rig.take().await,
            rig.take().await,
        ];
        for (at, chunk) in chunks.into_iter().enumerate() {
            if at % 2 == 1 {
                let done = rig.deliver(chunk);
                expected.retain(|number| !done.contains(number));
            }
        }
    }
    let rig = Rig::open(disk(dir.path()));
    assert_eq!(rig.drain().await, expected);
    drop(rig);
    let rig = Rig::open(disk(dir.path()));
    assert_eq!(rig.drain().await, NOTHING);
    drop(rig);
    assert_eq!(
        segment_files(dir.path()).len(),
        1,
        "only the one that is written to"
    );
}

#[tokio::test]
async fn without_its_state_file_a_buffer_repeats_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        chunk_limit_records: Some(1),
        ..disk(dir.path())
    });
    for number in 0..5 {
        rig.put(number..number + 1).await;
    }
    let chunk = rig.take().await;
    rig.deliver(chunk);
    drop(rig);
    std::fs::remove_file(dir.path().join("state")).unwrap();
    let rig = Rig::open(disk(dir.path()));
    assert_eq!(rig.drain().await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn what_was_tried_is_not_mixed_with_what_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        chunk_limit_records: Some(2),
        ..disk(dir.path())
    });
    for number in 0..10 {
        rig.put(number..number + 1).await;
    }
    let mut chunks = Vec::new();
    for _ in 0..4 {
        chunks.push(rig.take().await);
    }
    for (chunk, attempts) in chunks.iter_mut().zip([0, 3, 7, 0]) {
        chunk.tries.attempts = attempts;
        if attempts > 0 {
            chunk
                .tries
                .fails_for(Duration::from_secs(60 * u64::from(attempts)));
            chunk.note_tries().await;
        }
    }
    // One of those that were tried is done, and forgotten.
    let killed = snapshot(dir.path());
    for _ in 0..2 {
        let again = Rig::open(disk(killed.path()));
        let (mut seen, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            let chunk = again.take().await;
            let failing = chunk.tries.failing_for().as_secs() / 60;
            seen.push((numbers(chunk.frames()), chunk.tries.attempts, failing));
            taken.push(chunk);
        }
        let expected = [
            (vec![0, 1], 0, 0),
            (vec![2, 3], 3, 3),
            (vec![4, 5], 7, 7),
            (vec![6, 7, 8, 9], 0, 0),
        ];
        assert_eq!(seen, expected);
    }
    let third = chunks.remove(2);
    assert_eq!(rig.deliver(third), [4, 5]);
    let killed = snapshot(dir.path());
    let again = Rig::open(disk(killed.path()));
    let (first, second) = (again.take().await, again.take().await);
    assert_eq!(numbers(first.frames()), [0, 1]);
    assert_eq!(
        (numbers(second.frames()), second.tries.attempts),
        (vec![2, 3], 3)
    );
}

#[tokio::test]
async fn a_chunk_that_was_set_aside_is_read_again_without_what_was_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        chunk_limit_records: Some(6),
        ..disk(dir.path())
    });
    for number in [0, 3, 6] {
        rig.put(number..number + 3).await;
    }
    let mut chunk = rig.take().await;
    let mut left = Bitmap::empty(6);
    for index in [1, 4] {
        left.set(index, true);
    }
    rig.account.delivered(4);
    chunk.settle(left.clone());
    chunk.set_aside(Instant::now() + Duration::from_millis(20));
    let other = rig.take().await;
    assert_eq!(rig.deliver(other), [6, 7, 8]);
    let again = rig.take().await;
    assert_eq!(
        (numbers(again.frames()), again.live()),
        (vec![0, 1, 2, 3, 4, 5], &left)
    );
    rig.deliver(again);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

#[tokio::test]
async fn a_kill_right_after_a_chunk_was_delivered_does_not_repeat_it() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        commit_window: Some(Duration::from_millis(300)),
        ..disk(dir.path())
    });
    rig.put(0..1).await;
    let chunk = rig.take().await;
    // The writer is busy with another batch, and notes nothing meanwhile.
    let (batch, receipt) = batch("tag", 1..2);
    rig.admit(batch).await.unwrap();
    rig.deliver(chunk);
    let killed = snapshot(dir.path());
    assert!(!receipt.is_settled());
    let again = Rig::open(disk(killed.path()));
    assert_eq!(again.drain().await, NOTHING);
}

#[tokio::test]
async fn a_sequence_is_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = BTreeSet::new();
    let mut killed = snapshot(dir.path());
    for _ in 0..4 {
        let rig = Rig::open(disk(killed.path()));
        let empty = snapshot(killed.path());
        rig.put(0..1).await;
        let chunk = rig.take().await;
        let fresh = chunk
            .frames()
            .iter()
            .map(|frame| frame.sequence)
            .max()
            .unwrap();
        assert!(
            seen.insert((rig.buffer.id(), fresh)),
            "{fresh} was given before"
        );
        // As after a power cut that undid everything but the beginning of the segment.
        killed = empty;
    }
    assert_eq!(
        seen.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(),
        1
    );
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    let error = Rig::try_open(disk(dir.path())).err().unwrap().to_string();
    assert!(
        error.contains(&format!("is in use by process {}", std::process::id())),
        "{error}"
    );
    drop(rig);
    Rig::open(disk(dir.path()));
}

#[tokio::test]
async fn an_owner_that_is_about_to_end_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(rig);
    });
    Rig::open(disk(dir.path()));
    ends.join().unwrap();
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    rig.put(0..1).await;
    drop(rig);
    let format = dir.path().join("FORMAT");
    let text = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, text.replace("format 1", "format 2")).unwrap();
    let before = segment_files(dir.path());
    let error = Rig::try_open(disk(dir.path())).err().unwrap().to_string();
    assert!(
        error.contains("has buffer format 2, this version reads 1"),
        "{error}"
    );

    std::fs::write(&format, text).unwrap();
    let segment = &before[0];
    let mut bytes = std::fs::read(segment).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(segment, bytes).unwrap();
    let error = Rig::try_open(disk(dir.path())).err().unwrap().to_string();
    assert!(
        error.contains("has buffer format 2, this version reads 1"),
        "{error}"
    );
    assert_eq!(segment_files(dir.path()), before);
}

#[tokio::test]
async fn segments_of_another_buffer_are_set_aside() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (path, numbers) in [
        (other.path(), 90..91),
        (dir.path(), 0..1),
        (dir.path(), 1..2),
    ] {
        Rig::open(disk(path)).put(numbers).await;
    }
    let foreign = segment_files(other.path()).remove(0);
    std::fs::copy(&foreign, dir.path().join("0000000000000002.seg")).unwrap();
    let rig = Rig::open(disk(dir.path()));
    assert_eq!(rig.drain().await, [0, 1]);
    assert!(dir.path().join("quarantine/0000000000000002.seg").exists());
}

#[tokio::test]
async fn frames_that_were_read_back_and_those_in_memory_are_one_queue() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        recent_bytes: 1_500,
        chunk_limit_records: Some(2),
        segment_bytes: 400,
        ..disk(dir.path())
    };
    let rig = Rig::open(settings);
    let mut all = Vec::new();
    for number in 0..60 {
        rig.put(number..number + 1).await;
        if number % 5 == 4 {
            let chunk = rig.take().await;
            all.extend(rig.deliver(chunk));
        }
    }
    all.extend(rig.drain().await);
    assert_eq!(all, (0..60).collect::<Vec<_>>());
}

/// Stores batches, every fifth of them as a large message of three pieces, and notes what was promised.
async fn send(rig: Arc<Rig>, from: u32, promised: Arc<Mutex<BTreeSet<u32>>>) {
    for start in (from..from + 600).step_by(6) {
        let pieces = if start.is_multiple_of(5) { 3 } else { 1 };
        let group = Group::next();
        let mut receipts = Vec::new();
        for piece in 0..pieces {
            let count = 6 / pieces;
            let (mut batch, receipt) =
                batch("tag", start + piece * count..start + (piece + 1) * count);
            let (group, last) = (Arc::clone(&group), piece + 1 == pieces);
            batch.piece = (pieces > 1).then_some(Piece { group, last });
            rig.admit(batch).await.unwrap();
            receipts.push(receipt);
        }
        for receipt in receipts {
            within(receipt).await.unwrap();
        }
        promised.lock().unwrap().extend(start..start + 6);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_kill_in_full_flight_loses_nothing_that_was_promised() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        segment_bytes: 2_000,
        recent_bytes: 4_000,
        chunk_limit_bytes: 500,
        durability: Durability::Os,
        ..disk(dir.path())
    };
    let rig = Arc::new(Rig::open(settings.clone()));
    let (promised, finished) = (Arc::default(), Arc::<Mutex<BTreeSet<u32>>>::default());
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            tokio::spawn(send(
                Arc::clone(&rig),
                sender * 1_000,
                Arc::clone(&promised),
            ))
        })
        .collect();
    let worker = tokio::spawn({
        let (rig, finished) = (Arc::clone(&rig), Arc::clone(&finished));
        async move {
            while let Some(chunk) = rig.buffer.next_chunk().await {
                finished.lock().unwrap().extend(numbers(chunk.frames()));
                rig.deliver(chunk);
            }
        }
    });
    let mut kills = 0;
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        let promised_before = promised.lock().unwrap().clone();
        let killed = snapshot(dir.path());
        let finished_after = finished.lock().unwrap().clone();
        let kind = BufferKind::File {
            path: killed.path().to_owned(),
        };
        let again = Rig::open(BufferSettings {
            kind,
            ..settings.clone()
        });
        let delivered: BTreeSet<u32> = again.drain().await.into_iter().collect();
        let ended = delivered.union(&finished_after).copied().collect();
        let lost: Vec<&u32> = promised_before.difference(&ended).collect();
        assert!(lost.is_empty(), "lost {lost:?}");
        assert_eq!(
            (again.account.imbalance(), again.account.held_now()),
            (0, 0)
        );
        kills += 1;
    }
    assert!(kills > 1, "{kills}");
    rig.buffer.close();
    within(worker).await.unwrap();
    let all: BTreeSet<u32> = (0..4)
        .flat_map(|sender| sender * 1_000..sender * 1_000 + 600)
        .collect();
    assert_eq!(*finished.lock().unwrap(), all);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}
