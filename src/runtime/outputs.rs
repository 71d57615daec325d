//! The running outputs: their flush workers and their background work, and what a reload does to them.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use sdk::{
    Fut, RunError,
    metrics::Metrics,
    output::Output,
    stop::{Stop, Stopper},
};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};

use super::{
    Life,
    caution::{Caution, Step},
    leaving::Leaving,
    promise::Promise,
    supervise::Supervised,
};
use crate::{
    config::OutputSpec,
    output::{Means, OutputNode},
    pipeline::{BuiltOutput, Pipeline},
};

/// How long workers may take to end once they were told to give up.
const LAST: Duration = Duration::from_millis(500);

/// The running outputs.
pub(super) struct Outputs {
    running: Vec<Running>,
    /// Those that the configuration has no more, and that still deliver what they have.
    leaving: Vec<Leaving>,
    /// In safe mode: whose turn it is.
    caution: Option<Caution>,
}

/// One output.
pub(super) struct Running {
    pub(super) node: Arc<OutputNode>,
    pub(super) spec: OutputSpec,
    metrics: Metrics,
    workers: Vec<Worker>,
    backgrounds: Vec<Background>,
    care: Care,
}

/// How much of an output runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Everything.
    None,
    /// One worker.
    Alone,
    /// Nothing: its turn has not come.
    Waits,
}

/// A flush worker.
struct Worker {
    give_up: Stopper,
    task: JoinHandle<()>,
}

/// What a plugin does beside the chunks.
struct Background {
    stop: Stopper,
    task: JoinHandle<()>,
}

impl Outputs {
    /// Starts every output, or lets them wait for their turn.
    pub(super) fn start(built: Vec<BuiltOutput>, caution: Option<Caution>, life: &Life) -> Self {
        let care = match caution {
            None => Care::None,
            Some(_) => Care::Waits,
        };
        let running = built.into_iter();
        Self {
            running: running
                .map(|built| Running::start(built, care, life))
                .collect(),
            leaving: Vec::new(),
            caution,
        }
    }

    /// In safe mode, starts the output whose turn it is.
    pub(super) fn be_careful(&mut self, life: &Life) {
        let Some(caution) = &mut self.caution else {
            return;
        };
        match caution.step(&self.running) {
            Step::Wait => {}
            Step::Start(id) => {
                let mut running = self.running.iter_mut();
                if let Some(running) = running.find(|running| running.node.id == id) {
                    running.run_with(Care::Alone, life);
                }
            }
            Step::Over => {
                self.caution = None;
                for running in &mut self.running {
                    running.run_with(Care::None, life);
                }
            }
        }
    }

