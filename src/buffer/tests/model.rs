//! The buffer against a small model, over stories that chance makes: who was promised what, and what was delivered.

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use rustix::io::Errno;
use sdk::event::FieldPath;

use super::{
    faults::place,
    simulated::{Call, Fault, How, Simulated},
    store::Mode,
    story::{Known, Story, THREADS, given, runtime},
    *,
};

#[derive(Debug, Clone)]
enum Action {
    /// Stores a batch of so many records.
    Append(u32),
    /// Stores a large message of so many pieces; whether it is completed.
    Message(u32, bool),
    /// Takes a chunk, if one must be there.
    Take,
    /// Settles one of the chunks in hand.
    Finish(usize),
    /// Puts one of the chunks in hand back.
    Return(usize),
    /// Other settings from now on, as a reload has them for an output that stays.
    Change(Shape),
    /// The buffer is closed, what is in hand is settled, the newest first, and it is opened again with other settings, as
    /// a reload does it with an output that goes and comes back.
    HandOver(Shape),
    /// Ends the buffer in order and opens it again.
    Reopen,
    /// Goes on with the files as they are at this moment.
    Kill,
    /// Goes on with what a power cut leaves.
    PowerCut(u64),
    /// Room for so many more bytes on the volume.
    Fill(u64),
    /// As much room as anybody wants.
    Empty,
    /// One of the next calls of this kind fails.
    Fail(Call, u64, How),
    /// After a kill, a bit of a segment is another: in which segment, and where.
    Damage(usize, usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (1_u32..6).prop_map(Action::Append),
        4 => ((1_u32..4), any::<bool>()).prop_map(|(pieces, whole)| Action::Message(pieces, whole)),
        10 => Just(Action::Take),
        8 => (0_usize..4).prop_map(Action::Finish),
        2 => (0_usize..4).prop_map(Action::Return),
        1 => shape().prop_map(Action::Change),
        2 => shape().prop_map(Action::HandOver),
        2 => Just(Action::Reopen),
        2 => Just(Action::Kill),
        2 => any::<u64>().prop_map(Action::PowerCut),
        1 => (0_u64..400).prop_map(Action::Fill),
        1 => Just(Action::Empty),
        2 => fault(),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(segment, bit)| Action::Damage(segment, bit)),
    ]
}

fn fault() -> impl Strategy<Value = Action> {
    let calls = [
        Call::Write,
        Call::Sync,
        Call::SyncDir,
        Call::Unlink,
        Call::Rename,
        Call::Cut,
        Call::Read,
        Call::Open(Mode::CreateNew),
        Call::Open(Mode::Append),
        Call::Open(Mode::Read),
    ];
    let errors = [Errno::IO, Errno::NOSPC, Errno::MFILE].map(Errno::raw_os_error);
    let how = (prop::sample::select(errors.to_vec()), 0_usize..300);
    (prop::sample::select(calls.to_vec()), 1_u64..6, how).prop_map(|(call, nth, (errno, taken))| {
        let how = match call {
            Call::Write => How::After(taken, errno),
            _ => How::Error(errno),
        };
        Action::Fail(call, nth, how)
    })
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Records in a chunk at most.
    records: u32,
    segment_bytes: u64,
    /// Bytes of the newest batches that stay in memory.
    recent_bytes: usize,
    total_bytes: u64,
    grouping: Grouping,
}

/// What goes together, and in which order.
#[derive(Debug, Clone, Copy)]
enum Grouping {
    None,
    /// By the tag, which is always the same, in order.
    ByTag,
    /// By slots of time that are over.
    ByTime,
    /// Each record is a group.
    ByNumber(ChunkOrder),
    Strict,
}

fn shape() -> impl Strategy<Value = Shape> {
    let segment_bytes = prop::sample::select(vec![100, 700, 1 << 20]);
    let recent_bytes = prop::sample::select(vec![0, 1_200, 1 << 20]);
    // Mostly as much as anybody wants.
    let total_bytes = prop::sample::select(vec![4_000, 64 << 20, 64 << 20, 64 << 20]);
    let groupings = vec![
        Grouping::None,
        Grouping::None,
        Grouping::ByTag,
        Grouping::ByTime,
        Grouping::ByNumber(ChunkOrder::None),
        Grouping::ByNumber(ChunkOrder::PerChunkKey),
        Grouping::Strict,
    ];
    let grouping = prop::sample::select(groupings);
    let all = (
        1_u32..12,
        segment_bytes,
        recent_bytes,
        total_bytes,
        grouping,
    );
    all.prop_map(
        |(records, segment_bytes, recent_bytes, total_bytes, grouping)| Shape {
            records,
            segment_bytes,
            recent_bytes,
            total_bytes,
            grouping,
        },
    )
}

impl Shape {
    fn settings(self) -> BufferSettings {
        let (keys, ordering) = self.grouping.settings();
        BufferSettings {
            chunk_keys: Arc::new(keys),
            ordering,
            chunk_limit_records: Some(self.records),
            segment_bytes: self.segment_bytes,
            recent_bytes: self.recent_bytes,
            total_limit_bytes: self.total_bytes,
            ..disk(place())
        }
    }
}

