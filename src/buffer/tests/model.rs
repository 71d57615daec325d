//! The buffer against a model: a list of batches, some of them done.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sdk::event::{Group, Piece};

use super::*;

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
    /// Ends the buffer in order and opens it again.
    Reopen,
    /// Goes on with the files as they are at this moment.
    Kill,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1_u32..6).prop_map(Action::Append),
        2 => ((1_u32..4), any::<bool>()).prop_map(|(pieces, whole)| Action::Message(pieces, whole)),
        5 => Just(Action::Take),
        4 => (0_usize..4).prop_map(Action::Finish),
        1 => (0_usize..4).prop_map(Action::Return),
        1 => Just(Action::Reopen),
        1 => Just(Action::Kill),
    ]
}

fn settings(dir: &Path, shape: (u8, u64, usize)) -> BufferSettings {
    let (records, segment_bytes, recent_bytes) = shape;
    let chunk_limit_records = Some(u32::from(records));
    BufferSettings {
        chunk_limit_records,
        segment_bytes,
        recent_bytes,
        ..disk(dir)
    }
}

struct Model {
    dir: TempDir,
    shape: (u8, u64, usize),
    rig: Option<Rig>,
    next: u32,
    /// Acknowledged, and not finished by anybody.
    owed: BTreeSet<u32>,
    /// Finished; may come again after a kill only.
    finished: BTreeSet<u32>,
    in_hand: Vec<(Chunk, Vec<u32>)>,
    killed: bool,
    /// Complete messages: their records, and those of the piece that completed them.
    messages: Vec<(BTreeSet<u32>, std::ops::Range<u32>)>,
    /// Done, but the frame was kept for the sake of its group.
    repeatable: BTreeSet<u32>,
    sequences: BTreeMap<u64, Vec<u32>>,
}

impl Model {
    fn rig(&self) -> &Rig {
        self.rig.as_ref().unwrap()
    }

    async fn run(&mut self, action: Action) {
        match action {
            Action::Append(count) => {
                let numbers = self.numbers(count);
                self.rig().put(numbers.clone()).await;
                self.owed.extend(numbers);
            }
            Action::Message(pieces, whole) => self.message(pieces, whole).await,
            Action::Take => self.take().await,
            Action::Finish(at) if at < self.in_hand.len() => {
                let (chunk, numbers) = self.in_hand.remove(at);
                self.rig().deliver(chunk);
                for number in &numbers {
                    assert!(self.owed.remove(number) || self.may_repeat(*number));
                }
                self.finished.extend(numbers);
            }
            Action::Return(at) if at < self.in_hand.len() => drop(self.in_hand.remove(at)),
            Action::Finish(_) | Action::Return(_) => {}
            Action::Reopen => {
                self.in_hand.clear();
                for (all, marker) in &self.messages {
                    if all.iter().any(|number| self.owed.contains(number)) {
                        self.repeatable.extend(marker.clone());
                    }
                }
                self.rig = None;
                self.open();
            }
            Action::Kill => {
                self.dir = snapshot(self.dir.path());
                self.in_hand.clear();
                self.killed = true;
                self.open();
            }
        }
        assert_eq!(self.rig().account.imbalance(), 0);
    }

    /// Whether it may be delivered although it is done.
    fn may_repeat(&self, number: u32) -> bool {
        let may = self.killed || self.repeatable.contains(&number);
        may && self.finished.contains(&number)
    }

    fn open(&mut self) {
        self.rig = Some(Rig::open(settings(self.dir.path(), self.shape)));
    }

    fn numbers(&mut self, count: u32) -> std::ops::Range<u32> {
        self.next += count;
        self.next - count..self.next
    }

    async fn message(&mut self, pieces: u32, whole: bool) {
        let group = Group::next();
        let mut receipts = Vec::new();
        let mut numbers = Vec::new();
        for piece in 1..=pieces {
            let (mut batch, receipt) = batch("large", self.numbers(2));
            let last = whole && piece == pieces;
            batch.piece = Some(Piece {
                group: Arc::clone(&group),
                last,
            });
            self.rig().admit(batch).await.unwrap();
            receipts.push(receipt);
            numbers.extend(self.next - 2..self.next);
        }
        drop(group);
        for receipt in receipts {
            assert_eq!(within(receipt).await.is_ok(), whole);
        }
        if whole {
            self.owed.extend(numbers.iter().copied());
            let all = numbers.into_iter().collect();
            self.messages.push((all, self.next - 2..self.next));
        }
    }

    async fn take(&mut self) {
        let in_hand: BTreeSet<u32> = self
            .in_hand
            .iter()
            .flat_map(|(_, numbers)| numbers.clone())
            .collect();
        if self.owed.iter().all(|number| in_hand.contains(number)) {
            return;
        }
        let chunk = self.rig().take().await;
        let numbers = numbers(chunk.frames());
        for number in &numbers {
            assert!(!in_hand.contains(number), "{number} is in two chunks");
            let known = self.owed.contains(number) || self.may_repeat(*number);
            assert!(known, "{number} was not stored, or is done");
        }
        for frame in chunk.frames() {
            let content = super::numbers(std::slice::from_ref(frame));
            let before = self.sequences.insert(frame.sequence, content.clone());
            assert!(
                before.is_none_or(|before| before == content),
                "sequence {} twice",
                frame.sequence
            );
        }
        self.in_hand.push((chunk, numbers));
    }

    async fn end(mut self) {
        self.in_hand.clear();
        let rig = self.rig.take().unwrap();
        let delivered: BTreeSet<u32> = rig.drain().await.into_iter().collect();
        let lost: Vec<&u32> = self.owed.difference(&delivered).collect();
        assert!(lost.is_empty(), "lost {lost:?}");
        let extra: Vec<&u32> = delivered
            .difference(&self.owed)
            .filter(|number| !self.may_repeat(**number))
            .collect();
        assert!(extra.is_empty(), "not stored, or done: {extra:?}");
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        drop(rig);
        let again = Rig::open(settings(self.dir.path(), self.shape));
        assert_eq!(
            again.drain().await,
            NOTHING,
            "after everything was delivered"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn equals_its_model(
        records in 1_u8..12,
        segment_bytes in prop_oneof![Just(100_u64), Just(700), Just(1 << 20)],
        recent_bytes in prop_oneof![Just(0_usize), Just(1_200), Just(1 << 20)],
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model {
                dir: tempfile::tempdir().unwrap(),
                shape: (records, segment_bytes, recent_bytes),
                rig: None,
                next: 0,
                owed: BTreeSet::new(),
                finished: BTreeSet::new(),
                in_hand: Vec::new(),
                killed: false,
                messages: Vec::new(),
                repeatable: BTreeSet::new(),
                sequences: BTreeMap::new(),
            };
            model.open();
            for action in actions {
                model.run(action).await;
            }
            model.end().await;
        });
    }
}
