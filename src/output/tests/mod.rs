//! Outputs against destinations that do as they are told, in virtual time; this file is the rig they share.

mod fate;
mod outage;
mod poison;
mod restart;
mod secondary;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sdk::{
    Fut,
    event::{Batch, Tag, Time, write_event},
    metrics::Metrics,
    msgpack::{Token, write},
    obligation::Obligation,
    output::{ChunkView, Failure, FailureKind, Outcome, Output},
    stop::{Stop, Stopper},
};
use tokio::{task::JoinSet, time::Instant};

use super::*;
use crate::{
    buffer::BufferSettings,
    telemetry::ledger::{Holder, Ledger},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What a destination was asked to take, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Try {
    at: Instant,
    /// The numbers of the records that were to be delivered.
    numbers: Vec<u32>,
    /// Whether all of them arrived.
    arrived: bool,
}

/// A destination that does what a function says.
struct Scripted<F> {
    answer: F,
    takes: Duration,
    tries: Arc<Mutex<Vec<Try>>>,
}

impl<F: Fn(&[u32]) -> Outcome + Send + Sync> Output for Scripted<F> {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            let numbers = numbers(&chunk);
            let at = Instant::now();
            tokio::time::sleep(self.takes).await;
            let answer = (self.answer)(&numbers);
            let arrived = answer == Outcome::Delivered;
            self.tries.lock().unwrap().push(Try {
                at,
                numbers,
                arrived,
            });
            answer
        })
    }
}

/// The numbers of the live records.
fn numbers(chunk: &ChunkView<'_>) -> Vec<u32> {
    let entries = chunk.frames.iter().flat_map(|frame| frame.entries());
    let live = (0..)
        .zip(entries)
        .filter(|(index, _)| chunk.is_live(*index));
    let number = |(_, event): (u32, Result<sdk::event::RawEvent<'_>, _>)| {
        let (_, value) = event.unwrap().record.pairs().unwrap().next().unwrap();
        match value.token() {
            Token::Int(number) => u32::try_from(number).unwrap(),
            other => panic!("not a number: {other:?}"),
        }
    };
    live.map(number).collect()
}

fn down() -> Outcome {
    Outcome::DestinationDown(Failure::new(FailureKind::Connect, "away"))
}

fn fails(kind: FailureKind) -> Outcome {
    Outcome::RetryChunk(None, Failure::new(kind, "no"))
}

/// Never gives up; pauses are not varied.
fn policy() -> RetryPolicy {
    RetryPolicy {
        wait: SECOND,
        base: 2.0,
        max_interval: Duration::from_mins(5),
        randomize: false,
        max_times: None,
        timeout: None,
        secondary_threshold: 0.8,
    }
}

/// Every record is a chunk.
fn memory() -> BufferSettings {
    BufferSettings {
        chunk_limit_records: Some(1),
        flush_interval: Duration::ZERO,
        ..BufferSettings::memory()
    }
}

fn disk(dir: &Path) -> BufferSettings {
    BufferSettings {
        chunk_limit_records: Some(1),
        flush_interval: Duration::ZERO,
        ..BufferSettings::file(dir)
    }
}

/// How an output is made.
struct Setup {
    buffer: BufferSettings,
    policy: RetryPolicy,
    workers: usize,
    dead_letter: Option<PathBuf>,
    dead_letter_bytes: u64,
    secondary: Option<Arc<dyn Output>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            buffer: memory(),
            policy: policy(),
            workers: 1,
            dead_letter: None,
            dead_letter_bytes: 64 << 20,
            secondary: None,
        }
    }
}

/// An output with its books.
struct Rig {
    node: Arc<OutputNode>,
    metrics: Metrics,
    tries: Arc<Mutex<Vec<Try>>>,
    count: usize,
    workers: JoinSet<()>,
    give_up: Stopper,
    stop: Stop,
}

