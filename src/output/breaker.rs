//! Whether a destination is to be tried now: one account for all workers of an output.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sdk::{
    metrics::{FloatGauge, Gauge, Metrics},
    output::Failure,
};
use tokio::{sync::Notify, time::Instant};

use super::retry::RetryPolicy;

/// Failures in a row from which on one chunk at a time is tried.
const OPENS_AFTER: u32 = 3;
/// Different chunks that fail in a row for their own sake before they are tried more slowly.
const PACED_AFTER: usize = 3;

/// Help of the series that the breaker shares with [`super::OutputMetrics`].
pub(super) const FAILURES_HELP: &str = "Failures of the destination in a row";
pub(super) const WAIT_HELP: &str =
    "The last wait for the destination; 0 when something got through since";

/// The breaker of one destination.
#[derive(Debug)]
pub struct Breaker {
    output: Arc<str>,
    policy: RetryPolicy,
    meters: Meters,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct Meters {
    open: Gauge,
    failures: Gauge,
    wait_seconds: FloatGauge,
}

#[derive(Debug, Default)]
struct State {
    /// Failures of the destination in a row.
    failures: u32,
    /// A failure counts if its try began after the one before: of many at once, one does.
    epoch: u64,
    /// Tries that got something through.
    arrivals: u64,
    /// Nothing is tried before.
    next_try: Option<Instant>,
    /// Since when nothing gets through.
    down_since: Option<Instant>,
    last: Option<Arc<str>>,
    /// The one chunk is on its way.
    probing: bool,
    /// Chunks that failed for their own sake since something got through.
    own: VecDeque<u64>,
}

/// Leave to try once.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    epoch: u64,
    is_probe: bool,
}

