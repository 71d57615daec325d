//! Starting the sources: each under a supervisor that builds it anew after a failure.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sdk::{
    Fut, RunError,
    input::{InputCx, Ready},
    plugin::Build,
    stop::Stop,
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{Health, Life, Shared};
use crate::{
    config::{Config, SourceSpec},
    pipeline::{Parts, Pipeline, SourceEmit},
};

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

/// Starts every source in `tasks`.
pub(super) fn start(
    config: &Config,
    parts: &Parts,
    shared: &Shared,
    pipeline: &Arc<Pipeline>,
    life: &Life,
    stop: &Stop,
    tasks: &mut JoinSet<()>,
) -> Bound {
    let semaphore = Arc::new(Semaphore::new(0));
    shared.health.expect_sources(config.sources.len());
    for spec in &config.sources {
        let label = config
            .labels
            .iter()
            .position(|label| label.name == spec.label)
            .unwrap_or(0);
        let metrics = parts.metrics_of("source", &spec.plugin);
        let emit = Arc::new(SourceEmit::new(Arc::clone(pipeline), label, &metrics));
        let supervised = life.supervised(&spec.plugin.id, spec.failure, &metrics);
        let cx = InputCx {
            id: Arc::clone(&spec.plugin.id),
            emit,
            metrics,
            clock: parts.clock.clone(),
            budget: shared.budget.clone(),
            ready: Ready::new(|_| ()),
        };
        let source = Source {
            spec: spec.clone(),
            parts: parts.clone(),
            cx,
            health: shared.health.clone(),
            bound_once: Arc::clone(&semaphore),
            was_bound: Arc::default(),
        };
        let (stop, start) = (stop.clone(), stop.clone());
        tasks.spawn(supervised.run(stop, move || source.start(start.clone())));
    }
    Bound {
        semaphore,
        count: config.sources.len(),
    }
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
        let Build::Input(make) = self.spec.plugin.descriptor.build else {
            return Box::pin(async { Err(RunError::Other("it is not an input".to_owned())) });
        };
        let build_cx = self
            .parts
            .build_cx(&self.spec.plugin, self.cx.metrics.clone());
        let input = match make(self.spec.plugin.params.clone(), &build_cx) {
            Ok(input) => input,
            Err(errors) => {
                let message = errors.first().map_or_else(String::new, ToString::to_string);
                return Box::pin(async { Err(RunError::Other(message)) });
            }
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
