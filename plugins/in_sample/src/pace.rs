//! How many batches are due now: an even rate without a timer per batch.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// The shortest time between two looks at the clock.
const TICK_MIN: Duration = Duration::from_millis(10);

/// Hands out turns at a rate. Turns that were missed for longer than a second are not made up for.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: u64,
    ticks: Interval,
    start: Instant,
    given: u64,
}

impl Pace {
    /// `rate` turns per second, the first one now. Needs a runtime.
    pub(crate) fn new(rate: u32) -> Self {
        let rate = u64::from(rate.max(1));
        let every = Duration::from_nanos(1_000_000_000 / rate).max(TICK_MIN);
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            rate,
            ticks,
            start: Instant::now(),
            given: 0,
        }
    }

    /// Waits until there may be something due. Safe to cancel.
    pub(crate) async fn tick(&mut self) {
        self.ticks.tick().await;
    }

    /// The number of turns since it was asked last.
    pub(crate) fn due(&mut self) -> u64 {
        let elapsed = self.start.elapsed();
        let whole = elapsed.as_secs().saturating_mul(self.rate);
        let part = u64::from(elapsed.subsec_nanos()) * self.rate / 1_000_000_000;
        let total = whole.saturating_add(part).saturating_add(1);
        let due = total.saturating_sub(self.given);
        self.given = total;
        due.min(self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn turns(rate: u32, span: Duration) -> u64 {
        let mut pace = Pace::new(rate);
        let mut turns = 0;
        let counting = async {
            loop {
                pace.tick().await;
                turns += pace.due();
            }
        };
        assert!(tokio::time::timeout(span, counting).await.is_err());
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_the_rate() {
        let span = Duration::from_millis(9_995);
        assert_eq!(turns(1, span).await, 10);
        assert_eq!(turns(7, span).await, 70);
        let many = turns(12_345, span).await;
        assert!((123_200..=123_450).contains(&many), "{many}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_is_not_made_up_for() {
        let mut pace = Pace::new(100);
        pace.tick().await;
        assert_eq!(pace.due(), 1);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(pace.due(), 100);
        assert_eq!(pace.due(), 0);
    }
}
