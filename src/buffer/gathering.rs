//! Where frames become chunks when chunks have keys or an order. A chunk grows (in Fluentd's words, on the stage) until
//! it is full or due, and waits in line until a worker takes it.
//!
//! Of a disk buffer's chunk, only the places of its frames stay in memory when too much waits; it is read again when its
//! turn comes.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use sdk::output::Frame;
use tokio::time::Instant;

use super::{
    chunk::{Mark, Parcel},
    chunk_keys::{ChunkOrder, Key},
    line::Line,
    now_ms,
    queue::Limits,
};

/// Most frames of which the places are kept; then nothing more is taken in before some are delivered. Some 30 MiB.
const FRAMES_MAX: usize = 1 << 19;
/// Most chunks that grow at the same time; then the one that is due first goes early.
const GROWING_MAX: usize = 1 << 16;
/// Bytes that are read ahead of what is due, so that chunks of many keys grow before they leave.
const READ_AHEAD: usize = 64 << 20;

/// The chunks that grow, and those that wait for a worker.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) limits: Limits,
    growing: HashMap<Key, Growing>,
    /// By the time at which each is due.
    due: BTreeSet<(Instant, u64, Key)>,
    line: Line,
    frames: usize,
    /// Bytes of events that are kept in memory.
    kept_bytes: usize,
    /// Most of them; `None` in a memory buffer.
    keep_limit: Option<usize>,
    /// Bytes taken in from disk since a chunk that was due left.
    read_ahead: usize,
}

/// A chunk that grows.
#[derive(Debug)]
struct Growing {
    parcel: Parcel,
    bytes: usize,
    records: u64,
    due: Instant,
}

/// A frame that comes.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) frame: Frame,
    pub(super) mark: Mark,
    pub(super) stored_ms: u64,
    /// When it was stored, if the monotonic clock knows.
    pub(super) arrived: Option<Instant>,
}

impl Gathering {
    /// Nothing is in it. `keep_limit`: bytes of events to keep in memory, `None` for all.
    pub(super) fn new(keep_limit: Option<usize>) -> Self {
        Self {
            limits: Limits::default(),
            growing: HashMap::new(),
            due: BTreeSet::new(),
            line: Line::default(),
            frames: 0,
            kept_bytes: 0,
            keep_limit,
            read_ahead: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Whether nothing waits for a worker.
    pub(super) fn has_queued(&self) -> bool {
        !self.line.is_empty()
    }

    /// Whether nothing more may be taken in.
    pub(super) fn is_crowded(&self) -> bool {
        self.frames >= FRAMES_MAX || self.line.lane_count() >= GROWING_MAX
    }

    /// Whether nothing more may be taken in, and nothing is in line.
    pub(super) fn is_stuffed(&self) -> bool {
        self.is_crowded() && self.line.is_empty()
    }

    /// Chunks of it: those that grow, and those that wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.growing.len(), self.line.len())
    }

    /// Bytes of events in chunks that grow.
    pub(super) fn growing_bytes(&self) -> usize {
        self.growing.values().map(|growing| growing.bytes).sum()
    }

    /// All chunks.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Parcel> + '_ {
        let growing = self.growing.values().map(|growing| &growing.parcel);
        growing.chain(self.line.iter())
    }