impl Grouping {
    fn settings(self) -> (ChunkKeys, ChunkOrder) {
        let mut keys = ChunkKeys::default();
        let order = match self {
            Self::None => ChunkOrder::None,
            Self::Strict => ChunkOrder::Strict,
            Self::ByTag => {
                keys.tag = true;
                ChunkOrder::PerChunkKey
            }
            Self::ByTime => {
                keys.time = Some(TimeKey {
                    slot_secs: 60,
                    wait: Some(Duration::ZERO),
                    zone: jiff::tz::TimeZone::UTC,
                });
                ChunkOrder::None
            }
            Self::ByNumber(order) => {
                keys.fields = vec![FieldPath::key("n")];
                order
            }
        };
        (keys, order)
    }
}

struct Model {
    story: Story,
    rig: Option<Rig>,
    in_hand: Vec<(Chunk, Vec<u32>)>,
    /// Something happened that may repeat records.
    disturbed: bool,
    /// Something was damaged, so that what was cut off may pass for something that was whole.
    damaged: bool,
    /// Records of the frame that completes a message, which is kept as long as any other of it.
    markers: BTreeSet<u32>,
}

impl Model {
    fn new(shape: Shape) -> Self {
        let volume = Simulated::new();
        let mut story = Story::new(volume, &shape.settings(), Known::default(), "model");
        let rig = Some(story.open(&[]));
        Self {
            story,
            rig,
            in_hand: Vec::new(),
            disturbed: false,
            damaged: false,
            markers: BTreeSet::new(),
        }
    }

    async fn run(&mut self, action: Action) {
        let Some(rig) = self.rig.take() else { return };
        match action {
            Action::Append(count) => self.story.send(&rig, count).await,
            Action::Message(pieces, whole) => {
                self.story.send_large(&rig, pieces, whole).await;
                self.markers.extend(self.story.known().sent.last());
            }
            Action::Take => self.take(&rig).await,
            Action::Finish(at) if at < self.in_hand.len() => {
                let (chunk, _) = self.in_hand.remove(at);
                self.story.finish(&rig, chunk);
            }
            Action::Return(at) if at < self.in_hand.len() => drop(self.in_hand.remove(at)),
            Action::Finish(_) | Action::Return(_) => {}
            Action::Change(shape) => {
                self.story.settings = shape.settings();
                rig.buffer.change(&self.story.settings);
            }
            Action::HandOver(shape) => return self.hand_over(rig, shape).await,
            Action::Reopen => return self.reopen(rig).await,
            Action::Kill => return self.go_on(rig, self.story.store.killed()),
            Action::PowerCut(seed) => {
                let mut chance = fastrand::Rng::with_seed(seed);
                let left = self.story.store.without_power(Some(&mut chance));
                return self.go_on(rig, left);
            }
            Action::Fill(room) => {
                let used: u64 = self.story.store.all().values().sum();
                self.story.store.limit(Some(used + room));
                self.disturb();
            }
            Action::Empty => self.story.store.limit(None),
            Action::Fail(call, from, how) => {
                self.disturb();
                self.story.store.fail([Fault {
                    call,
                    from,
                    times: 1,
                    how,
                }]);
            }
            Action::Damage(segment, bit) => return self.damage(rig, segment, bit),
        }
        self.rig = Some(rig);
    }

    /// From now on calls may fail.
    fn disturb(&mut self) {
        self.disturbed = true;
        self.story.is_exact = false;
    }

    async fn hand_over(&mut self, rig: Rig, shape: Shape) {
        rig.buffer.close();
        let files = self.story.store.files();
        let second = Rig::open_on(files, shape.settings()).err();
        assert!(second.is_some(), "two have the same directory");
        while let Some((chunk, _)) = self.in_hand.pop() {
            self.story.finish(&rig, chunk);
        }
        self.story.settings = shape.settings();
        self.reopen(rig).await;
    }

    async fn reopen(&mut self, rig: Rig) {
        self.in_hand.clear();
        drop(rig);
        self.story.answers().await;
        self.rig = Some(self.story.open(&[]));
    }

    /// Goes on with another volume, as another process.
    fn go_on(&mut self, rig: Rig, left: Simulated) {
        self.disturbed = true;
        self.in_hand.clear();
        self.story.forget_answers();
        self.story.store = left;
        self.rig = Some(self.story.open(&[]));
        drop(rig);
    }

    fn damage(&mut self, rig: Rig, segment: usize, bit: usize) {
        let left = self.story.store.killed();
        let files = left.files();
        let segments = files.segments(place()).unwrap();
        if let Some(first) = segments.get(segment % segments.len().max(1)) {
            let path = files::segment_path(place(), *first);
            let mut bytes = left.read(&path).unwrap();
            let at = bit / 8 % bytes.len().max(1);
            let is_hit = |(range, _): &&(std::ops::Range<usize>, Vec<u32>)| range.contains(&at);
            let frames = frames(&files, &path);
            let hit = frames.iter().filter(is_hit);
            let hit: Vec<u32> = hit.flat_map(|(_, content)| content.clone()).collect();
            let mut known = self.story.known.lock().unwrap();
            known.promised.retain(|number| !hit.contains(number));
            drop(known);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
            left.write(&path, bytes);
        }
        self.damaged = true;
        self.go_on(rig, left);
    }

