//! A story that happens to a buffer on a simulated volume, and what sender and destination know of it. What they know
//! is the judge: it is never taken from the buffer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use sdk::event::{DIGEST_LEN, Fingerprint, Group, Piece, Session};

use super::{
    faults::place,
    simulated::{Fault, Simulated},
    *,
};

/// How long something may take that is not sure to come while calls fail.
const PATIENCE: Duration = Duration::from_millis(10);

/// A number that a campaign gives.
pub(super) fn given(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Threads that tell stories at once: most of the time each waits for the writer of its buffer.
pub(super) const THREADS: u64 = 8;

/// Does this with all of these, on several threads at once.
pub(super) fn share<T: Send, O: Send>(
    items: impl Iterator<Item = T> + Send,
    work: impl AsyncFn(T) -> O + Sync,
) -> Vec<O> {
    let (items, all) = (Mutex::new(items), Mutex::new(Vec::new()));
    let worker = || {
        runtime().block_on(async {
            loop {
                let item = items.lock().unwrap().next();
                let Some(item) = item else { return };
                let done = work(item).await;
                all.lock().unwrap().push(done);
            }
        });
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(worker);
        }
    });
    all.into_inner().unwrap()
}

/// A runtime for one thread.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// What the sender and the destination know.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Handed to the buffer.
    pub(super) sent: BTreeSet<u32>,
    /// Their senders were told that they are stored.
    pub(super) promised: BTreeSet<u32>,
    /// The destination has them.
    pub(super) finished: BTreeSet<u32>,
    /// Of messages that were cut off by their senders.
    pub(super) cut_off: BTreeSet<u32>,
}

impl Known {
    /// Promised, and not with the destination.
    pub(super) fn owed(&self) -> BTreeSet<u32> {
        let owed = self.promised.difference(&self.finished);
        owed.copied().collect()
    }
}

/// What happened on the way.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Times that the buffer could not be opened.
    pub(super) unopened: u64,
    /// Times that it had failed.
    pub(super) failed: u64,
    /// Batches that waited for room.
    pub(super) full: u64,
    pub(super) abandoned: u64,
    /// Batches that were refused.
    pub(super) refused: u64,
    /// Records that came again after they were finished.
    pub(super) repeated: u64,
    /// Records that could not be read.
    pub(super) quarantined: u64,
}

/// The story so far.
pub(super) struct Story {
    pub(super) store: Simulated,
    pub(super) settings: BufferSettings,
    pub(super) known: Arc<Mutex<Known>>,
    /// Numbers that were handed to the buffer, and what they wait for.
    receipts: Vec<(std::ops::Range<u32>, Receipt)>,
    session: Session,
    next: u32,
    /// What each sequence stands for.
    contents: BTreeMap<(u128, u64), Vec<u32>>,
    /// What is told, for messages.
    pub(super) case: String,
    /// Whether something may be unreadable for good.
    pub(super) may_quarantine: bool,
    /// Whether what the buffer counts of its files must be right to the byte.
    pub(super) is_exact: bool,
    pub(super) figures: Figures,
}

