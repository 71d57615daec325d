//! What the probes ask: set by the data path, read by the admin thread, without a lock that the data path waits for.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sdk::metrics::Gauge;

use super::pulse::{Pulses, Pulsing};
use crate::buffer::Buffer;

/// Without a heartbeat for this long the data path counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// How long after a buffer was last full it is not ready: a load balancer must not send back and forth.
const CALM_AFTER: Duration = Duration::from_secs(30);

/// The state of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    born: Instant,
    heartbeat_ms: AtomicU64,
    pulses: Pulses,
    sources: AtomicUsize,
    sources_bound: AtomicUsize,
    started: AtomicBool,
    draining: AtomicBool,
    fail_on_backpressure: AtomicBool,
    outputs: Mutex<Vec<Seen>>,
}

/// An output as the probes see it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) id: Arc<str>,
    pub(super) buffer: Buffer,
    /// Sources wait when its buffer is full, or are refused.
    pub(super) holds_up: bool,
    /// Failures in a row.
    pub(super) failures: Gauge,
    /// When it was last seen full.
    pub(super) full_at: Option<Instant>,
}

/// The answer of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the answer is 200.
    pub ok: bool,
    /// The reasons against it, each a word or two and the component: `backpressure es`.
    pub reasons: Vec<String>,
    /// What is worth knowing and no reason against it: `output down es`.
    pub notes: Vec<String>,
}

impl Health {
    /// A process that is starting.
    pub fn new(fail_on_backpressure: bool) -> Self {
        Self::born_at(Instant::now(), fail_on_backpressure)
    }

    fn born_at(born: Instant, fail_on_backpressure: bool) -> Self {
        Self(Arc::new(State {
            born,
            heartbeat_ms: AtomicU64::new(0),
            pulses: Pulses::new(born),
            sources: AtomicUsize::new(0),
            sources_bound: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            fail_on_backpressure: AtomicBool::new(fail_on_backpressure),
            outputs: Mutex::default(),
        }))
    }

    /// The data path lives.
    pub fn beat(&self) {
        let ms = u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.heartbeat_ms.store(ms, Ordering::Relaxed);
    }

    /// Watches a loop of the data path: the process does not live when its poll does not return.
    pub(super) fn watch<F: Future>(&self, id: &Arc<str>, inner: F) -> Pulsing<F> {
        self.0.pulses.watch(id, inner)
    }

    /// This many sources have to be bound.
    pub fn expect_sources(&self, count: usize) {
        self.0.sources.store(count, Ordering::Relaxed);
    }

    /// A source is bound (`true`) or no longer (`false`).
    pub fn source_bound(&self, bound: bool) {
        if bound {
            self.0.sources_bound.fetch_add(1, Ordering::Relaxed);
        } else {
            self.0.sources_bound.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Everything was constructed and every source was bound once.
    pub fn mark_started(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// Whether it is not ready while a buffer is full.
    pub fn fail_on_backpressure(&self, fails: bool) {
        self.0.fail_on_backpressure.store(fails, Ordering::Relaxed);
    }

    /// SIGTERM came.
    pub fn mark_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Outputs whose state makes readiness.
    pub(super) fn see(&self, mut outputs: Vec<Seen>) {
        let mut seen = self.outputs();
        for output in &mut outputs {
            let before = seen.iter().find(|before| before.id == output.id);
            output.full_at = before.and_then(|before| before.full_at);
        }
        *seen = outputs;
    }

    /// `/livez`: whether the data path still beats. Looks at nothing outside this process.
    pub fn live(&self) -> Verdict {
        Verdict::of(self.stuck())
    }

    fn stuck(&self) -> Vec<String> {
        let last = Duration::from_millis(self.0.heartbeat_ms.load(Ordering::Relaxed));
        let silent = self.0.born.elapsed().saturating_sub(last);
        let silent =
            (silent > STUCK_AFTER).then(|| format!("no heartbeat for {} s", silent.as_secs()));
        let stuck = self.0.pulses.stuck(STUCK_AFTER).into_iter();
        silent
            .into_iter()
            .chain(stuck.map(|id| format!("stuck {id}")))
            .collect()
    }

    /// `/startupz`: whether start-up is over.
    pub fn started(&self) -> Verdict {
        let mut reasons = self.stuck();
        if !self.0.started.load(Ordering::Relaxed) {
            reasons.push("starting".to_owned());
        }
        Verdict::of(reasons)
    }

    /// `/readyz`: whether data can be taken now.
    pub fn ready(&self) -> Verdict {
        self.ready_at(Instant::now())
    }

    fn ready_at(&self, now: Instant) -> Verdict {
        let mut verdict = Verdict::of(self.started().reasons);
        let state = &*self.0;
        let bound = state.sources_bound.load(Ordering::Relaxed);
        let has_started = state.started.load(Ordering::Relaxed);
        if has_started && bound < state.sources.load(Ordering::Relaxed) {
            verdict.add("a source is not bound".to_owned());
        }
        if state.draining.load(Ordering::Relaxed) {
            verdict.add("draining".to_owned());
        }
        let fails = state.fail_on_backpressure.load(Ordering::Relaxed);
        for output in self.outputs().iter_mut() {
            output.judge(now, fails, &mut verdict);
        }
        verdict
    }

    /// The buffers with the ids of their outputs.
    pub fn buffers(&self) -> Vec<(Arc<str>, Buffer)> {
        let outputs = self.outputs();
        let pairs = outputs.iter();
        pairs
            .map(|seen| (Arc::clone(&seen.id), seen.buffer.clone()))
            .collect()
    }

    fn outputs(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0
            .outputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Says what is wrong with it.
    fn judge(&mut self, now: Instant, fails_on_backpressure: bool, verdict: &mut Verdict) {
        let (id, status) = (&self.id, self.buffer.status());
        if self.failures.get() > 0 {
            verdict.notes.push(format!("output down {id}"));
        }
        if status.is_full {
            self.full_at = Some(now);
            verdict.notes.push(format!("buffer full {id}"));
        }
        let is_calm = |at: Instant| now.saturating_duration_since(at) > CALM_AFTER;
        self.full_at = self.full_at.filter(|at| !is_calm(*at));
        let failed = status.failed;
        #[cfg(feature = "defects")]
        let failed = failed.filter(|_| !crate::telemetry::defects::is_on("ready_while_failed"));
        if let Some(failure) = failed {
            verdict.add(format!("buffer failed {id}: {failure}"));
        } else if self.full_at.is_some() && self.holds_up && fails_on_backpressure {
            verdict.add(format!("backpressure {id}"));
        }
    }
}

impl Verdict {
    fn of(reasons: Vec<String>) -> Self {
        Self {
            ok: reasons.is_empty(),
            reasons,
            notes: Vec::new(),
        }
    }

    fn add(&mut self, reason: String) {
        self.ok = false;
        self.reasons.push(reason);
    }
}

#[cfg(test)]
mod tests;
