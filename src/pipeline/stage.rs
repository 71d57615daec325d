//! A stage: a filter with memory, its bounded queue, and what its task does. The task itself is started and watched by
//! `runtime`.
//!
//! What leaves goes on behind the filter in the same label: later filters whose pattern takes the tag, which may be
//! new, and then the first match. It never begins again at the top, so a stage cannot feed itself.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use sdk::{
    RunError,
    config::ConfigErrors,
    event::{Batch, Tag},
    input::EmitError,
    metrics::{Counter, Gauge, Metrics},
    stateful::{Left, Outbox, StatefulFilter},
    stop::Stop,
};
use tokio::time::Instant;

use super::{
    Current, Way,
    admit::Entry,
    poison::{FILTER_PANIC, Poison},
    queue::{Queue, Queued},
};
use crate::{
    config::OnFailure,
    telemetry::ledger::{Account, DropReason},
};

/// Shortest time between two ticks, so that a filter that asks for the past does not spin.
const TICK_LEAST: Duration = Duration::from_millis(1);

/// Makes the filter, again after each failure.
pub(super) type Make = Box<dyn Fn() -> Result<Box<dyn StatefulFilter>, ConfigErrors> + Send + Sync>;

/// Where a stage stands: sorted, they are in the order in which records go through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// What failed comes behind everything else.
    pub(super) by_error: bool,
    /// The label's place in the order of relabels.
    pub(super) label: usize,
    /// The filter's place in its label.
    pub(super) filter: usize,
}

/// A filter with memory, for batches that came by one way.
pub struct Stage {
    /// The id of the filter.
    pub id: Arc<str>,
    /// Carries the labels of the component.
    pub metrics: Metrics,
    /// What happens when it fails; `None`: what `[service]` says.
    pub on_failure: Option<OnFailure>,
    /// How batches came here, and how they go on.
    pub(super) way: Way,
    pub(super) make: Make,
    pub(super) queue: Queue,
    pub(super) counts: Counts,
    account: Account,
    poison: Poison,
    /// What the filter is being given.
    fed: Mutex<Option<(Tag, Bytes)>>,
    /// Records that the filter was given and that have not left it, or wait to go on.
    inside: AtomicU64,
}

/// What a stage counts. Stages of one filter share the series.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub(super) seen: Counter,
    pub(super) passed: Counter,
    pub(super) failed: Counter,
    pub(super) held: Gauge,
}

/// The parts of a stage that differ from one to the next.
pub(super) struct Parts {
    pub(super) id: Arc<str>,
    pub(super) metrics: Metrics,
    pub(super) on_failure: Option<OnFailure>,
    pub(super) way: Way,
    pub(super) make: Make,
    pub(super) counts: Counts,
    /// The page of the pipeline.
    pub(super) account: Account,
}

