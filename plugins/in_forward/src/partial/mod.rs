//! Docker's parts of long lines, joined again: `join_partial_messages`.
//!
//! A part is taken out of its batch and held until its line is whole; the line then takes the place of the part that
//! made it so. A part whose sender asks for an acknowledgement goes into the journal first, since Docker sends the
//! next one only when this one is acknowledged.

mod fields;
mod journal;
mod line;
mod lines;
mod meters;
mod recent;
mod sort;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sdk::{
    RunError,
    event::Batch,
    input::InputCx,
    obligation::{Obligation, Receipt},
};
use tokio::{sync::oneshot, task::JoinSet, time::Instant};

use self::{
    journal::{Found, Note},
    lines::{Ended, Lines, Ticket, Why},
    meters::Meters,
    sort::{Sorted, sort, stretches},
    writer::{Ending, Order, Writer},
};
use crate::{report::Report, settings::Settings};

/// How often it is looked for lines that wait in vain, at least and at most.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Checked parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartialSettings {
    /// Since the last part.
    pub(crate) timeout: Duration,
    /// Of one line.
    pub(crate) size_limit: usize,
    /// The directory of the journal.
    pub(crate) dir: PathBuf,
}

/// The parts that one source holds.
#[derive(Debug)]
pub(crate) struct Partial {
    shared: Arc<Shared>,
    /// Lines that are being stored. They go on when the connection ends that brought the last part.
    tasks: Mutex<JoinSet<()>>,
    ending: Mutex<Option<Ending>>,
}

#[derive(Debug)]
struct Shared {
    cx: InputCx,
    settings: PartialSettings,
    lines: Mutex<Lines>,
    writer: Writer,
    meters: Meters,
}

impl Partial {
    /// Opens what these settings want, and lets its clock run beside.
    ///
    /// # Errors
    /// [`RunError::Io`] when the journal cannot be opened.
    pub(crate) async fn begin(
        settings: &Settings,
        cx: &InputCx,
        report: &Arc<Report>,
        beside: &mut JoinSet<()>,
    ) -> Result<Option<Arc<Self>>, RunError> {
        let Some(settings) = settings.partial.clone() else {
            return Ok(None);
        };
        let opened = Arc::new(Self::open(settings, cx, report).await?);
        beside.spawn(Arc::clone(&opened).keep_up());
        Ok(Some(opened))
    }

    /// Reads back what a process before this one has acknowledged.
    async fn open(
        settings: PartialSettings,
        cx: &InputCx,
        report: &Arc<Report>,
    ) -> Result<Self, RunError> {
        let (writer, ending, found) = Writer::open(&settings.dir, Arc::clone(report)).await?;
        report.partial_found(found.parts.len(), found.damaged_bytes, found.torn_bytes);
        let shared = Shared {
            lines: Mutex::new(recovered(found, cx, &settings)),
            meters: Meters::new(&cx.metrics),
            cx: cx.clone(),
            settings,
            writer,
        };
        shared.meters.held(shared.lines().held());
        Ok(Self {
            shared: Arc::new(shared),
            tasks: Mutex::default(),
            ending: Mutex::new(Some(ending)),
        })
    }

    /// Takes the parts out of a batch. Returns what is to be emitted in its place: mostly the batch itself. The shares
    /// of the batch are met when its parts are safe, too.
    pub(crate) async fn take(&self, batch: Batch) -> Vec<Batch> {
        if !fields::may_hold_parts(&batch.events) {
            return vec![batch];
        }
        let shared = &self.shared;
        let sorted = {
            let mut lines = shared.lines();
            let sorted = sort(batch, &mut lines, Instant::now());
            shared.meters.held(lines.held());
            sorted
        };
        let Sorted {
            batches,
            whole,
            again,
            receipt,
            order,
            let_go,
        } = sorted;
        shared.meters.joined(whole);
        shared.meters.again(again);
        if let Some((receipt, outer, tickets)) = receipt {
            let shared = Arc::clone(shared);
            self.spawn(async move { shared.settled(receipt, tickets, Some(outer)).await });
        }
        let mut gone = Vec::new();
        for (ended, why) in let_go {
            shared.meters.let_go(why);
            gone.push(self.let_go(ended));
        }
        if let Some(order) = order {
            shared.writer.order(order).await;
        }
        for emitted in gone {
            // Waits as long as the pipeline does not take it: the sender is slowed down.
            drop(emitted.await);
        }
        batches
    }

    /// Lets lines go that wait in vain. Never ends.
    async fn keep_up(self: Arc<Self>) {
        let timeout = self.shared.settings.timeout;
        let every = (timeout / 4).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        loop {
            tokio::time::sleep(every).await;
            let expired = {
                let mut lines = self.shared.lines();
                let expired = lines.expired(Instant::now(), timeout);
                self.shared.meters.held(lines.held());
                expired
            };
            for ended in expired {
                if ended.is_whole {
                    self.shared.meters.joined(1);
                } else {
                    self.shared.meters.let_go(Why::Timeout);
                }
                drop(self.let_go(ended));
            }
        }
    }

    /// Stores everything that is held, as it is, and closes the journal. No connection may be left.
    pub(crate) async fn finish(&self) {
        let all = self.shared.lines().all();
        for ended in all {
            self.shared.meters.let_go(Why::Stop);
            drop(self.let_go(ended));
        }
        loop {
            let mut tasks = std::mem::take(&mut *lock(&self.tasks));
            if tasks.is_empty() {
                break;
            }
            while tasks.join_next().await.is_some() {}
        }
        self.shared.writer.close().await;
        let ending = lock(&self.ending).take();
        if let Some(ending) = ending {
            ending.wait().await;
        }
    }

    /// Emits a line as it is, in a task of its own. Resolves when the pipeline took it or refused it.
    fn let_go(&self, ended: Ended) -> oneshot::Receiver<()> {
        let shared = Arc::clone(&self.shared);
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            let (due, receipt) = Obligation::new();
            let ticket = ended.ticket.clone();
            if let Some(batch) = stretches(ended, due) {
                // What is refused is counted there; the share is dropped, and the line waits again.
                drop(shared.cx.emit.emit(batch).await);
            }
            drop(tell);
            shared
                .settled(receipt, ticket.into_iter().collect(), None)
                .await;
        });
        told
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        lock(&self.lines)
    }

    /// Waits until lines are stored, notes that in the journal, and then meets the share of who sent the last part.
    async fn settled(&self, receipt: Receipt, tickets: Vec<Ticket>, outer: Option<Obligation>) {
        let stored = receipt.await;
        let (mut notes, mut dues) = (Vec::new(), Vec::from_iter(outer));
        {
            let mut lines = self.lines();
            for ticket in tickets {
                if stored.is_err() {
                    lines.reopen(&ticket, Instant::now());
                } else if let Some(settled) = lines.settle(&ticket) {
                    dues.extend(settled.dues);
                    notes.push(Note::Done {
                        key: ticket.key,
                        upto: settled.upto,
                        is_whole: settled.is_whole,
                    });
                }
            }
            self.meters.held(lines.held());
        }
        if stored.is_ok() && !notes.is_empty() {
            self.writer.order(Order { notes, dues }).await;
        }
    }
}

fn recovered(found: Found, cx: &InputCx, settings: &PartialSettings) -> Lines {
    let mut lines = Lines::new(cx.budget.clone(), settings.size_limit);
    lines.recover(found, Instant::now());
    lines
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