impl Story {
    pub(super) fn new(
        store: Simulated,
        settings: &BufferSettings,
        known: Known,
        case: impl Into<String>,
    ) -> Self {
        Self {
            store,
            settings: settings.clone(),
            next: known.sent.last().map_or(0, |last| last + 1),
            known: Arc::new(Mutex::new(known)),
            receipts: Vec::new(),
            session: Session::new(),
            contents: BTreeMap::new(),
            case: case.into(),
            may_quarantine: false,
            is_exact: true,
            figures: Figures::default(),
        }
    }

    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap().clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
    }

    /// Opens the buffer. What cannot be opened now can be opened when nothing fails, and is as it was.
    pub(super) fn open(&mut self, faults: &[Fault]) -> Rig {
        // It would mend what is counted wrongly.
        self.store.leave_unaudited();
        if let Ok(rig) = Rig::open_on(self.store.files(), self.settings.clone()) {
            return rig;
        }
        self.figures.unopened += 1;
        self.store.mend();
        let rig = Rig::open_on(self.store.files(), self.settings.clone());
        self.store.fail(faults.iter().copied());
        rig.unwrap_or_else(|error| panic!("{}: {error}", self.case))
    }

    /// Admits a batch, if the buffer takes one.
    async fn admit(&mut self, rig: &Rig, batch: Batch, receipt: Receipt) {
        let numbers = self.next..self.next + batch.count;
        self.next += batch.count;
        // Before it can be answered for.
        self.change(|known| known.sent.extend(numbers.clone()));
        match tokio::time::timeout(PATIENCE, rig.admit(batch)).await {
            Ok(Ok(())) => self.receipts.push((numbers, receipt)),
            Ok(Err(refusal)) => {
                let is_failed = matches!(refusal, Refusal::Failed { .. });
                assert!(is_failed, "{}: {refusal}", self.case);
                self.figures.refused += 1;
            }
            Err(_) => {
                let is_full = rig.buffer.status().is_full;
                assert!(is_full, "{}: waits for nothing", self.case);
                self.figures.full += 1;
            }
        }
    }

    fn fingerprint(&mut self) -> Fingerprint {
        let mut digest = [0; DIGEST_LEN];
        digest[..4].copy_from_slice(&self.next.to_be_bytes());
        self.session.next(digest, Duration::from_mins(10))
    }

    /// Stores a batch; every third can be recognised when it comes again.
    pub(super) async fn send(&mut self, rig: &Rig, count: u32) {
        let (mut batch, receipt) = batch("tag", self.next..self.next + count);
        if self.next.is_multiple_of(3) {
            batch.fingerprint = Some(self.fingerprint());
        }
        self.admit(rig, batch, receipt).await;
        self.settle().await;
    }

    /// Stores a large message of so many pieces; its sender cuts it off unless it is `whole`.
    pub(super) async fn send_large(&mut self, rig: &Rig, pieces: u32, whole: bool) {
        let group = Group::next();
        let first = self.next;
        for piece in 1..=pieces {
            let (mut batch, receipt) = batch("large", self.next..self.next + 1);
            batch.piece = Some(Piece {
                group: Arc::clone(&group),
                last: whole && piece == pieces,
            });
            self.admit(rig, batch, receipt).await;
        }
        drop(group);
        if !whole {
            let all = first..self.next;
            self.change(|known| known.cut_off.extend(all));
        }
        self.settle().await;
    }

    /// Takes in the answers that come soon.
    async fn settle(&mut self) {
        let mut pending = Vec::new();
        let soon = Instant::now() + PATIENCE;
        for (numbers, mut receipt) in std::mem::take(&mut self.receipts) {
            match tokio::time::timeout_at(soon, &mut receipt).await {
                Ok(Ok(())) => {
                    self.change(|known| known.promised.extend(numbers));
                }
                Ok(Err(_)) => self.figures.refused += 1,
                Err(_) => pending.push((numbers, receipt)),
            }
        }
        self.receipts = pending;
    }

    /// While calls fail for good: what was sent last has its answer, or the buffer says why it has not.
    pub(super) async fn tells_why(&mut self, rig: &Rig) {
        let deadline = Instant::now() + deadline();
        let last = self.next.saturating_sub(1);
        while !self.known().promised.contains(&last) {
            let status = rig.buffer.status();
            if status.failed.is_some() || status.is_full {
                return;
            }
            let case = &self.case;
            assert!(
                Instant::now() < deadline,
                "{case}: says nothing: {status:?}"
            );
            self.settle().await;
        }
    }

    /// Waits for all answers.
    pub(super) async fn answers(&mut self) {
        for (numbers, receipt) in std::mem::take(&mut self.receipts) {
            match within(receipt).await {
                Ok(()) => self.change(|known| known.promised.extend(numbers)),
                Err(_) => self.figures.refused += 1,
            }
        }
    }

    /// Nobody waits for answers any more, as after a kill.
    pub(super) fn forget_answers(&mut self) {
        self.receipts.clear();
    }

    /// The numbers in a chunk, each of which was sent.
    pub(super) fn look(&mut self, rig: &Rig, chunk: &Chunk) -> Vec<u32> {
        let known = self.known();
        for frame in chunk.frames() {
            let content = numbers(std::slice::from_ref(frame));
            let unknown = content.iter().find(|number| !known.sent.contains(number));
            assert_eq!(unknown, None, "{}: was never sent", self.case);
            let key = (rig.buffer.id(), frame.sequence);
            let before = self.contents.insert(key, content.clone());
            let is_same = before.is_none_or(|before| before == content);
            assert!(is_same, "{}: {key:?} stands for two", self.case);
        }
        let all = numbers(chunk.frames());
        let again = all.iter().filter(|number| known.finished.contains(number));
        self.figures.repeated += again.count() as u64;
        all
    }

    /// The destination takes a chunk.
    pub(super) fn finish(&self, rig: &Rig, chunk: Chunk) {
        // Known first: from then on it need not come again.
        let numbers = numbers(chunk.frames());
        self.change(|known| known.finished.extend(numbers));
        rig.deliver(chunk);
    }

    /// The next chunk, if it comes soon.
    pub(super) async fn take_soon(&mut self, rig: &Rig) -> Option<Chunk> {
        let chunk = tokio::time::timeout(PATIENCE, rig.buffer.next_chunk()).await;
        let chunk = chunk.ok().flatten()?;
        self.look(rig, &chunk);
        Some(chunk)
    }

    /// Takes up to three chunks, and delivers the last, then the first; the other comes back.
    pub(super) async fn deliver_some(&mut self, rig: &Rig) {
        let mut chunks = Vec::new();
        for _ in 0..3 {
            chunks.extend(self.take_soon(rig).await);
        }
        for at in [2, 0] {
            if at < chunks.len() {
                self.finish(rig, chunks.remove(at));
            }
        }
    }

    /// What was promised and is not finished is in `left`.
    pub(super) async fn check(&self, left: &Simulated, known: &Known, what: &str) {
        let case = &self.case;
        let rig = Rig::open_on(left.files(), self.settings.clone()).unwrap();
        assert_eq!(rig.buffer.status().failed, None, "{case}, {what}");
        let there: BTreeSet<u32> = rig.drain().await.into_iter().collect();
        let lost: Vec<u32> = known.owed().difference(&there).copied().collect();
        self.may_be_lost(&lost, left, what);
        let books = (rig.account.imbalance(), rig.account.held_now());
        assert_eq!(books, (0, 0), "{case}, {what}");
    }

    /// What is not delivered must lie in quarantine, and only where calls failed for good.
    fn may_be_lost(&self, lost: &[u32], store: &Simulated, what: &str) {
        let mut kept = BTreeSet::new();
        let quarantine = place().join("quarantine");
        let files = store.files();
        for first in files.segments(&quarantine).unwrap_or_default() {
            let frames = frames(&files, &files::segment_path(&quarantine, first));
            kept.extend(frames.into_iter().flat_map(|(_, content)| content));
        }
        let is_kept = lost.iter().all(|number| kept.contains(number));
        assert!(
            lost.is_empty() || self.may_quarantine && is_kept,
            "{}, {what}: lost {lost:?}; in quarantine {kept:?}",
            self.case
        );
    }

    /// When nothing fails any more, the buffer takes something, and delivers all there is.
    pub(super) async fn end(&mut self, rig: Rig) {
        let case = self.case.clone();
        until(&case, || rig.buffer.status().failed.is_none()).await;
        self.answers().await;
        let (before, deadline) = (self.known().promised.len(), Instant::now() + deadline());
        let takes = |known: &Known, rig: &Rig| {
            known.promised.len() > before && !rig.buffer.status().is_full
        };
        // What could not be read is tried again, and read if somebody wants it.
        let left = || rig.counter("weir_buffer_recovery_left_bytes");
        while !takes(&self.known(), &rig) || left() > 0 {
            assert!(Instant::now() < deadline, "{case}: takes nothing");
            self.send(&rig, 1).await;
            // In an order, one chunk at a time comes, and it may have one record.
            for _ in 0..3 {
                self.deliver_some(&rig).await;
            }
        }
        self.answers().await;
        let held = self.drain(rig).await;
        if self.may_quarantine {
            // What could not be read when it was its turn is left for the next start.
            let rig = self.open(&[]);
            assert_eq!(self.drain(rig).await, 0, "{case}");
        } else {
            assert_eq!(held, 0, "{case}");
        }
        let lost: Vec<u32> = self.known().owed().into_iter().collect();
        self.may_be_lost(&lost, &self.store, "at the end");
        let again = self.open(&[]);
        assert_eq!(again.drain().await, NOTHING, "{case}: all was delivered");
    }

    /// Delivers all that comes. Returns how many records the buffer says that it still holds.
    async fn drain(&mut self, rig: Rig) -> i64 {
        rig.buffer.close();
        loop {
            let next = tokio::time::timeout(deadline(), rig.buffer.next_chunk()).await;
            let (case, status) = (&self.case, rig.buffer.status());
            let next = next.unwrap_or_else(|_| panic!("{case}: does not end: {status:?}"));
            let Some(chunk) = next else { break };
            self.look(&rig, &chunk);
            self.finish(&rig, chunk);
        }
        assert_eq!(rig.account.imbalance(), 0, "{}", self.case);
        if self.is_exact {
            let what = format!("{}: the room is counted to the byte", self.case);
            let is_right = || rig.buffer.status().bytes == self.store.segment_bytes();
            until(&what, is_right).await;
        }
        self.count(&rig);
        rig.account.held_now()
    }

    pub(super) fn count(&mut self, rig: &Rig) {
        self.figures.abandoned += rig.counter("weir_buffer_abandoned_segments_total");
        self.figures.quarantined += rig.dropped(DropReason::Corrupt);
        self.figures.failed += u64::from(rig.buffer.status().failed.is_some());
    }
}
