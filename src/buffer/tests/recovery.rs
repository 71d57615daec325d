//! What a restart finds, after an orderly end and after `kill -9`.

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
async fn a_sequence_is_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
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
        seen.iter()
            .map(|(id, _)| id)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
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
