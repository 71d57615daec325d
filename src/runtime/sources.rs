//! The running sources: each under a supervisor that builds it anew after a failure, and what a reload does to them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sdk::{
    Fut, RunError,
    input::{Input, InputCx, Ready},
    plugin::{Build, Kind},
    sockets::{Shelf, Sockets},
    stop::{Stop, Stopper},
};
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{Duration, Instant, timeout, timeout_at},
};

use super::{Health, Life, Shared};
use crate::{
    config::{Change, Config, Diff, SourceSpec},
    pipeline::{Parts, Pipeline, SourceEmit, Switch},
};

/// How long a source may take to try what it needs.
const PREPARE_PATIENCE: Duration = Duration::from_secs(10);

/// What sources are started with.
#[derive(Clone)]
pub(super) struct Kit {
    pub(super) parts: Parts,
    pub(super) shared: Shared,
    pub(super) life: Life,
    /// The sockets of all of them.
    pub(super) shelf: Shelf,
}

/// The running sources.
pub(super) struct Sources {
    running: Vec<Running>,
    bound_once: Arc<Semaphore>,
}

/// One source.
struct Running {
    id: Arc<str>,
    switch: Switch,
    stop: Stopper,
    task: JoinHandle<()>,
    /// Keeps its sockets open between two runs.
    _sockets: Sockets,
}

/// Resolves when every source was bound once.
#[derive(Debug)]
pub(super) struct Bound {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl Bound {
    pub(super) async fn wait(self) {
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        drop(self.semaphore.acquire_many(count).await);
    }
}

/// Sources that were tried and may be started.
pub(super) type Prepared = Vec<(SourceSpec, Sockets)>;

/// Tries what the sources that are new or changed need. What they bind stays bound as long as what is returned.
///
/// # Errors
/// The id of the first that fails, and why.
pub(super) async fn prepare(
    config: &Config,
    diff: &Diff,
    kit: &Kit,
) -> Result<Prepared, (Arc<str>, RunError)> {
    let mut prepared = Prepared::new();
    for spec in &config.sources {
        let id = &spec.plugin.id;
        if diff.of(Kind::Input, id) == Change::Kept {
            continue;
        }
        let sockets = kit.shelf.of(id);
        match try_out(spec, &sockets, kit).await {
            // It gets what it needs when the source that has it now has ended.
            Err(RunError::Io { .. }) if sockets.waits_for_another() => {}
            tried => tried.map_err(|error| (Arc::clone(id), error))?,
        }
        prepared.push((spec.clone(), sockets));
    }
    Ok(prepared)
}

async fn try_out(spec: &SourceSpec, sockets: &Sockets, kit: &Kit) -> Result<(), RunError> {
    let cx = kit.cx(spec, None, sockets.clone());
    let input = make(spec, &kit.parts, &cx)?;
    match timeout(PREPARE_PATIENCE, input.prepare(&cx)).await {
        Ok(prepared) => prepared,
        Err(_) => Err(RunError::Other(format!(
            "it was not ready within {} s",
            PREPARE_PATIENCE.as_secs()
        ))),
    }
}

impl Sources {
    /// Starts every source.
    pub(super) fn start(config: &Config, pipeline: &Arc<Pipeline>, kit: &Kit) -> (Self, Bound) {
        let mut sources = Self {
            running: Vec::new(),
            bound_once: Arc::new(Semaphore::new(0)),
        };
        kit.shared.health.expect_sources(config.sources.len());
        for spec in &config.sources {
            let sockets = kit.shelf.of(&spec.plugin.id);
            sources.start_one(spec, sockets, pipeline, kit);
        }
        let bound = Bound {
            semaphore: Arc::clone(&sources.bound_once),
            count: config.sources.len(),
        };
        (sources, bound)
    }

    /// Lets the sources that stay send through this graph, ends the others, and starts those that were prepared.
    /// Returns the ids of those that are gone.
    pub(super) async fn replace(
        &mut self,
        config: &Config,
        diff: &Diff,
        prepared: Prepared,
        pipeline: &Arc<Pipeline>,
        patience: Duration,
        kit: &Kit,
    ) -> Vec<Arc<str>> {
        let leaves = |running: &mut Running| diff.of(Kind::Input, &running.id) != Change::Kept;
        let leaving: Vec<_> = self.running.extract_if(.., leaves).collect();
        for running in &self.running {
            running.switch.turn(Arc::clone(pipeline));
        }
        for running in &leaving {
            running.stop.stop();
        }
        kit.shared.health.expect_sources(config.sources.len());
        let ids = leaving.iter().map(|running| Arc::clone(&running.id));
        let gone = ids.filter(|id| diff.of(Kind::Input, id) == Change::Removed);
        let gone = gone.collect();
        end_all(leaving, Instant::now() + patience).await;
        for (spec, sockets) in prepared {
            self.start_one(&spec, sockets, pipeline, kit);
        }
        gone
    }

    /// Ends every source until `deadline`.
    pub(super) async fn end(self, deadline: Instant) {
        self.running.iter().for_each(|running| running.stop.stop());
        end_all(self.running, deadline).await;
    }

