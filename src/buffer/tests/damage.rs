//! Damage to every byte of a buffer: what is undamaged is delivered, nothing panics, nothing is deleted.

use std::ops::Range;

use sdk::event::{Group, Piece};

use super::{
    faults::place,
    simulated::Simulated,
    story::{given, runtime, share},
    *,
};

/// The files of a killed process.
pub(super) struct Small {
    store: Simulated,
    segments: Vec<Segment>,
}

struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where each frame lies, and the numbers in it.
    frames: Vec<(Range<usize>, Vec<u32>)>,
}

impl Small {
    fn of(store: Simulated) -> Self {
        let files = store.files();
        let segment = |first| {
            let path = files::segment_path(place(), first);
            Segment {
                bytes: store.read(&path).unwrap(),
                frames: frames(&files, &path),
                path,
            }
        };
        let segments = files.segments(place()).unwrap();
        let segments = segments.into_iter().map(segment).collect();
        Self { store, segments }
    }

    /// The bytes of the first segment.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.segments[0].bytes
    }

    /// Where each frame of the first segment lies, and the numbers in it.
    pub(super) fn frames(&self) -> &[(Range<usize>, Vec<u32>)] {
        &self.segments[0].frames
    }

    /// A copy on the disk of this machine, in which the first segment has these bytes.
    pub(super) fn with(&self, bytes: &[u8]) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for path in self
            .store
            .all()
            .keys()
            .filter(|path| !path.ends_with("ballast"))
        {
            let content = self.store.read(path).unwrap();
            let is_first = *path == self.segments[0].path;
            let content = if is_first { bytes } else { &content };
            std::fs::write(copy.path().join(path.file_name().unwrap()), content).unwrap();
        }
        copy
    }

    /// Opens a copy in which a segment has these bytes. Returns what is delivered, sorted.
    async fn delivered(&self, segment: usize, bytes: Vec<u8>) -> (Vec<u32>, Rig, Simulated) {
        let copy = self.store.killed();
        copy.write(&self.segments[segment].path, bytes);
        let rig = Rig::open_on(copy.files(), settings()).unwrap();
        let mut delivered = rig.drain().await;
        delivered.sort_unstable();
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        (delivered, rig, copy)
    }

    /// The numbers in the frames for which this holds, of the segment and place.
    fn numbers(&self, is_whole: impl Fn(usize, &Range<usize>) -> bool) -> Vec<u32> {
        let mut numbers = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            for (_, content) in segment
                .frames
                .iter()
                .filter(|(range, _)| is_whole(at, range))
            {
                numbers.extend(content.clone());
            }
        }
        numbers.sort_unstable();
        numbers
    }
}

fn settings() -> BufferSettings {
    disk(place())
}

async fn send_large(rig: &Rig, pieces: &[Range<u32>]) {
    let group = Group::next();
    let mut receipts = Vec::new();
    for (at, numbers) in pieces.iter().enumerate() {
        let (mut piece, receipt) = batch("tag", numbers.clone());
        piece.piece = Some(Piece {
            group: Arc::clone(&group),
            last: at + 1 == pieces.len(),
        });
        rig.admit(piece).await.unwrap();
        receipts.push(receipt);
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
}

/// One segment of five frames, of which the third and the fourth are a large message.
pub(super) async fn small() -> Small {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings()).unwrap();
    rig.put(0..1).await;
    rig.put(1..3).await;
    send_large(&rig, &[10..12, 12..13]).await;
    rig.put(3..4).await;
    let small = Small::of(store.killed());
    assert_eq!(small.segments[0].frames.len(), 5);
    small
}