    async fn take(&mut self, rig: &Rig) {
        let in_hand: BTreeSet<u32> = self
            .in_hand
            .iter()
            .flat_map(|(_, numbers)| numbers.clone())
            .collect();
        let is_ordered = self.story.settings.ordering != ChunkOrder::None;
        if is_ordered && !self.in_hand.is_empty() {
            // The next one may have to wait for one of them.
            return;
        }
        let known = self.story.known();
        if known.owed().iter().all(|number| in_hand.contains(number)) {
            return;
        }
        let repeated = self.story.figures.repeated;
        let chunk = rig.take().await;
        let numbers = self.story.look(rig, &chunk);
        for number in &numbers {
            // A damaged header no longer tells which frames of older segments do not count.
            let is_twice = in_hand.contains(number) && !self.damaged;
            assert!(!is_twice, "{number} is in two chunks");
            let is_cut_off = known.cut_off.contains(number) && !self.damaged;
            assert!(!is_cut_off, "{number} is of a message that was cut off");
        }
        let may_repeat =
            self.disturbed || numbers.iter().any(|number| self.markers.contains(number));
        assert!(
            may_repeat || self.story.figures.repeated == repeated,
            "{numbers:?} again"
        );
        self.in_hand.push((chunk, numbers));
    }

    async fn end(mut self) {
        self.in_hand.clear();
        self.story.store.mend();
        self.story.store.limit(None);
        let Some(rig) = self.rig.take() else { return };
        self.story.end(rig).await;
    }
}

#[test]
fn equals_its_model() {
    let start = std::time::Instant::now();
    let (stories, seed) = (given("WEIR_MODEL_STORIES", 2_000), given("WEIR_SEED", 1));
    let actions = std::thread::scope(|scope| {
        let tell = |thread| scope.spawn(move || tell(stories.div_ceil(THREADS), seed, thread));
        let threads: Vec<_> = (0..THREADS).map(tell).collect();
        let told = threads.into_iter().map(|thread| thread.join().unwrap());
        told.sum::<u64>()
    });
    println!(
        "result model: stories={stories} actions={actions} lost=0 seed={seed} took_s={}",
        start.elapsed().as_secs()
    );
}

/// Tells so many stories that this seed makes for this thread; returns how many actions they had.
fn tell(stories: u64, seed: u64, thread: u64) -> u64 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&thread.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = ProptestConfig {
        cases: u32::try_from(stories).unwrap(),
        max_shrink_iters: u32::try_from(given("WEIR_MODEL_SHRINKS", 1_000)).unwrap(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let runtime = runtime();
    let count = std::cell::Cell::new(0);
    let stories = (shape(), prop::collection::vec(action(), 1..60));
    let told = TestRunner::new_with_rng(config, random).run(&stories, |(shape, actions)| {
        count.set(count.get() + actions.len() as u64);
        runtime.block_on(async {
            let mut model = Model::new(shape);
            for action in actions {
                model.run(action).await;
            }
            model.end().await;
        });
        Ok(())
    });
    if let Err(error) = told {
        panic!("seed {seed}: {error}");
    }
    count.get()
}

/// A file that holds nothing was left by a process that found no room, and its name was the newest at the end.
#[test]
fn a_sequence_is_not_used_twice_when_there_was_no_room_for_a_segment() {
    let shape = Shape {
        records: 1,
        segment_bytes: 100,
        recent_bytes: 0,
        total_bytes: 4_000,
        grouping: Grouping::None,
    };
    let actions = [
        Action::Fill(0),
        Action::Append(1),
        Action::Reopen,
        Action::Fill(189),
        Action::Append(1),
        Action::HandOver(shape),
        Action::Take,
        Action::HandOver(shape),
        Action::Append(1),
    ];
    runtime().block_on(async {
        let mut model = Model::new(shape);
        for action in actions {
            model.run(action).await;
        }
        model.end().await;
    });
}

/// Two messages whose last pieces are damaged: one lost frame may stand for the end of both.
#[test]
fn a_message_that_is_done_does_not_take_the_end_of_another_along() {
    let shape = Shape {
        records: 1,
        segment_bytes: 700,
        recent_bytes: 0,
        total_bytes: 64 << 20,
        grouping: Grouping::None,
    };
    let in_frame = |offset: usize| offset * 8;
    let actions = [
        Action::Message(2, true),
        Action::Append(1),
        Action::Message(3, true),
        Action::Append(3),
        Action::Damage(0, in_frame(64 + 81 + 60)),
        Action::Damage(0, in_frame(64 + 81 + 81 + 71 + 81 + 81 + 60)),
        Action::Take,
        Action::Finish(0),
        Action::Reopen,
    ];
    runtime().block_on(async {
        let mut model = Model::new(shape);
        for action in actions {
            model.run(action).await;
        }
        assert_eq!(model.story.figures.repeated, 0);
        model.end().await;
    });
}
