//! Keeping one component running: panics fenced in, restarts with back-off, or the end of the process.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sdk::{
    Fut, RunError,
    metrics::{Counted, Counter, Gauge, Metrics},
    stop::Stop,
};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::Health;
use crate::config::OnFailure;

/// First delay before a restart.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest delay before a restart.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The same for a component that is degraded.
const BACKOFF_DEGRADED: Duration = Duration::from_mins(1);
/// A component that is restarted more often than this within [`INTENSITY_WITHIN`] is degraded.
const INTENSITY_MAX: usize = 5;
const INTENSITY_WITHIN: Duration = Duration::from_mins(1);
/// A component that ran this long starts over with the first delay.
const SETTLED_AFTER: Duration = Duration::from_mins(1);

/// A component that failed under `failure = "stop"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fatal {
    /// The id of the component.
    pub(super) component: Arc<str>,
    /// What happened.
    pub(super) message: String,
}

/// What a component counts about its life.
#[derive(Debug, Clone)]
pub(super) struct LifeMetrics {
    up: Gauge,
    degraded: Gauge,
    errors: Counter,
    panics: Counter,
}

impl LifeMetrics {
    /// Registers the series; `metrics` carries the labels of the component.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let restarts = |reason| {
            metrics.counter(
                "component_restarts",
                "Restarts of the component",
                &[("reason", reason)],
            )
        };
        Self {
            up: metrics.gauge("component_up", "Whether the component runs", &[]),
            degraded: metrics.gauge(
                "component_degraded",
                "Whether the component fails again and again",
                &[],
            ),
            errors: restarts("error"),
            panics: restarts("panic"),
        }
    }
}

/// One component and the rule for its failures.
#[derive(Debug, Clone)]
pub(super) struct Supervised {
    /// The id, for the log.
    pub(super) id: Arc<str>,
    /// Restart it, or end the process.
    pub(super) on_failure: OnFailure,
    /// What it counts.
    pub(super) metrics: LifeMetrics,
    /// Told when the process must end. One place is enough: the first message wins.
    pub(super) fatal: mpsc::Sender<Fatal>,
    /// Told the id when it failed and is restarted.
    pub(super) failed: mpsc::Sender<Arc<str>>,
    /// Watches whether it lives.
    pub(super) health: Health,
}

/// Ends a task when whoever waits for it is ended.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Supervised {
    /// Runs what `start` makes until `stop` is given; makes it again when it fails.
    pub(super) async fn run(
        self,
        stop: Stop,
        mut start: impl FnMut() -> Fut<'static, Result<(), RunError>> + Send,
    ) {
        let mut pace = Pace::new();
        self.metrics.degraded.set(0);
        loop {
            let began = Instant::now();
            let ended = {
                // Of one id there may be two: at a reload the next begins before the last has ended.
                let _up = Counted::new(&self.metrics.up);
                let mut task = tokio::spawn(self.health.watch(&self.id, start()));
                let _ends = Ends(task.abort_handle());
                if let Ok(ended) = timeout(SETTLED_AFTER, &mut task).await {
                    ended
                } else {
                    self.metrics.degraded.set(0);
                    task.await
                }
            };
            let (message, restarts) = match ended {
                Ok(Ok(())) if stop.is_stopped() => return,
                Ok(Ok(())) => ("it ended by itself".to_owned(), &self.metrics.errors),
                Ok(Err(error)) => (error.to_string(), &self.metrics.errors),
                Err(join) => (format!("panic: {join}"), &self.metrics.panics),
            };
            if stop.is_stopped() {
                tracing::warn!(component = %self.id, "failed while stopping: {message}");
                return;
            }
            if self.on_failure == OnFailure::Stop {
                tracing::error!(component = %self.id, "failed, and failure = \"stop\": {message}");
                // A full channel means that another component was first.
                drop(self.fatal.try_send(Fatal {
                    component: self.id,
                    message,
                }));
                return;
            }
            let wait = pace.after(began.elapsed());
            let was_degraded = self.metrics.degraded.set(i64::from(pace.is_degraded())) == 1;
            if pace.is_degraded() && !was_degraded {
                tracing::error!(component = %self.id, "failed more than {INTENSITY_MAX} times within a minute: degraded");
            }
            // A full channel holds enough to see that something is wrong.
            drop(self.failed.try_send(Arc::clone(&self.id)));
            tracing::error!(component = %self.id, restart_in_ms = wait.as_millis(), "failed: {message}");
            tokio::select! {
                () = tokio::time::sleep(wait) => restarts.inc(),
                () = stop.stopped() => return,
            };
        }
    }
}

