//! What the probes ask: set by the data path, read by the admin thread, without a lock between them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::buffer::Buffer;

/// Without a heartbeat for this long the data path counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The state of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    born: Instant,
    heartbeat_ms: AtomicU64,
    sources: AtomicUsize,
    sources_bound: AtomicUsize,
    started: AtomicBool,
    draining: AtomicBool,
    fail_on_backpressure: bool,
    buffers: Mutex<Vec<(Arc<str>, Buffer)>>,
}

/// The answer of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the answer is 200.
    pub ok: bool,
    /// The reasons against it, each a word or two and the component: `backpressure es`.
    pub reasons: Vec<String>,
}

impl Health {
    /// A process that is starting.
    pub fn new(fail_on_backpressure: bool) -> Self {
        Self(Arc::new(State {
            born: Instant::now(),
            heartbeat_ms: AtomicU64::new(0),
            sources: AtomicUsize::new(0),
            sources_bound: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            fail_on_backpressure,
            buffers: Mutex::default(),
        }))
    }

    /// The data path lives.
    pub fn beat(&self) {
        let ms = u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.heartbeat_ms.store(ms, Ordering::Relaxed);
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

    /// SIGTERM came.
    pub fn mark_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Buffers whose state makes readiness.
    pub fn watch_buffers(&self, buffers: Vec<(Arc<str>, Buffer)>) {
        *self
            .0
            .buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = buffers;
    }

    /// `/livez`: whether the data path still beats. Looks at nothing outside this process.
    pub fn live(&self) -> Verdict {
        let last = Duration::from_millis(self.0.heartbeat_ms.load(Ordering::Relaxed));
        let silent = self.0.born.elapsed().saturating_sub(last);
        let stuck = silent > STUCK_AFTER;
        Verdict::of(
            stuck
                .then(|| format!("no heartbeat for {} s", silent.as_secs()))
                .into_iter()
                .collect(),
        )
    }

    /// `/startupz`: whether start-up is over.
    pub fn started(&self) -> Verdict {
        let started = self.0.started.load(Ordering::Relaxed);
        Verdict::of(if started {
            Vec::new()
        } else {
            vec!["starting".to_owned()]
        })
    }

    /// `/readyz`: whether data can be taken now.
    pub fn ready(&self) -> Verdict {
        let mut reasons = self.live().reasons;
        if !self.0.started.load(Ordering::Relaxed) {
            reasons.push("starting".to_owned());
        } else if self.0.sources_bound.load(Ordering::Relaxed)
            < self.0.sources.load(Ordering::Relaxed)
        {
            reasons.push("a source is not bound".to_owned());
        }
        if self.0.draining.load(Ordering::Relaxed) {
            reasons.push("draining".to_owned());
        }
        for (id, buffer) in self.buffers() {
            let status = buffer.status();
            if let Some(failure) = status.failed {
                reasons.push(format!("buffer failed {id}: {failure}"));
            } else if status.is_full && self.0.fail_on_backpressure {
                reasons.push(format!("backpressure {id}"));
            }
        }
        Verdict::of(reasons)
    }

    /// The watched buffers with the ids of their outputs.
    pub fn buffers(&self) -> Vec<(Arc<str>, Buffer)> {
        self.0
            .buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Verdict {
    fn of(reasons: Vec<String>) -> Self {
        Self {
            ok: reasons.is_empty(),
            reasons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_only_between_start_and_drain() {
        let health = Health::new(true);
        health.beat();
        health.expect_sources(1);
        assert!(health.live().ok && !health.started().ok);
        assert_eq!(health.ready().reasons, ["starting"]);
        health.mark_started();
        assert_eq!(health.ready().reasons, ["a source is not bound"]);
        health.source_bound(true);
        assert!(health.ready().ok && health.started().ok);
        health.mark_draining();
        assert_eq!(health.ready().reasons, ["draining"]);
        assert!(health.live().ok);
    }
}
