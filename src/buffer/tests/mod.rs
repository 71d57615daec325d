//! Tests of the buffer as a whole; this file is the rig they share.

mod accounting;
mod background;
mod damage;
mod dead_letters;
#[cfg(feature = "defects")]
mod defects;
mod evacuation;
mod faults;
mod format;
mod groups;
mod inspect;
mod io;
mod keys;
mod lessons;
mod limits;
mod model;
mod overflow;
mod passage;
mod reader;
mod recovery;
mod round_trip;
mod simulated;
mod space;
mod story;
mod syncing;
mod window;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sdk::{
    event::{Batch, Tag, Time, write_event},
    metrics::Metrics,
    msgpack::{Token, write},
    obligation::{Obligation, Receipt},
    output::{Bitmap, Frame},
};
use tempfile::TempDir;

use super::{
    chunk::Parcel,
    frame::Kind,
    salt::find_salt,
    scan::{Scanner, Step},
    *,
};
use crate::telemetry::ledger::{DropReason, Holder, Ledger};

/// Longest wait for anything that must come.
const DEADLINE: Duration = Duration::from_secs(20);

/// The same, or what a campaign is given.
fn deadline() -> Duration {
    Duration::from_secs(story::given("WEIR_DEADLINE_SECS", DEADLINE.as_secs()))
}

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
        Self::open_on(Files::system(), settings)
    }

    /// Opens a buffer and waits until everything in it was looked through.
    fn open_on(files: Files, settings: BufferSettings) -> Result<Self, BufferError> {
        let rig = Self::open_at_once(files, settings)?;
        let deadline = std::time::Instant::now() + deadline();
        while rig.buffer.status().is_recovering {
            assert!(
                std::time::Instant::now() < deadline,
                "recovery does not end"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(rig)
    }

    fn open_at_once(files: Files, settings: BufferSettings) -> Result<Self, BufferError> {
        let metrics = Metrics::new();
        let account = Ledger::new(&metrics).open(Holder::Output, &metrics);
        let buffer = Buffer::open_on(files, settings, "out".into(), account.clone(), &metrics)?;
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
    fn deliver(&self, mut chunk: Chunk) -> Vec<u32> {
        let numbers = numbers(chunk.frames());
        self.account.delivered(u64::from(chunk.live().alive()));
        chunk.settle(Bitmap::empty(chunk.record_count()));
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
        self.account.dropped_so_far(reason)
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(deadline(), future)
        .await
        .expect("in time")
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + deadline();
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
        if entry.file_name() == "ballast" {
            continue;
        }
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

/// Where the frames of a segment lie that are not damaged, and the numbers in each.
fn frames(files: &Files, segment: &Path) -> Vec<(std::ops::Range<usize>, Vec<u32>)> {
    let (file, len) = files.open(segment).unwrap();
    let header = file.read_at(0, 64).unwrap().unwrap_or_default();
    let mut found = Vec::new();
    let name = segment.file_name().unwrap().to_str().unwrap();
    let first = segment::parse_name(name).unwrap();
    let salt = match segment::SegmentHeader::decode(&header) {
        Ok(header) => Some(header.salt),
        Err(_) => find_salt(&file, first, len).unwrap(),
    };
    let Some(salt) = salt else { return found };
    let mut scanner = Scanner::new(file, first, salt, 1 << 16);
    while let Some(step) = scanner.step(len).unwrap() {
        let Step::Frame(spot) = step else { continue };
        let Some(decoded) = scanner.read(&spot).unwrap() else {
            continue;
        };
        let range = spot.range();
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        if spot.header.kind != Kind::End {
            found.push((range, numbers(&[decoded.frame])));
        }
    }
    found
}

/// The segment files of a buffer, oldest first.
fn segment_files(dir: &Path) -> Vec<PathBuf> {
    Files::system()
        .segments(dir)
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