    fn start_one(
        &mut self,
        spec: &SourceSpec,
        sockets: Sockets,
        pipeline: &Arc<Pipeline>,
        kit: &Kit,
    ) {
        let (switch, current) = Switch::new(Arc::clone(pipeline));
        let metrics = kit.parts.metrics_of("source", &spec.plugin);
        let emit = SourceEmit::new(current, Arc::clone(&spec.label), &metrics);
        let supervised = kit.life.supervised(&spec.plugin.id, spec.failure, &metrics);
        let source = Source {
            spec: spec.clone(),
            parts: kit.parts.clone(),
            cx: kit.cx(spec, Some(emit), sockets.clone()),
            health: kit.shared.health.clone(),
            bound_once: Arc::clone(&self.bound_once),
            was_bound: Arc::default(),
        };
        let (stop, stopped) = Stopper::new();
        let told = stopped.clone();
        let start = move || source.start(told.clone());
        self.running.push(Running {
            id: Arc::clone(&spec.plugin.id),
            switch,
            stop,
            task: tokio::spawn(supervised.run(stopped, start)),
            _sockets: sockets,
        });
    }
}

/// Waits until all have ended, and breaks off what has not by then.
async fn end_all(leaving: Vec<Running>, deadline: Instant) {
    for mut running in leaving {
        match timeout_at(deadline, &mut running.task).await {
            Ok(Err(error)) => {
                tracing::error!(source = %running.id, %error, "the task of a source ended badly");
            }
            Ok(Ok(())) => {}
            Err(_) => {
                tracing::warn!(
                    source = %running.id,
                    "did not finish in time; what it had not acknowledged will be sent again"
                );
                running.task.abort();
                // It ends at its next pause.
                drop((&mut running.task).await);
            }
        }
    }
}

impl Kit {
    fn cx(&self, spec: &SourceSpec, emit: Option<SourceEmit>, sockets: Sockets) -> InputCx {
        let emit: Arc<dyn sdk::input::Emit> = match emit {
            Some(emit) => Arc::new(emit),
            None => Arc::new(Nowhere),
        };
        InputCx {
            id: Arc::clone(&spec.plugin.id),
            emit,
            metrics: self.parts.metrics_of("source", &spec.plugin),
            clock: self.parts.clock.clone(),
            budget: self.shared.budget.clone(),
            ready: Ready::new(|_| ()),
            monitor: Arc::new(self.shared.roster.clone()),
            sockets,
        }
    }
}

/// For inputs that are only tried: they have nothing to emit.
struct Nowhere;

impl sdk::input::Emit for Nowhere {
    fn emit(&self, _: sdk::event::Batch) -> Fut<'_, Result<(), sdk::input::EmitError>> {
        Box::pin(async {
            Err(sdk::input::EmitError::Closed {
                output: Arc::from("nowhere"),
            })
        })
    }
}

fn make(spec: &SourceSpec, parts: &Parts, cx: &InputCx) -> Result<Box<dyn Input>, RunError> {
    let Build::Input(make) = spec.plugin.descriptor.build else {
        return Err(RunError::Other("it is not an input".to_owned()));
    };
    let build_cx = parts.build_cx(&spec.plugin, cx.metrics.clone());
    make(spec.plugin.params.clone(), &build_cx).map_err(|errors| {
        RunError::Other(errors.first().map_or_else(String::new, ToString::to_string))
    })
}

/// What is needed to build and run one source, again and again.
struct Source {
    spec: SourceSpec,
    parts: Parts,
    cx: InputCx,
    health: Health,
    bound_once: Arc<Semaphore>,
    was_bound: Arc<AtomicBool>,
}

impl Source {
    fn start(&self, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        let input = match make(&self.spec, &self.parts, &self.cx) {
            Ok(input) => input,
            Err(error) => return Box::pin(async { Err(error) }),
        };
        let bound = BoundGuard {
            health: self.health.clone(),
            bound: Arc::default(),
        };
        let cx = InputCx {
            ready: self.ready(&bound),
            ..self.cx.clone()
        };
        Box::pin(async move {
            let _unbound_at_the_end = bound;
            input.run(cx, stop).await
        })
    }

    fn ready(&self, guard: &BoundGuard) -> Ready {
        let id = Arc::clone(&self.cx.id);
        let health = self.health.clone();
        let bound = Arc::clone(&guard.bound);
        let was_bound = Arc::clone(&self.was_bound);
        let bound_once = Arc::clone(&self.bound_once);
        Ready::new(move |detail| {
            tracing::info!(source = %id, "{detail}");
            if !bound.swap(true, Ordering::Relaxed) {
                health.source_bound(true);
            }
            if !was_bound.swap(true, Ordering::Relaxed) {
                bound_once.add_permits(1);
            }
        })
    }
}

/// Tells the probes when a source ends, however it ends.
struct BoundGuard {
    health: Health,
    bound: Arc<AtomicBool>,
}

impl Drop for BoundGuard {
    fn drop(&mut self) {
        if self.bound.swap(false, Ordering::Relaxed) {
            self.health.source_bound(false);
        }
    }
}
