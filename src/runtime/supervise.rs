//! Keeping one component running: panics fenced in, restarts with back-off, or the end of the process.

use std::{sync::Arc, time::Duration};

use sdk::{
    Fut, RunError,
    metrics::{Counter, Gauge, Metrics},
    stop::Stop,
};
use tokio::{sync::mpsc, time::Instant};

use crate::config::OnFailure;

/// First delay before a restart.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest delay before a restart.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
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
}

impl Supervised {
    /// Runs what `start` makes until `stop` is given; makes it again when it fails.
    pub(super) async fn run(
        self,
        stop: Stop,
        mut start: impl FnMut() -> Fut<'static, Result<(), RunError>> + Send,
    ) {
        let mut backoff = BACKOFF_FIRST;
        loop {
            let began = Instant::now();
            self.metrics.up.set(1);
            let ended = tokio::spawn(start()).await;
            self.metrics.up.set(0);
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
            if began.elapsed() > SETTLED_AFTER {
                backoff = BACKOFF_FIRST;
            }
            tracing::error!(component = %self.id, restart_in_ms = backoff.as_millis(), "failed: {message}");
            tokio::select! {
                () = tokio::time::sleep(backoff) => restarts.inc(),
                () = stop.stopped() => return,
            };
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use sdk::stop::Stopper;

    use super::*;

    fn supervised(on_failure: OnFailure) -> (Supervised, mpsc::Receiver<Fatal>) {
        let (fatal, receiver) = mpsc::channel(1);
        let metrics = LifeMetrics::new(&Metrics::new());
        (
            Supervised {
                id: "x".into(),
                on_failure,
                metrics,
                fatal,
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
