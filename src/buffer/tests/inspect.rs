//! Looking at a directory without touching it: it tells what the next start will deliver and book.

use std::{collections::BTreeMap, fs, ops::ControlFlow};

use sdk::event::{Group, Piece};

use super::{damage::small, segment::SegmentHeader, *};

/// The numbers in the frames that are held, sorted.
pub(super) fn held(inspection: &Inspection) -> Vec<u32> {
    let mut all = Vec::new();
    let mut tally = Tally::default();
    inspection
        .each_held(&mut |held| {
            tally.frames += 1;
            tally.records += u64::from(held.frame.count);
            all.extend(numbers(&[held.frame]));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(
        (tally.frames, tally.records),
        (inspection.held().frames, inspection.held().records)
    );
    all.sort_unstable();
    all
}

/// Every file below a directory with what is in it.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    all
}

/// Looks at a directory, and then lets a buffer open it.
async fn check(dir: &Path, what: &str) {
    let before = everything(dir);
    let seen = Inspection::look(dir).unwrap();
    let held = held(&seen);
    assert_eq!(everything(dir), before, "{what}: something was touched");
    let rig = Rig::open(disk(dir));
    let mut delivered = rig.drain().await;
    delivered.sort_unstable();
    assert_eq!(held, delivered, "{what}");
    assert_eq!(
        seen.open().records,
        rig.dropped(DropReason::Aborted),
        "{what}"
    );
    let lost: Option<u64> = seen.damage().map(|(_, damage)| damage.records).sum();
    // What nothing tells of is booked as nothing.
    let known: u64 = seen.damage().filter_map(|(_, damage)| damage.records).sum();
    assert_eq!(known, rig.dropped(DropReason::Corrupt), "{what}: {lost:?}");
    let ranges = seen
        .damage()
        .filter(|(_, damage)| damage.offset > 0)
        .count();
    assert_eq!(
        ranges as u64,
        rig.counter("weir_buffer_corrupt_ranges_total"),
        "{what}"
    );
}

#[tokio::test]
async fn tells_what_a_start_would_deliver_after_a_cut_at_any_byte() {
    let small = small().await;
    for cut in 0..=small.bytes().len() {
        let copy = small.with(&small.bytes()[..cut]);
        check(copy.path(), &format!("cut at {cut}")).await;
    }
}

#[tokio::test]
async fn tells_what_a_start_would_deliver_after_any_flipped_bit() {
    let small = small().await;
    for at in 0..small.bytes().len() {
        let mut bytes = small.bytes().to_vec();
        bytes[at] ^= 1 << (at % 8);
        let copy = small.with(&bytes);
        let seen = Inspection::look(copy.path()).unwrap();
        let damaged = small.frames().iter().any(|(range, _)| range.contains(&at));
        assert!(
            !damaged || seen.damage().count() == 1 || seen.segments[0].cut_bytes > 0,
            "byte {at}: {:?}",
            seen.segments
        );
        check(copy.path(), &format!("bit {} of byte {at}", at % 8)).await;
    }
}

#[tokio::test]
async fn done_frames_are_not_held_and_their_damage_is_no_loss() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    rig.put(0..1).await;
    let chunk = rig.take().await;
    let first = rig.deliver(chunk);
    rig.put(1..4).await;
    until("the state file tells", || {
        Inspection::look(dir.path()).unwrap().done().records > 0
    })
    .await;
    let copy = snapshot(dir.path());
    let segment = segment_files(copy.path()).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    // In the first frame, behind its header.
    bytes[64 + 60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let seen = Inspection::look(copy.path()).unwrap();
    let damage: Vec<_> = seen.damage().map(|(_, damage)| damage.records).collect();
    assert_eq!(damage, [Some(0)]);
    let expected: Vec<u32> = (0..4).filter(|number| !first.contains(number)).collect();
    assert_eq!(held(&seen), expected);
}

#[tokio::test]
async fn a_buffer_in_use_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Arc::new(Rig::open(BufferSettings {
        segment_bytes: 4096,
        ..disk(dir.path())
    }));
    let writer = {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move {
            for number in 0..400 {
                rig.put(number..number + 1).await;
                if number % 3 == 0 {
                    let chunk = rig.take().await;
                    rig.deliver(chunk);
                }
            }
        })
    };
    let mut looks = 0;
    while !writer.is_finished() {
        let path = dir.path().to_owned();
        let seen = tokio::task::spawn_blocking(move || {
            let seen = Inspection::look(&path).unwrap();
            seen.each_held(&mut |_| ControlFlow::Continue(())).unwrap();
            seen
        });
        let seen = seen.await.unwrap();
        assert_eq!(seen.damage().count(), 0, "{:?}", seen.segments);
        assert!(seen.missing.is_empty(), "{:?}", seen.missing);
        looks += 1;
    }
    writer.await.unwrap();
    assert!(looks > 0);
}

