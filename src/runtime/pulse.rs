//! Whether the loops of the data path turn: how long the poll that is running has been running. A loop that waits is
//! well; one whose poll does not return is stuck.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The loops that are watched: acceptors, stages, flush workers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pulses(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    born: Instant,
    loops: Mutex<Vec<(Arc<str>, Weak<AtomicU64>)>>,
}

/// A future whose polls are watched.
pub(super) struct Pulsing<F> {
    inner: Pin<Box<F>>,
    born: Instant,
    /// When the running poll began, in milliseconds since `born`, and one more; 0: none is running.
    since: Arc<AtomicU64>,
}

impl Pulses {
    pub(super) fn new(born: Instant) -> Self {
        Self(Arc::new(Shared {
            born,
            loops: Mutex::default(),
        }))
    }

    /// Watches a loop of the component with this id as long as it lives.
    pub(super) fn watch<F: Future>(&self, id: &Arc<str>, inner: F) -> Pulsing<F> {
        let since = Arc::new(AtomicU64::new(0));
        let mut loops = self.0.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.retain(|(_, since)| since.strong_count() > 0);
        loops.push((Arc::clone(id), Arc::downgrade(&since)));
        Pulsing {
            inner: Box::pin(inner),
            born: self.0.born,
            since,
        }
    }

    /// The components with a poll that has been running for longer than this.
    pub(super) fn stuck(&self, longer: Duration) -> Vec<Arc<str>> {
        let now = self.0.born.elapsed();
        let loops = self.0.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stuck = |since: &Weak<AtomicU64>| {
            let since = since.upgrade()?.load(Ordering::Relaxed).checked_sub(1)?;
            Some(now.saturating_sub(Duration::from_millis(since)) > longer)
        };
        let stuck = loops
            .iter()
            .filter(|(_, since)| is_stuck(since) == Some(true));
        stuck.map(|(id, _)| Arc::clone(id)).collect()
    }
}

impl<F: Future> Future for Pulsing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.since.store(now + 1, Ordering::Relaxed);
        let polled = self.inner.as_mut().poll(cx);
        self.since.store(0, Ordering::Relaxed);
        polled
    }
}

#[cfg(test)]
impl<F> Pulsing<F> {
    /// As if a poll had begun so long after the birth of the process, and not returned.
    pub(super) fn pretend_polled_since(&self, since: Duration) {
        let ms = u64::try_from(since.as_millis()).unwrap();
        self.since.store(ms + 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn a_poll_that_does_not_return_is_seen_and_one_that_waits_is_not() {
        let pulses = Pulses::new(Instant::now());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let (go, gone) = mpsc::sync_channel::<()>(1);
        runtime.spawn(pulses.watch(&"waits".into(), std::future::pending::<()>()));
        let blocked = runtime.spawn(pulses.watch(&"hangs".into(), async move {
            gone.recv().unwrap();
        }));
        let deadline = Instant::now() + Duration::from_secs(10);
        while pulses.stuck(Duration::from_millis(50)).is_empty() {
            assert!(Instant::now() < deadline, "nothing is seen");
            thread::yield_now();
        }
        assert_eq!(pulses.stuck(Duration::from_millis(50)), ["hangs".into()]);
        go.send(()).unwrap();
        runtime.block_on(blocked).unwrap();
        assert!(pulses.stuck(Duration::ZERO).is_empty());
    }
}