/// Four segments, 64 KiB in all, with frames of every kind; the last one is not sealed.
async fn large() -> Small {
    let store = Simulated::new();
    let settings = BufferSettings {
        segment_bytes: 16 << 10,
        ..settings()
    };
    let rig = Rig::open_on(store.files(), settings).unwrap();
    let (mut next, mut sizes) = (0, [1, 7, 30, 90, 3].into_iter().cycle());
    while store.segment_bytes() < (64 << 10) - 300 {
        let size = sizes.next().unwrap();
        if size == 3 {
            send_large(
                &rig,
                &[next..next + 40, next + 40..next + 80, next + 80..next + 90],
            )
            .await;
            next += 90;
        } else {
            rig.put(next..next + size).await;
            next += size;
        }
    }
    let large = Small::of(store.killed());
    let len: usize = large
        .segments
        .iter()
        .map(|segment| segment.bytes.len())
        .sum();
    assert!(
        large.segments.len() > 3 && (64 << 10..66 << 10).contains(&len),
        "{len}"
    );
    large
}

#[tokio::test]
async fn a_cut_at_any_byte_loses_only_what_is_behind_it() {
    let small = small().await;
    let Segment { bytes, frames, .. } = &small.segments[0];
    let group_end = frames[3].0.end;
    for cut in 0..bytes.len() {
        let (delivered, rig, _) = small.delivered(0, bytes[..cut].to_vec()).await;
        let mut expected = small.numbers(|_, range| range.end <= cut);
        if cut < group_end {
            // The message was never complete, so nobody was told that it is stored.
            expected.retain(|number| *number < 10);
        }
        assert_eq!(delivered, expected, "cut at {cut}");
        assert_eq!(rig.dropped(DropReason::Corrupt), 0, "cut at {cut}");
        let aborted = if (frames[2].0.end..group_end).contains(&cut) {
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
    let Segment { bytes, frames, .. } = &small.segments[0];
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let (delivered, rig, copy) = small.delivered(0, damaged.clone()).await;
        let expected = small.numbers(|_, range| !range.contains(&at));
        assert_eq!(delivered, expected, "bit {} of byte {at}", at % 8);
        let Some((range, lost)) = frames.iter().find(|(range, _)| range.contains(&at)) else {
            continue;
        };
        if range.end < bytes.len() {
            let dropped = rig.dropped(DropReason::Corrupt);
            assert_eq!(dropped, lost.len() as u64, "byte {at}");
        }
        assert_eq!(
            copies(&copy),
            [damaged[range.clone()].to_vec()],
            "byte {at}"
        );
    }
}

/// The bytes that were copied into quarantine.
fn copies(store: &Simulated) -> Vec<Vec<u8>> {
    let all = store.all();
    let copies = all
        .keys()
        .filter(|path| path.extension().is_some_and(|ending| ending == "bin"));
    copies.map(|path| store.read(path).unwrap()).collect()
}

/// One case of the campaign: a segment with these bytes, of which this range is not as it was.
async fn damaged(large: &Small, segment: usize, bytes: Vec<u8>, hit: Range<usize>, is_cut: bool) {
    let case = format!("segment {segment}, {hit:?}, cut: {is_cut}");
    let was_whole = |at: usize, range: &Range<usize>| {
        at != segment || range.end <= hit.start || range.start >= hit.end
    };
    let Segment { frames, .. } = &large.segments[segment];
    let kept: Vec<u8> = frames
        .iter()
        .filter(|(range, _)| range.contains(&hit.start))
        .flat_map(|(range, _)| {
            bytes
                .get(range.start..range.end.min(bytes.len()))
                .unwrap_or_default()
        })
        .copied()
        .collect();
    let (delivered, rig, copy) = large.delivered(segment, bytes).await;
    let mut expected = large.numbers(was_whole);
    if is_cut {
        // A large message whose end was cut off is none: nobody was told that it is stored.
        let aborted = usize::try_from(rig.dropped(DropReason::Aborted)).unwrap();
        let missing = expected.len() - delivered.len();
        assert_eq!(missing, aborted, "{case}");
        expected.retain(|number| delivered.binary_search(number).is_ok());
    }
    assert_eq!(delivered, expected, "{case}");
    let is_kept = kept.is_empty()
        || copies(&copy)
            .iter()
            .any(|copy| copy.windows(kept.len()).any(|part| part == kept));
    assert!(is_kept, "{case}: the damaged bytes are in quarantine");
}

/// What is done to a segment: a bit is another, or it ends at a byte.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(usize),
    Cut(usize),
}