    /// The directories of all of them.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let leaving = self.leaving.iter().map(|leaving| &leaving.running);
        let all = self.running.iter().chain(leaving);
        all.map(|running| running.spec.buffer.path.clone())
            .collect()
    }

    /// Runs what was built from now on: new outputs start, those that were lent go on or change, and the others leave.
    /// `before` is the graph that sends to those.
    pub(super) fn replace(
        &mut self,
        built: Vec<BuiltOutput>,
        before: &Weak<Pipeline>,
        patience: Duration,
        life: &Life,
    ) {
        let mut lent: Vec<Running> = std::mem::take(&mut self.running);
        for built in built {
            let is_it = |running: &Running| Arc::ptr_eq(&running.node, &built.node);
            let found = lent.iter().position(is_it).map(|at| lent.swap_remove(at));
            let running = match found.or_else(|| self.come_back(&built.node)) {
                Some(running) => running.change(built, life),
                None => Running::start(built, Care::None, life),
            };
            self.running.push(running);
        }
        let leave = |running| Leaving::begin(running, Weak::clone(before), patience);
        self.leaving.extend(lent.into_iter().map(leave));
    }

    /// An output that was leaving, and is in the configuration again.
    fn come_back(&mut self, node: &Arc<OutputNode>) -> Option<Running> {
        let is_it = |leaving: &Leaving| Arc::ptr_eq(&leaving.running.node, node);
        let at = self.leaving.iter().position(is_it)?;
        Some(self.leaving.swap_remove(at).running)
    }

    /// What another graph may use of these.
    pub(super) fn lent(&self) -> Vec<(Arc<OutputNode>, OutputSpec)> {
        let leaving = self.leaving.iter();
        let leaving = leaving.filter(|leaving| !leaving.is_ending());
        let all = self
            .running
            .iter()
            .chain(leaving.map(|leaving| &leaving.running));
        all.map(|running| (Arc::clone(&running.node), running.spec.clone()))
            .collect()
    }

    /// Every output that runs by the configuration.
    pub(super) fn running(&self) -> &[Running] {
        &self.running
    }

    /// Lets those that leave go when they are done. Returns the ids of those that are gone; their directories are free.
    pub(super) async fn look_after_leaving(&mut self) -> Vec<Arc<str>> {
        let gone: Vec<_> = self.leaving.extract_if(.., Leaving::look_after).collect();
        let ids = gone
            .iter()
            .map(|leaving| Arc::clone(&leaving.running.node.id));
        // One with the same id may run again, with another buffer.
        let runs = |id: &Arc<str>| self.running.iter().any(|running| running.node.id == *id);
        let ids = ids.filter(|id| !runs(id)).collect();
        if !gone.is_empty() {
            // A buffer that closes waits for its writer.
            drop(tokio::task::spawn_blocking(move || drop(gone)).await);
        }
        ids
    }

    /// Whether an output is on its way out and cannot come back any more.
    pub(super) fn is_one_ending(&self) -> bool {
        self.leaving.iter().any(Leaving::is_ending)
    }

    /// Makes everything stored due now.
    pub(super) fn flush(&self) {
        self.running.iter().for_each(Running::flush);
    }

    /// Ends the outputs without another try.
    pub(super) async fn end_at_once(self) {
        let leaving = self.leaving.into_iter().map(|leaving| leaving.running);
        let mut all: Vec<Running> = self.running.into_iter().chain(leaving).collect();
        for running in &all {
            running.node.buffer.close();
            running.abort();
        }
        join_until(Instant::now() + LAST, &mut all).await;
    }

    /// Ends the outputs until `deadline`; `true` when nothing that was only in memory is left.
    pub(super) async fn end(self, deadline: Instant) -> bool {
        let leaving = self.leaving.into_iter().map(|leaving| leaving.running);
        let mut all: Vec<Running> = self.running.into_iter().chain(leaving).collect();
        for running in &all {
            if running.spec.buffer.flush_at_shutdown {
                running.flush();
            } else {
                running.give_up();
            }
            running.node.buffer.close();
        }
        let drained = join_until(deadline, &mut all).await;
        all.iter().for_each(Running::give_up);
        let last = Instant::now() + LAST;
        if !join_until(last, &mut all).await {
            all.iter().for_each(Running::abort);
            join_until(last + LAST, &mut all).await;
        }
        let mut backgrounds = JoinSet::new();
        for background in all.into_iter().flat_map(|running| running.backgrounds) {
            let Background { stop, task } = background;
            stop.stop();
            backgrounds.spawn(async move { drop(timeout_at(last.max(deadline), task).await) });
        }
        backgrounds.join_all().await;
        drained
    }
}

/// Waits for every worker to end; `false` when it was not in time.
async fn join_until(deadline: Instant, all: &mut [Running]) -> bool {
    for running in all {
        while let Some(worker) = running.workers.last_mut() {
            match timeout_at(deadline, &mut worker.task).await {
                Ok(ended) => {
                    say_how(&running.node.id, ended);
                    running.workers.pop();
                }
                Err(_) => return false,
            }
        }
    }
    true
}

fn say_how(id: &Arc<str>, ended: Result<(), tokio::task::JoinError>) {
    match ended {
        Err(error) if error.is_panic() => {
            tracing::error!(output = %id, %error, "a flush worker ended badly");
        }
        _ => {}
    }
}

impl Running {
    fn start(built: BuiltOutput, care: Care, life: &Life) -> Self {
        let BuiltOutput {
            node,
            spec,
            metrics,
            ..
        } = built;
        let mut running = Self {
            node,
            spec,
            metrics,
            workers: Vec::new(),
            backgrounds: Vec::new(),
            care,
        };
        running.run_with(care, life);
        Promise::of(&running.spec).say(&running.node.id);
        running
    }

