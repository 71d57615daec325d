//! Damage to every byte of a small buffer: what is undamaged is delivered, nothing panics, nothing is deleted.

use std::{fs, ops::Range};

use sdk::event::{Group, Piece};

use super::{
    scan::{Scanner, Step},
    segment::SegmentHeader,
    *,
};

/// A buffer in one sealed segment, as the files of a killed process.
struct Small {
    dir: TempDir,
    segment: PathBuf,
    bytes: Vec<u8>,
    /// Where each frame lies, and the numbers in it.
    frames: Vec<(Range<usize>, Vec<u32>)>,
}

async fn small() -> Small {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    rig.put(0..1).await;
    rig.put(1..3).await;
    let group = Group::next();
    let mut receipts = Vec::new();
    for (numbers, last) in [(10..12, false), (12..13, true)] {
        let (mut piece, receipt) = batch("tag", numbers);
        piece.piece = Some(Piece {
            group: Arc::clone(&group),
            last,
        });
        rig.admit(piece).await.unwrap();
        receipts.push(receipt);
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    rig.put(3..4).await;
    let killed = snapshot(dir.path());
    let segment = segment_files(killed.path()).remove(0);
    let bytes = fs::read(&segment).unwrap();
    let header = SegmentHeader::decode(&bytes[..64]).unwrap();
    let mut scanner = Scanner::new(
        File::open(&segment).unwrap(),
        header.first,
        header.salt,
        1 << 16,
    );
    let mut frames = Vec::new();
    while let Some(Step::Frame(spot)) = scanner.step(bytes.len() as u64).unwrap() {
        let decoded = scanner.read(&spot).unwrap().unwrap();
        let range = usize::try_from(spot.range().start).unwrap()
            ..usize::try_from(spot.range().end).unwrap();
        frames.push((range, numbers(&[decoded.frame])));
    }
    assert_eq!(frames.len(), 5);
    assert_eq!(frames.last().unwrap().0.end, bytes.len());
    Small {
        dir: killed,
        segment,
        bytes,
        frames,
    }
}

impl Small {
    /// Opens a copy in which the segment has these bytes. Returns what is delivered, sorted.
    async fn delivered(&self, bytes: &[u8]) -> (Vec<u32>, Rig, TempDir) {
        let copy = snapshot(self.dir.path());
        fs::write(copy.path().join(self.segment.file_name().unwrap()), bytes).unwrap();
        let rig = Rig::open(disk(copy.path()));
        let mut delivered = rig.drain().await;
        delivered.sort_unstable();
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        (delivered, rig, copy)
    }

    /// The numbers in the frames that lie within this range.
    fn whole_frames(&self, is_whole: impl Fn(&Range<usize>) -> bool) -> Vec<u32> {
        let whole = self.frames.iter().filter(|(range, _)| is_whole(range));
        let mut numbers: Vec<u32> = whole.flat_map(|(_, numbers)| numbers.clone()).collect();
        numbers.sort_unstable();
        numbers
    }
}

#[tokio::test]
async fn a_cut_at_any_byte_loses_only_what_is_behind_it() {
    let small = small().await;
    let group_end = small.frames[3].0.end;
    for cut in 0..small.bytes.len() {
        let (delivered, rig, _copy) = small.delivered(&small.bytes[..cut]).await;
        let mut expected = small.whole_frames(|range| range.end <= cut);
        if cut < group_end {
            // The message was never complete, so nobody was told that it is stored.
            expected.retain(|number| *number < 10);
        }
        assert_eq!(delivered, expected, "cut at {cut}");
        assert_eq!(rig.dropped(DropReason::Corrupt), 0, "cut at {cut}");
        let aborted = if (small.frames[2].0.end..group_end).contains(&cut) {
            2
        } else {
            0
        };
        assert_eq!(rig.dropped(DropReason::Aborted), aborted, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_flipped_bit_loses_only_its_own_frame() {
    let small = small().await;
    for at in 0..small.bytes.len() {
        let mut bytes = small.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let (delivered, rig, copy) = small.delivered(&bytes).await;
        let expected = small.whole_frames(|range| !range.contains(&at));
        assert_eq!(delivered, expected, "bit {} of byte {at}", at % 8);
        let Some((range, lost)) = small.frames.iter().find(|(range, _)| range.contains(&at)) else {
            continue;
        };
        let is_last = range.end == small.bytes.len();
        if !is_last {
            assert_eq!(
                rig.dropped(DropReason::Corrupt),
                lost.len() as u64,
                "byte {at}"
            );
        }
        let quarantine = copy.path().join("quarantine");
        let kept: Vec<_> = fs::read_dir(quarantine)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let copied = kept
            .iter()
            .find(|path| path.extension().is_some_and(|ending| ending == "bin"));
        assert_eq!(
            fs::read(copied.unwrap()).unwrap(),
            bytes[range.clone()],
            "byte {at}"
        );
    }
}

#[tokio::test]
async fn damage_is_booked_once() {
    let small = small().await;
    let mut bytes = small.bytes.clone();
    bytes[small.frames[1].0.start + 50] ^= 1;
    let copy = snapshot(small.dir.path());
    fs::write(copy.path().join(small.segment.file_name().unwrap()), bytes).unwrap();
    for booked in [2, 0, 0] {
        let rig = Rig::open(disk(copy.path()));
        assert_eq!(rig.dropped(DropReason::Corrupt), booked);
        assert_eq!(
            (rig.account.imbalance(), rig.buffer.status().records),
            (0, 5)
        );
    }
}

#[tokio::test]
async fn damage_behind_the_back_of_a_running_buffer_is_booked_too() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        recent_bytes: 0,
        segment_bytes: 600,
        chunk_limit_records: Some(4),
        ..disk(dir.path())
    };
    let rig = Rig::open(settings);
    for number in 0..60 {
        rig.put(number..number + 1).await;
    }
    let segments = segment_files(dir.path());
    for (segment, at) in [(&segments[1], 64 + 50), (&segments[2], 64 + 3)] {
        let mut bytes = fs::read(segment).unwrap();
        bytes[at] ^= 0x40;
        fs::write(segment, bytes).unwrap();
    }
    fs::remove_file(&segments[4]).unwrap();
    let delivered = rig.drain().await;
    let lost = 60 - delivered.len();
    assert_eq!(rig.dropped(DropReason::Corrupt), lost as u64);
    assert!((2..20).contains(&lost), "{lost}");
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    let first = |segment: &PathBuf| segment.file_stem().unwrap().to_str().unwrap().to_owned();
    for segment in [&segments[1], &segments[2]] {
        let copies = fs::read_dir(dir.path().join("quarantine")).unwrap();
        let mut names = copies.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(
            names.any(|name| name.starts_with(&first(segment))),
            "{segment:?}"
        );
    }
}

#[tokio::test]
async fn zeros_at_the_end_are_no_damage() {
    let small = small().await;
    let mut bytes = small.bytes.clone();
    bytes.resize(bytes.len() + 5_000, 0);
    let (delivered, rig, copy) = small.delivered(&bytes).await;
    assert_eq!(delivered, small.whole_frames(|_| true));
    assert_eq!(rig.counter("weir_buffer_corrupt_ranges_total"), 0);
    assert!(!copy.path().join("quarantine").exists());
}

#[tokio::test]
async fn bytes_of_chance_never_panic() {
    let small = small().await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let mut bytes = small.bytes.clone();
        for _ in 0..random.usize(1..40) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let tail = (0..random.usize(..300))
            .map(|_| random.u8(..))
            .collect::<Vec<_>>();
        bytes.extend(tail);
        let (delivered, _rig, _copy) = small.delivered(&bytes).await;
        assert!(
            delivered
                .iter()
                .all(|number| [0, 1, 2, 3, 10, 11, 12].contains(number))
        );
    }
}
