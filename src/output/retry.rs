//! When to try a chunk again, and when to stop trying. Names and meaning are Fluentd's.

use std::time::Duration;

use crate::buffer::Tries;

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
    /// Share of `max_times` or `timeout` from which on the secondary is tried instead.
    pub secondary_threshold: f64,
}

impl RetryPolicy {
    /// The delay before retry number `retry`, counted from 0; never longer than the longest. `random` is within 0 to 1.
    pub fn delay(&self, retry: u32, random: f64) -> Duration {
        let factor = self.base.powi(i32::try_from(retry.min(64)).unwrap_or(64));
        let longest = self.max_interval.as_secs_f64();
        let secs = self.wait.as_secs_f64() * factor;
        let secs = if self.randomize {
            // The longest is moved downwards only.
            secs.min(longest / (1.0 + JITTER)) * (1.0 - JITTER + 2.0 * JITTER * random)
        } else {
            secs.min(longest)
        };
        Duration::try_from_secs_f64(secs).unwrap_or(self.max_interval)
    }

    /// How long a chunk that failed so often in a row waits. `asked` is what the destination asked for.
    pub(super) fn pause(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let delay = self.delay(failures.saturating_sub(1), fastrand::f64());
        delay.max(asked.unwrap_or_default()).min(self.max_interval)
    }

    /// Whether the limits say to give up.
    pub(super) fn is_exhausted(&self, tries: &Tries) -> bool {
        let too_often = self.max_times.is_some_and(|max| tries.attempts > max);
        too_often
            || self
                .timeout
                .is_some_and(|timeout| tries.failing_for() >= timeout)
    }

    /// Whether it is the secondary's turn.
    pub(super) fn is_for_secondary(&self, tries: &Tries) -> bool {
        let share = f64::from(self.max_times.unwrap_or(0)) * self.secondary_threshold;
        let often = self.max_times.is_some() && f64::from(tries.attempts) > share.floor();
        let turn = self.secondary_after();
        often || turn.is_some_and(|turn| tries.failing_for() >= turn)
    }

    fn secondary_after(&self) -> Option<Duration> {
        let timeout = self.timeout?;
        Some(timeout.mul_f64(self.secondary_threshold.clamp(0.0, 1.0)))
    }

    /// How long it is until time alone changes what is to be done; `None`: it never does.
    pub(super) fn time_left(&self, tries: &Tries) -> Option<Duration> {
        if !tries.has_failed() {
            return None;
        }
        let failing = tries.failing_for();
        let turns = [self.secondary_after(), self.timeout].into_iter().flatten();
        turns
            .filter_map(|turn| turn.checked_sub(failing))
            .filter(|left| !left.is_zero())
            .min()
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
            max_times: Some(5),
            timeout: None,
            secondary_threshold: 0.8,
        }
    }

    fn tries(attempts: u32) -> Tries {
        let mut tries = Tries::default();
        tries.attempts = attempts;
        tries
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let secs: Vec<_> = [0, 1, 2, 8, 9, 1_000]
            .map(|retry| policy().delay(retry, 0.5).as_secs())
            .into();
        assert_eq!(secs, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn jitter_moves_a_delay_by_an_eighth_at_most_and_never_beyond_the_longest() {
        let policy = RetryPolicy {
            randomize: true,
            ..policy()
        };
        assert_eq!(policy.delay(3, 0.0), Duration::from_secs(7));
        assert_eq!(policy.delay(3, 1.0), Duration::from_secs(9));
        assert!(policy.delay(90, 1.0) <= policy.max_interval);
        assert!(policy.delay(90, 0.0) > Duration::from_secs(230));
    }

    #[test]
    fn the_destination_may_ask_for_more_time_but_not_for_more_than_the_longest() {
        let policy = policy();
        let pause = |failures, asked| policy.pause(failures, Some(Duration::from_secs(asked)));
        assert_eq!(pause(1, 30), Duration::from_secs(30));
        assert_eq!(pause(4, 3), Duration::from_secs(8));
        assert_eq!(pause(1, 3_600), Duration::from_mins(5));
    }

    #[test]
    fn gives_up_by_count_after_the_secondary_had_its_turn() {
        let policy = policy();
        let is = |attempts| {
            let tries = tries(attempts);
            (policy.is_for_secondary(&tries), policy.is_exhausted(&tries))
        };
        assert_eq!(is(4), (false, false));
        assert_eq!(is(5), (true, false));
        assert_eq!(is(6), (true, true));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_by_time_after_the_secondary_had_its_turn() {
        let policy = RetryPolicy {
            max_times: None,
            timeout: Some(Duration::from_secs(100)),
            ..policy()
        };
        let mut tries = tries(1_000);
        assert_eq!(policy.time_left(&tries), None);
        tries.fails_for(Duration::ZERO);
        let mut seen = Vec::new();
        while let Some(left) = policy.time_left(&tries) {
            let is = (policy.is_for_secondary(&tries), policy.is_exhausted(&tries));
            seen.push((left.as_secs(), is));
            tokio::time::advance(left).await;
        }
        assert_eq!(seen, [(80, (false, false)), (20, (true, false))]);
        assert!(policy.is_exhausted(&tries));
    }
}