/// How fast a component is restarted.
struct Pace {
    backoff: Duration,
    /// The failures of the last minute.
    failures: VecDeque<Instant>,
}

impl Pace {
    fn new() -> Self {
        Self {
            backoff: BACKOFF_FIRST,
            failures: VecDeque::new(),
        }
    }

    /// How long to wait after a failure of a component that ran this long.
    fn after(&mut self, ran: Duration) -> Duration {
        let now = Instant::now();
        if ran > SETTLED_AFTER {
            *self = Self::new();
        }
        let is_old = |at: &Instant| now - *at > INTENSITY_WITHIN;
        // A component that is degraded is so until it has run for a while.
        while !self.is_degraded() && self.failures.front().is_some_and(is_old) {
            self.failures.pop_front();
        }
        if !self.is_degraded() {
            self.failures.push_back(now);
        }
        let most = if self.is_degraded() {
            BACKOFF_DEGRADED
        } else {
            BACKOFF_MAX
        };
        let wait = self.backoff.min(most);
        self.backoff = (self.backoff * 2).min(BACKOFF_DEGRADED);
        wait
    }

    fn is_degraded(&self) -> bool {
        self.failures.len() > INTENSITY_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use sdk::stop::Stopper;

    use super::*;

    fn supervised(on_failure: OnFailure) -> (Supervised, mpsc::Receiver<Fatal>) {
        let (fatal, receiver) = mpsc::channel(1);
        let (failed, _) = mpsc::channel(1);
        let metrics = LifeMetrics::new(&Metrics::new());
        (
            Supervised {
                id: "x".into(),
                on_failure,
                metrics,
                fatal,
                failed,
                health: Health::new(true),
            },
            receiver,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn restarts_after_errors_and_panics() {
        let (supervised, _fatal) = supervised(OnFailure::Resume);
        let metrics = supervised.metrics.clone();
        let (stopper, stop) = Stopper::new();
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let inner = stop.clone();
        let start = move || -> Fut<'static, Result<(), RunError>> {
            let (tries, stop) = (Arc::clone(&counted), inner.clone());
            Box::pin(async move {
                match tries.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(RunError::Other("no".into())),
                    1 => panic!("no"),
                    _ => {
                        stop.stopped().await;
                        Ok(())
                    }
                }
            })
        };
        let running = tokio::spawn(supervised.run(stop, start));
        while tries.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        assert_eq!((metrics.errors.get(), metrics.panics.get()), (1, 1));
        stopper.stop();
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_that_fails_again_and_again_is_degraded_and_restarted_slower() {
        let mut pace = Pace::new();
        let mut waits = Vec::new();
        for number in 1..=12 {
            let wait = pace.after(Duration::ZERO);
            assert_eq!(pace.is_degraded(), number > INTENSITY_MAX, "{number}");
            waits.push(wait.as_millis());
            tokio::time::advance(wait).await;
        }
        let expected = [
            100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000,
        ];
        assert_eq!(waits, expected);
        assert_eq!(pace.after(Duration::from_secs(61)), BACKOFF_FIRST);
        assert!(!pace.is_degraded());
        // Now and then is not again and again.
        for _ in 0..20 {
            pace.after(Duration::from_secs(20));
            assert!(!pace.is_degraded());
            tokio::time::advance(Duration::from_secs(20)).await;
        }
    }

    #[tokio::test]
    async fn reports_a_failure_that_must_end_the_process() {
        let (supervised, mut fatal) = supervised(OnFailure::Stop);
        let (_stopper, stop) = Stopper::new();
        supervised
            .run(stop, || {
                Box::pin(async { Err(RunError::Other("no".into())) })
            })
            .await;
        let expected = Fatal {
            component: "x".into(),
            message: "no".into(),
        };
        assert_eq!(fatal.recv().await, Some(expected));
    }
}