impl Stage {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            id,
            metrics,
            on_failure,
            way,
            make,
            counts,
            account,
        } = parts;
        let bytes = metrics.gauge("filter_queue_bytes", "Bytes that wait for the filter", &[]);
        Self {
            id,
            metrics,
            on_failure,
            way,
            make,
            queue: Queue::new(bytes),
            counts,
            account,
            poison: Poison::default(),
            fed: Mutex::default(),
            inside: AtomicU64::new(0),
        }
    }

    /// Runs the filter until `closing` is given and nothing waits for it any more. From `draining` on it holds nothing
    /// longer than it must. A filter that panics ends this; what it held is counted when it runs again.
    ///
    /// # Errors
    /// [`RunError`] when the filter cannot be built.
    pub async fn run(
        self: Arc<Self>,
        current: Current,
        draining: Stop,
        closing: Stop,
    ) -> Result<(), RunError> {
        let mut queue = self.queue.receiver.lock().await;
        self.book_lost();
        let mut filter = (self.make)().map_err(|errors| {
            RunError::Other(errors.first().map_or_else(String::new, ToString::to_string))
        })?;
        filter.start();
        let mut out = Outbox::default();
        let (mut is_draining, mut is_closed) = (false, false);
        let mut ticked = None;
        loop {
            let wake = filter.wake().map(|wake| not_before(wake, ticked));
            tokio::select! {
                biased;
                () = draining.stopped(), if !is_draining => is_draining = true,
                () = closing.stopped(), if !is_closed => {
                    is_closed = true;
                    queue.close();
                }
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    ticked = Some(now);
                    filter.tick(now.into_std(), &mut out);
                }
                next = queue.recv() => match next {
                    Some(queued) => {
                        let batch = self.take(queued);
                        if self.poison.is_suspect(&batch.tag, &batch.events) {
                            self.set_aside(&current, batch).await;
                        } else {
                            self.feed(&mut *filter, batch, &mut out);
                        }
                    }
                    None => break,
                },
            }
            self.leave(&current, out.take()).await;
            if is_draining && queue.is_empty() {
                filter.finish(&mut out);
                self.leave(&current, out.take()).await;
            }
        }
        filter.finish(&mut out);
        self.leave(&current, out.take()).await;
        self.book_lost();
        Ok(())
    }

    /// Takes what nobody will run any more out of the books: the sender of these records got no answer.
    pub fn abandon(&self) {
        self.queue.close();
        if let Ok(mut queue) = self.queue.receiver.try_lock() {
            queue.close();
            while let Ok(queued) = queue.try_recv() {
                let batch = self.queue.taken(queued);
                self.move_inside(self.inside() + u64::from(batch.count));
            }
        }
        self.book_lost();
    }

    fn take(&self, queued: Queued) -> Batch {
        let mut batch = self.queue.taken(queued);
        let records = u64::from(batch.count);
        self.counts.seen.inc_by(records);
        self.move_inside(self.inside() + records);
        // From here on each piece is on its own. All but the last do not know the chunk of their sender.
        batch.piece = None;
        batch.origin = batch.origin.filter(|origin| !origin.chunk.is_empty());
        batch
    }

    fn feed(&self, filter: &mut dyn StatefulFilter, batch: Batch, out: &mut Outbox) {
        *self.fed() = Some((batch.tag.clone(), batch.events.clone()));
        filter.filter(&batch, Instant::now().into_std(), out);
        *self.fed() = None;
        batch.due.meet();
    }

    /// A batch on which the filter panicked again and again goes on where filters' failures go.
    async fn set_aside(&self, current: &Current, batch: Batch) {
        self.counts.failed.inc_by(u64::from(batch.count));
        let (records, bytes) = size(&batch);
        let passed = current.pass(Entry::Held(records), batch, |pipeline, batch| {
            pipeline.plan_failed(self, batch, FILTER_PANIC)
        });
        self.gone_on(passed.await, records, bytes);
    }

    fn fed(&self) -> MutexGuard<'_, Option<(Tag, Bytes)>> {
        self.fed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Books what left the filter and sends it on. Waits for room here, so that nobody else waits for this filter.
    async fn leave(&self, current: &Current, left: Left) {
        let Left {
            batches,
            merged,
            dropped,
            failed,
        } = left;
        let passed: u64 = batches.iter().map(|batch| u64::from(batch.count)).sum();
        let failures = failed.len() as u64;
        let all = passed + merged + dropped + failures;
        if all == 0 {
            return;
        }
        self.counts.passed.inc_by(passed);
        self.counts.failed.inc_by(failures);
        let account = &self.account;
        // An event that left twice came into being here.
        let created = all.saturating_sub(self.inside());
        account.created(created);
        account.hold(created);
        self.move_inside(self.inside() + created - merged - dropped);
        account.release(merged + dropped);
        account.merged(merged);
        account.dropped(DropReason::Filtered, dropped, 0);
        for (batch, reason) in failed {
            let (records, bytes) = size(&batch);
            let entry = Entry::Held(records);
            let passed = current.pass(entry, batch, |pipeline, batch| {
                pipeline.plan_failed(self, batch, &reason)
            });
            self.gone_on(passed.await, records, bytes);
        }
        for batch in batches {
            let (records, bytes) = size(&batch);
            let entry = Entry::Held(records);
            let passed = current.pass(entry, batch, |pipeline, batch| {
                pipeline.plan_behind(self, batch)
            });
            self.gone_on(passed.await, records, bytes);
        }
    }

    /// Books that records went on, or did not.
    fn gone_on(&self, passed: Result<(), EmitError>, records: u64, bytes: u64) {
        if let Err(error) = passed {
            tracing::warn!(filter = %self.id, records, "not acknowledged: {error}");
            self.account.release(records);
            self.account
                .dropped(DropReason::StageFailed, records, bytes);
        }
        self.move_inside(self.inside().saturating_sub(records));
    }

    /// What was inside is gone with the filter. Its obligations broke, so its senders send it again.
    fn book_lost(&self) {
        if let Some((tag, events)) = self.fed().take() {
            // It panicked on these.
            self.poison.note(&tag, &events);
        }
        let lost = self.inside();
        if lost == 0 {
            return;
        }
        tracing::error!(filter = %self.id, records = lost, "the filter lost records; they are not acknowledged");
        self.account.release(lost);
        self.account.dropped(DropReason::StageFailed, lost, 0);
        self.move_inside(0);
    }

    /// Whether nothing waits for the filter and nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.inside() == 0 && self.queue.is_empty()
    }

    fn inside(&self) -> u64 {
        self.inside.load(Ordering::Relaxed)
    }

    fn move_inside(&self, records: u64) {
        let before = self.inside.swap(records, Ordering::Relaxed);
        let signed = |records| i64::try_from(records).unwrap_or(i64::MAX);
        self.counts.held.inc_by(signed(records) - signed(before));
    }
}

fn size(batch: &Batch) -> (u64, u64) {
    (u64::from(batch.count), batch.events.len() as u64)
}

/// When to tick a filter that asks for `wake` and was ticked before.
fn not_before(wake: std::time::Instant, ticked: Option<Instant>) -> Instant {
    let wake = Instant::from_std(wake);
    ticked.map_or(wake, |ticked| wake.max(ticked + TICK_LEAST))
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stage({})", self.id)
    }
}