    /// Since when a chunk is due, or when the first one will be.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// When the next chunk will be due that is not yet.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let later = Instant::now() + Duration::from_nanos(1);
        let (due, ..) = self.due.range((later, 0, Key::default())..).next()?;
        Some(*due)
    }

    /// Takes in a frame. `is_alike`: whether it may be in one chunk with the frame of this sequence. `is_due`: its chunk
    /// must not wait for more.
    pub(super) fn take_in(
        &mut self,
        arrival: Arrival,
        is_due: bool,
        is_alike: impl Fn(u64) -> bool,
    ) {
        let Arrival {
            frame,
            mark,
            stored_ms,
            arrived,
        } = arrival;
        let (bytes, records) = (frame.events.len(), u64::from(mark.count));
        let key = self.limits.keys.key(&frame);
        if let Some(growing) = self.growing.get(&key) {
            let size = (growing.bytes, growing.records);
            let has_room = self.limits.admits(size, bytes, records);
            if !has_room || !is_alike(growing.parcel.first()) {
                self.enqueue(&key);
            }
        }
        if !self.growing.contains_key(&key) {
            if self.growing.len() >= GROWING_MAX
                && let Some((_, _, first)) = self.due.first().cloned()
            {
                self.enqueue(&first);
            }
            let due = if is_due {
                Instant::now()
            } else {
                self.due_at(&frame, stored_ms, arrived)
            };
            self.due.insert((due, mark.sequence, key.clone()));
            self.growing.insert(key.clone(), Growing::new(&key, due));
        }
        let Some(growing) = self.growing.get_mut(&key) else {
            return;
        };
        growing.bytes += bytes;
        growing.records += records;
        if growing.parcel.arrived.is_none() && growing.parcel.marks.is_empty() {
            growing.parcel.arrived = arrived;
        }
        let is_whole = growing.parcel.is_in_memory();
        growing.parcel.push(frame, mark, stored_ms);
        self.frames += 1;
        self.kept_bytes += bytes;
        let kept_bytes = self.kept_bytes;
        if !is_whole || self.keep_limit.is_some_and(|limit| kept_bytes > limit) {
            self.kept_bytes -= growing.parcel.events_len();
            growing.parcel.frames = Vec::new();
        }
        let is_full = growing.bytes >= self.limits.bytes || growing.records >= self.limits.records;
        if is_full {
            self.enqueue(&key);
        }
    }

    fn due_at(&self, frame: &Frame, stored_ms: u64, arrived: Option<Instant>) -> Instant {
        let (now, now_ms) = (Instant::now(), now_ms());
        if let Some(due_ms) = self.limits.keys.due_ms(frame, stored_ms) {
            return now + Duration::from_millis(due_ms.saturating_sub(now_ms));
        }
        if let Some(arrived) = arrived {
            return arrived + self.limits.interval;
        }
        let age = Duration::from_millis(now_ms.saturating_sub(stored_ms));
        now + self.limits.interval.saturating_sub(age)
    }

    /// So many bytes were taken in from disk.
    pub(super) fn read(&mut self, bytes: usize) {
        self.read_ahead += bytes;
    }

    /// Takes a chunk whose lane is free: one in line, else one that is due, which grows until then. `has_more`: more of
    /// the same waits on disk, so what is not full may grow a little.
    pub(super) fn take(
        &mut self,
        has_more: bool,
        is_free: impl Fn(&Key) -> bool,
    ) -> Option<Parcel> {
        if let Some(parcel) = self.line.take(&is_free) {
            self.took(&parcel);
            return Some(parcel);
        }
        if has_more && self.read_ahead < READ_AHEAD && !self.is_crowded() {
            return None;
        }
        self.read_ahead = 0;
        let now = Instant::now();
        let mut due = self.due.iter().take_while(|(due, ..)| *due <= now);
        let (.., key) = due.find(|(.., key)| is_free(&self.limits.lane_of(key)))?;
        self.enqueue(&key.clone());
        let parcel = self.line.take(is_free)?;
        self.took(&parcel);
        Some(parcel)
    }

    /// Puts the chunk with the oldest frame in line.
    pub(super) fn enqueue_oldest(&mut self) {
        let oldest = self.due.iter().min_by_key(|(_, first, _)| *first);
        if let Some((_, _, key)) = oldest.cloned() {
            self.enqueue(&key);
        }
    }

    /// Puts all chunks in line.
    pub(super) fn enqueue_all(&mut self) {
        while let Some((_, _, key)) = self.due.first().cloned() {
            self.enqueue(&key);
        }
    }

    fn enqueue(&mut self, key: &Key) {
        let Some(growing) = self.growing.remove(key) else {
            return;
        };
        let first = growing.parcel.first();
        self.due.remove(&(growing.due, first, key.clone()));
        self.put_in_line(growing.parcel);
    }

    fn put_in_line(&mut self, parcel: Parcel) {
        let key = parcel.key.clone().unwrap_or_default();
        self.line.put(self.limits.lane_of(&key), parcel);
    }

    fn took(&mut self, parcel: &Parcel) {
        self.frames -= parcel.marks.len();
        self.kept_bytes -= parcel.events_len();
    }

    /// Puts back into the line what was taken out of it.
    fn put_back(&mut self, parcel: Parcel) {
        self.frames += parcel.marks.len();
        self.kept_bytes += parcel.events_len();
        self.put_in_line(parcel);
    }

    /// Goes by these limits from now on. Chunks that were gathered by other keys are complete.
    pub(super) fn obey(&mut self, limits: &Limits) {
        let is_same = limits.keys == self.limits.keys && limits.order == self.limits.order;
        if !is_same {
            self.enqueue_all();
        }
        self.limits = limits.clone();
        if !is_same {
            for parcel in self.line.extract(|_| true) {
                self.put_in_line(parcel);
            }
        }
    }

    /// Takes out the chunk with the oldest frame, for who gives it up.
    pub(super) fn take_oldest(&mut self) -> Option<Parcel> {
        let queued = self.line.first();
        let growing = self.due.iter().map(|(_, first, _)| *first).min();
        if growing.is_some_and(|growing| queued.is_none_or(|queued| growing < queued)) {
            self.enqueue_oldest();
        }
        let parcel = self.line.take(|_| true)?;
        self.took(&parcel);
        Some(parcel)
    }

    /// Takes these frames out of the chunks of a disk buffer. Returns how many of their records were not settled.
    pub(super) fn remove(&mut self, which: impl Fn(&Mark) -> bool) -> (u64, Vec<Mark>) {
        let is_hit = |parcel: &Parcel| parcel.marks.iter().any(&which);
        let growing = self.growing.iter();
        let hit = growing.filter(|(_, growing)| is_hit(&growing.parcel));
        let hit: Vec<Key> = hit.map(|(key, _)| key.clone()).collect();
        for key in hit {
            self.enqueue(&key);
        }
        let (mut records, mut removed) = (0, Vec::new());
        for mut parcel in self.line.extract(is_hit) {
            self.took(&parcel);
            records += parcel.remove(&which, &mut removed);
            // What is left is read again.
            parcel.frames = Vec::new();
            if !parcel.marks.is_empty() {
                self.put_back(parcel);
            }
        }
        (records, removed)
    }
}

impl Growing {
    fn new(key: &Key, due: Instant) -> Self {
        let parcel = Parcel {
            key: Some(key.clone()),
            ..Parcel::default()
        };
        Self {
            parcel,
            bytes: 0,
            records: 0,
            due,
        }
    }
}

impl Limits {
    /// The lane of chunks of this key: those in one lane leave one after the other.
    fn lane_of(&self, key: &Key) -> Key {
        match self.order {
            ChunkOrder::PerChunkKey => key.clone(),
            ChunkOrder::None | ChunkOrder::Strict => Key::default(),
        }
    }
}