/// Every bit, and every length, of a buffer of 64 KiB; a part of them without a campaign.
#[test]
fn damage_anywhere_costs_what_it_hits_and_nothing_else() {
    let start = Instant::now();
    let large = runtime().block_on(large());
    let step = usize::try_from(given("WEIR_DAMAGE_STEP", 701)).unwrap();
    let first = usize::try_from(given("WEIR_SEED", 1)).unwrap() % step;
    let lens = large.segments.iter().map(|segment| segment.bytes.len());
    let lens: Vec<(usize, usize)> = lens.enumerate().collect();
    let every =
        |harms: Vec<(usize, Harm)>, step: usize| harms.into_iter().skip(first % step).step_by(step);
    let flips = lens
        .iter()
        .flat_map(|(at, len)| (0..len * 8).map(|bit| (*at, Harm::Flip(bit))));
    let cuts = lens
        .iter()
        .flat_map(|(at, len)| (0..*len).map(|cut| (*at, Harm::Cut(cut))));
    let all = every(flips.collect(), step).chain(every(cuts.collect(), step.div_ceil(8)));
    let done = share(all, async |(at, harm)| {
        let mut bytes = large.segments[at].bytes.clone();
        let hit = match harm {
            Harm::Flip(bit) => {
                bytes[bit / 8] ^= 1 << (bit % 8);
                bit / 8..bit / 8 + 1
            }
            Harm::Cut(cut) => {
                bytes.truncate(cut);
                cut..usize::MAX
            }
        };
        damaged(&large, at, bytes, hit, matches!(harm, Harm::Cut(_))).await;
        harm
    });
    let flips = done
        .iter()
        .filter(|harm| matches!(harm, Harm::Flip(_)))
        .count();
    let cuts = done.len() - flips;
    assert!(flips > 700 && cuts > 700, "{flips} {cuts}");
    println!(
        "result damage: bits={flips} cuts={cuts} lost_undamaged=0 deleted=0 seed={} took_s={}",
        given("WEIR_SEED", 1),
        start.elapsed().as_secs()
    );
}

#[tokio::test]
async fn damage_is_booked_once() {
    let small = small().await;
    let Segment {
        path,
        bytes,
        frames,
    } = &small.segments[0];
    let mut bytes = bytes.clone();
    bytes[frames[1].0.start + 50] ^= 1;
    small.store.write(path, bytes);
    for booked in [2, 0, 0] {
        let rig = Rig::open_on(small.store.files(), settings()).unwrap();
        assert_eq!(rig.dropped(DropReason::Corrupt), booked);
        assert_eq!(
            (rig.account.imbalance(), rig.buffer.status().records),
            (0, 5)
        );
    }
}

#[tokio::test]
async fn damage_behind_the_back_of_a_running_buffer_is_booked_too() {
    let store = Simulated::new();
    let settings = BufferSettings {
        recent_bytes: 0,
        segment_bytes: 600,
        chunk_limit_records: Some(4),
        ..settings()
    };
    let rig = Rig::open_on(store.files(), settings).unwrap();
    for number in 0..60 {
        rig.put(number..number + 1).await;
    }
    let segments = Small::of(store.clone()).segments;
    for (segment, at) in [(&segments[1], 64 + 50), (&segments[2], 64 + 3)] {
        let mut bytes = segment.bytes.clone();
        bytes[at] ^= 0x40;
        store.write(&segment.path, bytes);
    }
    store.files().remove(&segments[4].path).unwrap();
    let delivered = rig.drain().await;
    let lost = 60 - delivered.len();
    assert_eq!(rig.dropped(DropReason::Corrupt), lost as u64);
    assert!((2..20).contains(&lost), "{lost}");
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
    let names = store.files().names(&place().join("quarantine")).unwrap();
    for segment in [&segments[1], &segments[2]] {
        let first = segment.path.file_stem().unwrap().to_str().unwrap();
        assert!(names.iter().any(|name| name.starts_with(first)), "{first}");
    }
}