#[tokio::test]
async fn pieces_of_an_open_message_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    rig.put(0..1).await;
    // As long as somebody has it, more may come.
    let group = Group::next();
    let (mut piece, _receipt) = batch("tag", 5..8);
    piece.piece = Some(Piece {
        group: Arc::clone(&group),
        last: false,
    });
    rig.admit(piece).await.unwrap();
    until("the piece is written", || {
        Inspection::look(dir.path()).unwrap().open().records == 3
    })
    .await;
    assert_eq!(held(&Inspection::look(dir.path()).unwrap()), [0]);
}

/// A copy of a buffer with one more segment, which says that frames from the fourth on are void.
pub(super) async fn with_void_frames(damage_at: Option<usize>) -> TempDir {
    let small = small().await;
    let mut bytes = small.bytes().to_vec();
    if let Some(at) = damage_at {
        bytes[small.frames()[at].0.start + 3] ^= 1;
    }
    let copy = small.with(&bytes);
    let header = SegmentHeader::decode(&small.bytes()[..64]).unwrap();
    let next = SegmentHeader {
        first: header.first + 100,
        void_from: Some(header.first + 3),
        ..header
    };
    fs::write(files::segment_path(copy.path(), next.first), next.encode()).unwrap();
    copy
}

#[tokio::test]
async fn void_frames_do_not_count() {
    // Damage before them counts, and damage among them does not.
    for (damage_at, expected) in [(None, 3), (Some(1), 1), (Some(3), 3), (Some(4), 3)] {
        let copy = with_void_frames(damage_at).await;
        let seen = Inspection::look(copy.path()).unwrap();
        assert_eq!(
            seen.held().records + seen.open().records,
            expected + 2,
            "{damage_at:?}"
        );
        assert_eq!(
            seen.damage().count(),
            usize::from(damage_at == Some(1)),
            "{damage_at:?}"
        );
        check(
            copy.path(),
            &format!("void frames, damage at {damage_at:?}"),
        )
        .await;
    }
}

/// A killed buffer of several segments, of which one is taken away.
pub(super) async fn with_a_missing_segment() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        segment_bytes: 400,
        ..disk(dir.path())
    });
    for number in 0..20 {
        rig.put(number..number + 1).await;
    }
    let copy = snapshot(dir.path());
    fs::remove_file(&segment_files(copy.path())[2]).unwrap();
    copy
}

#[tokio::test]
async fn a_segment_that_is_missing_is_told() {
    let copy = with_a_missing_segment().await;
    let seen = Inspection::look(copy.path()).unwrap();
    assert_eq!((seen.missing.len(), seen.damage().count()), (1, 0));
    let rig = Rig::open(disk(copy.path()));
    assert_eq!(rig.counter("weir_buffer_lost_segments_total"), 1);
}

#[test]
fn what_is_no_buffer_or_a_newer_one_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = Inspection::look(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("holds no buffer: neither FORMAT nor a segment is there"),
        "{error}"
    );
    fs::write(dir.path().join("FORMAT"), "weir buffer\nformat 2\n").unwrap();
    let error = Inspection::look(dir.path()).unwrap_err();
    assert!(
        matches!(error, BufferError::Newer { version: 2, .. }),
        "{error}"
    );
}