impl Breaker {
    /// Closed; `metrics` carries the labels of the component.
    pub fn new(output: Arc<str>, policy: RetryPolicy, metrics: &Metrics) -> Self {
        let meters = Meters {
            open: metrics.gauge(
                "output_breaker_open",
                "1 while one chunk at a time is tried, because nothing gets through",
                &[],
            ),
            failures: metrics.gauge("output_consecutive_failures", FAILURES_HELP, &[]),
            wait_seconds: metrics.float_gauge("output_retry_wait_seconds", WAIT_HELP, &[]),
        };
        Self {
            output,
            policy,
            meters,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The gauges say how it stands: another breaker may have set them before.
    pub(super) fn show(&self) {
        let state = self.lock();
        self.meters.open.set(i64::from(state.is_open()));
        self.meters.failures.set(i64::from(state.failures));
        if state.failures == 0 {
            self.meters.wait_seconds.set(0.0);
        }
    }

    /// Waits until the destination may be tried.
    pub(super) async fn pass(&self) -> Pass<'_> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.try_pass() {
                Ok(pass) => return pass,
                // Either way, the next look tells what to do.
                Err(until) => drop(tokio::time::timeout_at(until, changed).await),
            }
        }
    }

    /// Leave to try now, or when to ask again.
    pub(super) fn try_pass(&self) -> Result<Pass<'_>, Instant> {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some(until) = state.next_try.filter(|until| *until > now) {
            return Err(until);
        }
        let is_probe = state.is_open();
        if is_probe && state.probing {
            return Err(now + self.policy.max_interval);
        }
        state.probing |= is_probe;
        Ok(Pass {
            breaker: self,
            epoch: state.epoch,
            is_probe,
        })
    }

    /// Something got through. `true` when nothing did before.
    pub(super) fn arrived(&self) -> bool {
        let mut state = self.lock();
        let was_open = state.is_open();
        let down = state.down_since.map(|since| since.elapsed());
        *state = State {
            arrivals: state.arrivals + 1,
            epoch: state.epoch,
            ..State::default()
        };
        drop(state);
        self.meters.open.set(0);
        self.meters.failures.set(0);
        self.meters.wait_seconds.set(0.0);
        self.changed.notify_waiters();
        if was_open {
            let down_s = down.unwrap_or_default().as_secs();
            tracing::info!(output = %self.output, down_s, "the destination takes chunks again");
        }
        was_open
    }

    /// Nothing gets through, and it is not the chunk's fault.
    pub(super) fn failed(&self, pass: &Pass<'_>, asked: Option<Duration>, failure: &Failure) {
        let mut state = self.lock();
        state.last = Some(failure.to_string().into());
        if pass.epoch != state.epoch {
            // The try that failed began before an earlier failure was known: it is the same one.
            return;
        }
        state.epoch += 1;
        state.failures = state.failures.saturating_add(1);
        state.down_since.get_or_insert_with(Instant::now);
        let pause = self.policy.pause(state.failures, asked);
        state.next_try = Some(Instant::now() + pause);
        let (failures, opens) = (state.failures, state.failures == OPENS_AFTER);
        drop(state);
        self.meters.failures.set(i64::from(failures));
        self.meters.wait_seconds.set(pause.as_secs_f64());
        if opens {
            self.meters.open.set(1);
            tracing::warn!(output = %self.output, failures, "nothing gets through: from now on, one chunk at a time is tried: {failure}");
        }
    }

    /// The destination took a part, and asks for less.
    pub(super) fn congested(&self, asked: Option<Duration>) {
        let pause = self.policy.pause(1, asked);
        self.rest(pause);
    }

    /// A chunk failed for its own sake. When many do in a row and nothing gets through, they are tried more slowly.
    pub(super) fn refused(&self, chunk: u64) {
        let mut state = self.lock();
        if !state.own.contains(&chunk) {
            state.own.push_back(chunk);
        }
        let is_paced = state.own.len() >= PACED_AFTER;
        if state.own.len() > PACED_AFTER {
            state.own.pop_front();
        }
        drop(state);
        if is_paced {
            self.rest(self.policy.pause(1, None));
        }
    }

    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        state.next_try = Some(state.next_try.map_or(until, |before| before.max(until)));
    }

    /// Since when nothing gets through, and what was said the last time.
    pub(super) fn outage(&self) -> Option<(Duration, Option<Arc<str>>)> {
        let state = self.lock();
        let since = state.down_since?;
        Some((since.elapsed(), state.last.clone()))
    }

    /// How many tries got something through.
    pub(super) fn arrivals(&self) -> u64 {
        self.lock().arrivals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_open(&self) -> bool {
        self.failures >= OPENS_AFTER
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.lock().probing = false;
            self.breaker.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use sdk::output::FailureKind;

    use super::*;

    fn breaker() -> Breaker {
        let policy = RetryPolicy {
            wait: Duration::from_secs(1),
            base: 2.0,
            max_interval: Duration::from_mins(5),
            randomize: false,
            max_times: None,
            timeout: None,
            secondary_threshold: 0.8,
        };
        Breaker::new("out".into(), policy, &Metrics::new())
    }

    fn failure() -> Failure {
        Failure::new(FailureKind::Connect, "away")
    }

    /// Seconds until leave is given.
    async fn waits(breaker: &Breaker) -> (u64, Pass<'_>) {
        let start = Instant::now();
        let pass = breaker.pass().await;
        (start.elapsed().as_secs(), pass)
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_some_failures_and_closes_when_the_one_chunk_gets_through() {
        let breaker = breaker();
        let mut waited = Vec::new();
        for _ in 0..4 {
            let (secs, pass) = waits(&breaker).await;
            waited.push(secs);
            breaker.failed(&pass, None, &failure());
        }
        assert_eq!(waited, [0, 1, 2, 4]);
        assert_eq!(breaker.meters.open.get(), 1);
        let (secs, probe) = waits(&breaker).await;
        assert_eq!(secs, 8);
        let second = tokio::time::timeout(Duration::from_hours(1), breaker.pass());
        assert!(second.await.is_err(), "only one at a time");
        assert!(breaker.arrived());
        drop(probe);
        assert_eq!(breaker.meters.open.get(), 0);
        let (first, _one) = waits(&breaker).await;
        let (second, _other) = waits(&breaker).await;
        assert_eq!((first, second), (0, 0));
        assert!(breaker.outage().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_the_same_moment_count_once() {
        let breaker = breaker();
        let passes = [
            breaker.pass().await,
            breaker.pass().await,
            breaker.pass().await,
        ];
        for pass in &passes {
            breaker.failed(pass, None, &failure());
        }
        assert_eq!(breaker.meters.failures.get(), 1);
        assert_eq!(waits(&breaker).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_makes_way_for_another() {
        let breaker = breaker();
        for _ in 0..3 {
            let pass = breaker.pass().await;
            breaker.failed(&pass, None, &failure());
        }
        drop(breaker.pass().await);
        let next = tokio::time::timeout(Duration::from_secs(1), breaker.pass());
        assert!(next.await.unwrap().is_probe);
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_that_fail_for_their_own_sake_slow_down_only_when_nothing_gets_through() {
        let breaker = breaker();
        for _ in 0..5 {
            breaker.refused(7);
            breaker.refused(8);
            assert_eq!(waits(&breaker).await.0, 0);
        }
        breaker.refused(9);
        assert_eq!(waits(&breaker).await.0, 1);
        breaker.refused(9);
        assert_eq!(waits(&breaker).await.0, 1);
        assert!(!breaker.arrived());
        breaker.refused(9);
        assert_eq!(waits(&breaker).await.0, 0);
        assert_eq!(breaker.meters.open.get(), 0);
    }
}
