//! When to try a chunk again, and when to stop trying. Names and meaning are Fluentd's.

use std::time::Duration;

use tokio::time::Instant;

/// Share of the delay by which it is moved at random, up and down.
const JITTER: f64 = 0.125;

/// The limits of one output.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Delay before the first retry.
    pub wait: Duration,
    /// Factor from one delay to the next.
    pub base: f64,
    /// Longest delay.
    pub max_interval: Duration,
    /// Whether delays are moved by up to 12.5 %, so that many routers do not come back at once.
    pub randomize: bool,
    /// Give up after this many retries of a chunk; `None`: never.
    pub max_times: Option<u32>,
    /// Give up this long after the first failure of a chunk; `None`: never.
    pub timeout: Option<Duration>,
}

impl RetryPolicy {
    /// The delay before retry number `retry`, counted from 0. `random` is within 0 to 1.
    pub fn delay(&self, retry: u32, random: f64) -> Duration {
        let factor = self.base.powi(i32::try_from(retry.min(64)).unwrap_or(64));
        let secs = (self.wait.as_secs_f64() * factor).min(self.max_interval.as_secs_f64());
        let moved = if self.randomize {
            secs * (1.0 - JITTER + 2.0 * JITTER * random)
        } else {
            secs
        };
        Duration::try_from_secs_f64(moved).unwrap_or(self.max_interval)
    }
}

/// What one chunk has gone through.
#[derive(Debug, Clone, Default)]
pub(super) struct RetryState {
    /// Failures that the chunk itself may have caused.
    pub(super) attempts: u32,
    /// Panics of the plugin while it had the chunk.
    pub(super) panics: u32,
    /// Failures in a row, of whatever cause.
    consecutive: u32,
    first_failure: Option<Instant>,
}

impl RetryState {
    /// Notes a failure and says how long to wait. `asked` is what the destination asked for.
    pub(super) fn failed(&mut self, policy: &RetryPolicy, asked: Option<Duration>) -> Duration {
        self.first_failure.get_or_insert_with(Instant::now);
        let delay = policy.delay(self.consecutive, fastrand::f64());
        self.consecutive = self.consecutive.saturating_add(1);
        delay.max(asked.unwrap_or_default())
    }

    /// Failures in a row.
    pub(super) fn consecutive(&self) -> u32 {
        self.consecutive
    }

    /// Something arrived: the next failure waits the shortest delay again.
    pub(super) fn progressed(&mut self) {
        self.consecutive = 0;
    }

    /// Whether the limits say to give up.
    pub(super) fn is_exhausted(&self, policy: &RetryPolicy) -> bool {
        let too_often = policy.max_times.is_some_and(|max| self.attempts > max);
        let since = self
            .first_failure
            .map(|first| first.elapsed())
            .unwrap_or_default();
        too_often || policy.timeout.is_some_and(|timeout| since >= timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            wait: Duration::from_secs(1),
            base: 2.0,
            max_interval: Duration::from_mins(5),
            randomize: false,
            max_times: Some(2),
            timeout: None,
        }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let secs: Vec<_> = [0, 1, 2, 8, 9, 1_000]
            .map(|retry| policy().delay(retry, 0.5).as_secs())
            .into();
        assert_eq!(secs, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn jitter_moves_a_delay_by_an_eighth_at_most() {
        let policy = RetryPolicy {
            randomize: true,
            ..policy()
        };
        assert_eq!(policy.delay(3, 0.0), Duration::from_secs(7));
        assert_eq!(policy.delay(3, 1.0), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_by_count_and_by_time() {
        let mut state = RetryState::default();
        state.failed(&policy(), None);
        state.attempts = 2;
        assert!(!state.is_exhausted(&policy()));
        state.attempts = 3;
        assert!(state.is_exhausted(&policy()));

        let by_time = RetryPolicy {
            max_times: None,
            timeout: Some(Duration::from_mins(1)),
            ..policy()
        };
        let mut state = RetryState::default();
        state.failed(&by_time, None);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!state.is_exhausted(&by_time));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(state.is_exhausted(&by_time));
    }

    #[test]
    fn the_destination_may_ask_for_more_time() {
        let mut state = RetryState::default();
        assert_eq!(
            state.failed(&policy(), Some(Duration::from_secs(30))),
            Duration::from_secs(30)
        );
        assert_eq!(state.failed(&policy(), None), Duration::from_secs(2));
        state.progressed();
        assert_eq!(state.failed(&policy(), None), Duration::from_secs(1));
    }
}
