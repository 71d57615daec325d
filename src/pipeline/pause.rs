//! How long a source stands still because buffers have no room: the back-pressure, measured.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sdk::metrics::{Counter, Gauge, Metrics};
use tokio::time::Instant;

/// How often a pause that lasts is counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// The pauses of one source.
#[derive(Debug, Clone)]
pub(super) struct Pauses {
    paused: Gauge,
    seconds: Counter,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Batches that wait now.
    waiting: usize,
    /// Up to when the pause is counted; there is one while a batch waits.
    counted_to: Option<Instant>,
    /// What is less than a second of the time so far.
    rest: Duration,
}

impl Pauses {
    /// Registers the series; `metrics` carries the labels of the source.
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            paused: metrics.gauge(
                "source_paused",
                "Whether the source waits for room in a buffer",
                &[],
            ),
            seconds: metrics.counter(
                "source_paused_seconds",
                "Whole seconds in which the source waited for room in a buffer",
                &[],
            ),
            state: Arc::default(),
        }
    }

    /// Waits for `admitted`, and counts the time unless it is there at once.
    pub(super) async fn watch<T>(&self, admitted: impl Future<Output = T>) -> T {
        let mut admitted = std::pin::pin!(admitted);
        // Ready at once nearly always: then neither a clock is read nor a lock taken.
        if let Some(value) = now_or_not(admitted.as_mut()).await {
            return value;
        }
        let pause = Pause::begin(self);
        loop {
            match tokio::time::timeout(COUNT_EVERY, admitted.as_mut()).await {
                Ok(value) => return value,
                Err(_) => pause.0.count(0),
            }
        }
    }

    /// Counts what has passed, with so many more or fewer batches waiting from now on.
    fn count(&self, change: isize) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.counted_to {
            let passed = state.rest + now.duration_since(since);
            self.seconds.inc_by(passed.as_secs());
            state.rest = Duration::from_nanos(u64::from(passed.subsec_nanos()));
        }
        state.waiting = state.waiting.saturating_add_signed(change);
        state.counted_to = (state.waiting > 0).then_some(now);
        self.paused.set(i64::from(state.waiting > 0));
    }
}

/// One batch that waits. It may be given up, so its end is in its drop.
struct Pause<'a>(&'a Pauses);

impl<'a> Pause<'a> {
    fn begin(pauses: &'a Pauses) -> Self {
        pauses.count(1);
        Self(pauses)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.count(-1);
    }
}

/// The value of a future if it is ready at the first look.
async fn now_or_not<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_waiting_is_counted_and_overlaps_count_once() {
        let pauses = Pauses::new(&Metrics::new());
        pauses.watch(async {}).await;
        assert_eq!(pauses.seconds.get(), 0);
        let wait = |secs| pauses.watch(tokio::time::sleep(Duration::from_secs(secs)));
        tokio::join!(wait(3), wait(5));
        assert_eq!(pauses.seconds.get(), 5);
        assert_eq!(pauses.paused.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_lasts_is_seen_and_one_that_is_given_up_ends() {
        let pauses = Pauses::new(&Metrics::new());
        let never = pauses.watch(std::future::pending::<()>());
        let given_up = tokio::time::timeout(Duration::from_millis(2500), never);
        assert!(given_up.await.is_err());
        assert_eq!(pauses.seconds.get(), 2);
        pauses
            .watch(tokio::time::sleep(Duration::from_millis(600)))
            .await;
        assert_eq!(
            pauses.seconds.get(),
            3,
            "what is less than a second is kept"
        );
        assert_eq!(pauses.paused.get(), 0);
    }
}
