//! Tests of the buffer as a whole; this file is the rig they share.

mod damage;
mod dead_letters;
pub(super) mod faults;
mod format;
mod groups;
mod limits;
mod model;
mod recovery;
mod round_trip;
mod window;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sdk::{
    event::{Batch, Tag, Time, write_event},
    metrics::Metrics,
    msgpack::{Token, write},
    obligation::{Obligation, Receipt},
    output::Frame,
};
use tempfile::TempDir;

use super::*;
use crate::telemetry::ledger::{DropReason, Holder, Ledger};

/// Longest wait for anything that must come.
const DEADLINE: Duration = Duration::from_secs(20);

/// No numbers.
const NOTHING: [u32; 0] = [];

/// A buffer with its books.
struct Rig {
    buffer: Buffer,
    account: Account,
    metrics: Metrics,
}

impl Rig {
    fn open(settings: BufferSettings) -> Self {
        Self::try_open(settings).unwrap()
    }

    fn try_open(settings: BufferSettings) -> Result<Self, BufferError> {
        let metrics = Metrics::new();
        let account = Ledger::new(&metrics).open(Holder::Output, &metrics);
        let buffer = Buffer::open(settings, "out".into(), account.clone(), &metrics)?;
        Ok(Self {
            buffer,
            account,
            metrics,
        })
    }

    /// Admits a batch as the pipeline does.
    async fn admit(&self, batch: Batch) -> Result<(), Refusal> {
        let reservation = self.buffer.reserve(batch.events.len()).await?;
        self.account.received(u64::from(batch.count));
        self.buffer.append(reservation, batch);
        Ok(())
    }

    /// Stores a batch of these numbers.
    async fn put(&self, numbers: std::ops::Range<u32>) {
        let (batch, receipt) = batch("tag", numbers);
        self.admit(batch).await.unwrap();
        within(receipt).await.unwrap();
    }

    async fn take(&self) -> Chunk {
        within(self.buffer.next_chunk())
            .await
            .expect("a chunk is due")
    }

    /// Delivers a chunk as the worker does.
    fn deliver(&self, chunk: Chunk) -> Vec<u32> {
        let numbers = numbers(chunk.frames());
        self.account.delivered(u64::from(chunk.record_count()));
        chunk.settle(u64::from(chunk.record_count()));
        chunk.finish();
        numbers
    }

    /// Closes the buffer and delivers everything that is left; in the order in which it came.
    async fn drain(&self) -> Vec<u32> {
        self.buffer.close();
        let mut all = Vec::new();
        while let Some(chunk) = within(self.buffer.next_chunk()).await {
            all.extend(self.deliver(chunk));
        }
        all
    }

    fn counter(&self, series: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is missing in\n{text}"))
            .parse()
            .unwrap()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.counter(&format!(
            "weir_dropped_records_total{{reason=\"{}\",intended=\"false\"}}",
            reason.as_str()
        ))
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("in time")
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Entries `[0, {"n": NUMBER}]`.
fn events(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut out = Vec::new();
    for number in numbers {
        let mut record = Vec::new();
        write::map(&mut record, 1);
        write::str(&mut record, "n");
        write::uint(&mut record, u64::from(number));
        write_event(&mut out, Time::from_secs(0), &record);
    }
    out
}

fn batch(tag: &str, numbers: std::ops::Range<u32>) -> (Batch, Receipt) {
    let (due, receipt) = Obligation::new();
    let count = numbers.end - numbers.start;
    (
        Batch::new(Tag::new(tag), events(numbers).into(), count, due),
        receipt,
    )
}

/// The numbers in these frames.
fn numbers(frames: &[Frame]) -> Vec<u32> {
    let mut all = Vec::new();
    for frame in frames {
        let before = all.len();
        for event in frame.entries() {
            let (_, value) = event.unwrap().record.pairs().unwrap().next().unwrap();
            match value.token() {
                Token::Int(number) => all.push(u32::try_from(number).unwrap()),
                other => panic!("not a number: {other:?}"),
            }
        }
        assert_eq!(all.len() - before, frame.count as usize);
    }
    all
}

/// A disk buffer in which everything is due at once.
fn disk(dir: &Path) -> BufferSettings {
    BufferSettings {
        flush_interval: Duration::ZERO,
        ..BufferSettings::file(dir)
    }
}

/// What `kill -9` leaves behind: the files as they are now.
fn snapshot(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_all(dir, copy.path());
    copy
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            match std::fs::copy(entry.path(), target) {
                // The writer may remove a file that is done with.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

/// The segment files of a buffer, oldest first.
fn segment_files(dir: &Path) -> Vec<PathBuf> {
    files::segments(dir)
        .unwrap()
        .into_iter()
        .map(|first| files::segment_path(dir, first))
        .collect()
}

#[test]
fn handles_are_shared_between_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Buffer>();
    check::<Chunk>();
    check::<Arc<DeadLetter>>();
}