    fn run_with(&mut self, care: Care, life: &Life) {
        self.care = care;
        if self.backgrounds.is_empty() {
            self.restart_background(life);
        }
        self.staff(life);
    }

    /// Goes on as this says.
    fn change(mut self, built: BuiltOutput, life: &Life) -> Self {
        if built.spec.buffer != self.spec.buffer {
            self.node.buffer.change(&built.buffer_settings());
        }
        let promise = Promise::of(&built.spec);
        if promise != Promise::of(&self.spec) {
            promise.say(&self.node.id);
        }
        let is_failure_same = built.spec.failure == self.spec.failure;
        (self.spec, self.metrics) = (built.spec, built.metrics);
        if let Some(means) = built.means {
            self.deliver_by(means, life);
        } else if !is_failure_same {
            self.restart_background(life);
        }
        self.staff(life);
        self
    }

    fn deliver_by(&mut self, means: Means, life: &Life) {
        self.node.deliver_by(means);
        self.restart_background(life);
        #[cfg(feature = "defects")]
        if crate::telemetry::defects::is_on("reload_drops_buffer") {
            let node = Arc::clone(&self.node);
            tokio::spawn(async move {
                while let Some(mut chunk) = node.buffer.next_chunk().await {
                    chunk.settle(sdk::output::Bitmap::empty(chunk.record_count()));
                    chunk.finish();
                }
            });
        }
    }

    fn restart_background(&mut self, life: &Life) {
        // The series exist from the start, also of an output that waits for its turn.
        let means = self.node.means();
        let primary = (&self.node.id, &means.plugin, &self.metrics);
        let secondary = means.secondary.as_ref();
        let secondary = secondary.map(|other| (&other.id, &other.plugin, &other.metrics));
        let mut backgrounds = Vec::new();
        for (id, plugin, metrics) in std::iter::once(primary).chain(secondary) {
            let supervised = life.supervised(id, self.spec.failure, metrics);
            if self.care != Care::Waits {
                backgrounds.push(Background::start(plugin, supervised));
            }
        }
        for before in std::mem::replace(&mut self.backgrounds, backgrounds) {
            before.stop.stop();
        }
    }

    /// Has as many workers as it is told.
    fn staff(&mut self, life: &Life) {
        let wanted = match self.care {
            Care::Waits => 0,
            Care::Alone => 1,
            Care::None => self.spec.buffer.flush_thread_count.max(1),
        };
        self.workers.retain(|worker| !worker.task.is_finished());
        while self.workers.len() < wanted {
            let (give_up, told) = Stopper::new();
            let worker = Arc::clone(&self.node).flush(told);
            let task = tokio::spawn(life.health.watch(&self.node.id, worker));
            self.workers.push(Worker { give_up, task });
        }
        for worker in self.workers.drain(wanted..) {
            worker.give_up.stop();
        }
    }

    pub(super) fn flush(&self) {
        self.node.buffer.flush();
    }

    /// What is in hand goes back into the buffer, at the end of a call at the latest.
    pub(super) fn give_up(&self) {
        self.workers.iter().for_each(|worker| worker.give_up.stop());
    }

    pub(super) fn abort(&self) {
        self.workers.iter().for_each(|worker| worker.task.abort());
    }

    /// Whether every worker has ended.
    pub(super) fn is_idle(&self) -> bool {
        self.workers.iter().all(|worker| worker.task.is_finished())
    }
}

impl Background {
    fn start(plugin: &Arc<dyn Output>, supervised: Supervised) -> Self {
        let (stop, stopped) = Stopper::new();
        let (plugin, told) = (Arc::clone(plugin), stopped.clone());
        let start = move || -> Fut<'static, Result<(), RunError>> {
            let (plugin, told): (_, Stop) = (Arc::clone(&plugin), told.clone());
            Box::pin(async move { plugin.run(told).await })
        };
        let task = tokio::spawn(supervised.run(stopped, start));
        Self { stop, task }
    }
}