/// The end of a sealed segment tells of no frame that comes behind it.
#[tokio::test]
async fn a_damaged_end_frame_does_not_stand_for_a_frame_of_the_next_segment() {
    let store = Simulated::new();
    let settings = BufferSettings {
        segment_bytes: 100,
        ..settings()
    };
    let rig = Rig::open_on(store.files(), settings.clone()).unwrap();
    send_large(&rig, &[10..11, 11..12]).await;
    rig.put(0..1).await;
    rig.put(1..2).await;
    let store = store.killed();
    let small = Small::of(store.clone());
    // The large message loses its last piece, and the segment behind it its end.
    let segments = &small.segments;
    for (segment, at) in [
        (&segments[1], 64 + 3),
        (&segments[2], segments[2].bytes.len() - 1),
    ] {
        let mut bytes = segment.bytes.clone();
        bytes[at] ^= 1;
        store.write(&segment.path, bytes);
    }
    let again = Rig::open_on(store.files(), settings.clone()).unwrap();
    let chunk = again.take().await;
    assert_eq!(again.deliver(chunk), [10]);
    until("the message is done", || again.buffer.status().records == 2).await;
    drop(again);
    let third = Rig::open_on(store.files(), settings).unwrap();
    assert_eq!(third.drain().await, [0, 1]);
}

/// Without the header, one bit of the first frame can make it look like the only one of another segment.
#[tokio::test]
async fn a_damaged_header_and_a_damaged_frame_do_not_hide_the_others() {
    let small = small().await;
    let Segment { bytes, frames, .. } = &small.segments[0];
    let expected = small.numbers(|_, range| *range != frames[0].0);
    for header_at in [0, 12, 15] {
        for frame_at in 64..68 {
            let mut bytes = bytes.clone();
            bytes[header_at] ^= 1;
            bytes[frame_at] ^= 1;
            let (delivered, ..) = small.delivered(0, bytes).await;
            assert_eq!(delivered, expected, "bytes {header_at} and {frame_at}");
        }
    }
}

/// A file in which nothing can be told apart any more may have held the end of a message.
#[tokio::test]
async fn a_message_whose_end_is_in_a_file_that_cannot_be_recognised_is_delivered() {
    let store = Simulated::new();
    let settings = BufferSettings {
        segment_bytes: 100,
        ..settings()
    };
    let rig = Rig::open_on(store.files(), settings.clone()).unwrap();
    send_large(&rig, &[10..11, 11..12]).await;
    let store = store.killed();
    let small = Small::of(store.clone());
    assert_eq!(small.segments.len(), 2);
    store.write(&small.segments[1].path, vec![7; 200]);
    // A kill at any moment changes nothing about it.
    for _ in 0..2 {
        let again = Rig::open_on(store.killed().files(), settings.clone()).unwrap();
        assert_eq!(again.drain().await, [10]);
        assert_eq!(again.dropped(DropReason::Aborted), 0);
        drop(Rig::open_on(store.files(), settings.clone()).unwrap());
    }
}

#[tokio::test]
async fn zeros_at_the_end_are_no_damage() {
    let small = small().await;
    let mut bytes = small.segments[0].bytes.clone();
    bytes.resize(bytes.len() + 5_000, 0);
    let (delivered, rig, copy) = small.delivered(0, bytes).await;
    assert_eq!(delivered, small.numbers(|_, _| true));
    assert_eq!(rig.counter("weir_buffer_corrupt_ranges_total"), 0);
    assert!(copy.files().names(&place().join("quarantine")).is_err());
}

#[tokio::test]
async fn bytes_of_chance_never_panic() {
    let small = small().await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let mut bytes = small.segments[0].bytes.clone();
        for _ in 0..random.usize(1..40) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let tail = (0..random.usize(..300)).map(|_| random.u8(..));
        bytes.extend(tail.collect::<Vec<_>>());
        let (delivered, _, _) = small.delivered(0, bytes).await;
        let known = [0, 1, 2, 3, 10, 11, 12];
        assert!(delivered.iter().all(|number| known.contains(number)));
    }
}