impl Rig {
    fn new(setup: Setup, answer: impl Fn(&[u32]) -> Outcome + Send + Sync + 'static) -> Self {
        let metrics = Metrics::new();
        let account = Ledger::new(&metrics).open(Holder::Output, &metrics);
        let tries = Arc::<Mutex<Vec<Try>>>::default();
        let plugin = Scripted {
            answer,
            takes: Duration::from_millis(100),
            tries: Arc::clone(&tries),
        };
        let breaker = |id: &str| Breaker::new(id.into(), setup.policy.clone(), &metrics);
        let secondary = setup.secondary.map(|plugin| Secondary {
            id: "second".into(),
            metrics: Metrics::new(),
            plugin,
            breaker: Breaker::new("second".into(), setup.policy.clone(), &Metrics::new()),
        });
        let letter = setup.dead_letter.map(|path| {
            Arc::new(DeadLetter::open(&path, setup.dead_letter_bytes, &metrics).unwrap())
        });
        let means = Means {
            plugin: Arc::new(plugin),
            dead_letter: letter,
            drop_when_dead_letter_full: false,
            breaker: breaker("out"),
            retry: setup.policy.clone(),
            secondary,
        };
        let buffer = Buffer::open(setup.buffer, "out".into(), account.clone(), &metrics).unwrap();
        let counts = OutputMetrics::new(&metrics);
        let node = OutputNode::new("out".into(), buffer, account, counts, means);
        let (give_up, stop) = Stopper::new();
        Self {
            node: Arc::new(node),
            metrics,
            tries,
            count: setup.workers,
            workers: JoinSet::new(),
            give_up,
            stop,
        }
    }

    /// Stores these numbers, a batch and so a chunk for each. In real time: the writer is a thread.
    async fn put(&self, numbers: std::ops::Range<u32>) {
        let mut receipts = Vec::new();
        for number in numbers {
            let (due, receipt) = Obligation::new();
            let events = events(number);
            let reservation = self.node.buffer.reserve(events.len()).await.unwrap();
            self.node.account.received(1);
            let batch = Batch::new(Tag::new("tag"), events.into(), 1, due);
            self.node.buffer.append(reservation, batch);
            receipts.push(receipt);
        }
        if !self.node.buffer.is_passage() {
            for receipt in receipts {
                receipt.await.unwrap();
            }
        }
    }

    /// From now on, time is virtual, and the workers run.
    fn start(&mut self) {
        tokio::time::pause();
        self.run();
    }

    fn run(&mut self) {
        for _ in 0..self.count {
            let node = Arc::clone(&self.node);
            self.workers.spawn(node.flush(self.stop.clone()));
        }
    }

    /// Waits until nothing is held, and says how long that took.
    async fn drained(&self, within: Duration) -> Duration {
        let start = Instant::now();
        while self.node.account.held_now() > 0 {
            assert!(
                start.elapsed() < within,
                "{} records are left",
                self.node.account.held_now()
            );
            // Often enough to say when it was, and no oftener.
            tokio::time::sleep(Duration::from_millis(50).max(start.elapsed() / 40)).await;
        }
        assert_eq!(self.node.account.imbalance(), 0);
        start.elapsed()
    }

    fn tries(&self) -> Vec<Try> {
        self.tries.lock().unwrap().clone()
    }

    /// The numbers in the order in which they were tried.
    fn order(&self) -> Vec<u32> {
        self.tries()
            .into_iter()
            .flat_map(|one| one.numbers)
            .collect()
    }

    fn tries_of(&self, number: u32) -> usize {
        self.order()
            .into_iter()
            .filter(|other| *other == number)
            .count()
    }

    fn sum(&self, series: &str) -> u64 {
        let text = self.metrics.encode();
        let lines = text.lines().filter_map(|line| line.strip_prefix(series));
        let values = lines.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counters"
        )]
        values.map(|value| value as u64).sum()
    }

    fn dead(&self) -> u64 {
        self.sum("weir_dead_letter_records_total")
    }

    /// Ends the workers; what they have goes back.
    async fn end(mut self) {
        self.give_up.stop();
        while let Some(ended) = self.workers.join_next().await {
            ended.unwrap();
        }
    }
}

/// One entry `[0, {"n": NUMBER}]`.
fn events(number: u32) -> Vec<u8> {
    let mut record = Vec::new();
    write::map(&mut record, 1);
    write::str(&mut record, "n");
    write::uint(&mut record, u64::from(number));
    let mut out = Vec::new();
    write_event(&mut out, Time::from_secs(0), &record);
    out
}
