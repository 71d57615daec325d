//! Runs a stateful filter by hand: batches in, a clock that only the test moves, and what left.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    event::{Batch, Time},
    obligation::{Obligation, Receipt},
    stateful::{Left, Outbox, StatefulFilter},
    testing,
};

/// A stateful filter under test. It does what the engine does, and counts what went in and what came out.
pub struct Driver {
    filter: Box<dyn StatefulFilter>,
    now: Instant,
    out: Outbox,
    receipts: Vec<Receipt>,
    fed: u64,
    left: u64,
}

/// What left a filter, as JSON. What it owed is met.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// Tag and record of each event that went on, in order.
    pub passed: Vec<(String, Value)>,
    /// The times of these events.
    pub times: Vec<Time>,
    /// Tag and record of each event that failed, in order.
    pub failed: Vec<(String, Value)>,
    /// Events that ended inside others.
    pub merged: u64,
    /// Events that were taken out.
    pub dropped: u64,
}

impl Driver {
    /// Starts the filter. The clock stands still until [`wait`](Self::wait).
    pub fn new(mut filter: Box<dyn StatefulFilter>) -> Self {
        filter.start();
        Self {
            filter,
            now: Instant::now(),
            out: Outbox::default(),
            receipts: Vec::new(),
            fed: 0,
            left: 0,
        }
    }

    /// Feeds records as one batch, whose sender waits for an answer.
    pub fn feed(&mut self, tag: &str, records: &[Value]) -> Seen {
        let (due, receipt) = Obligation::new();
        self.receipts.push(receipt);
        let batch = Batch {
            due,
            ..testing::batch(tag, records)
        };
        self.feed_batch(batch).into()
    }

    /// Feeds a batch. What it owes of its own is met afterwards, as the engine does.
    pub fn feed_batch(&mut self, batch: Batch) -> Left {
        self.fed += u64::from(batch.count);
        self.filter.filter(&batch, self.now, &mut self.out);
        let left = self.take();
        batch.due.meet();
        left
    }

    /// Lets time pass. The filter is woken on the way whenever it asked for it, and not otherwise.
    pub fn wait(&mut self, time: Duration) -> Seen {
        let end = self.now + time;
        let mut seen = Seen::default();
        while let Some(wake) = self.filter.wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.filter.tick(self.now, &mut self.out);
            seen.add(self.take());
            if self.filter.wake() == Some(wake) {
                break;
            }
        }
        self.now = end;
        seen
    }

    /// Ends the filter, as a drain does.
    pub fn finish(&mut self) -> Seen {
        self.filter.finish(&mut self.out);
        self.take().into()
    }

    /// When the filter wants to be called next, from now.
    pub fn wakes_in(&self) -> Option<Duration> {
        let wake = self.filter.wake()?;
        Some(wake.saturating_duration_since(self.now))
    }

    /// Events that went in and did not come out yet: what was fed less what passed, merged, dropped or failed.
    pub fn held(&self) -> u64 {
        self.fed - self.left
    }

    /// Batches of [`feed`](Self::feed) whose senders have no answer yet.
    pub fn unanswered(&self) -> usize {
        let settled = |receipt: &&Receipt| !receipt.is_settled();
        self.receipts.iter().filter(settled).count()
    }

    fn take(&mut self) -> Left {
        let left = self.out.take();
        let passed: u64 = left
            .batches
            .iter()
            .map(|batch| u64::from(batch.count))
            .sum();
        self.left += passed + left.merged + left.dropped + left.failed.len() as u64;
        left
    }
}

impl Seen {
    /// The records that went on.
    pub fn records(&self) -> Vec<Value> {
        self.passed
            .iter()
            .map(|(_, record)| record.clone())
            .collect()
    }

    fn add(&mut self, left: Left) {
        for batch in left.batches {
            let times = batch.entries().map_while(Result::ok);
            self.times.extend(times.map(|event| event.time));
            self.passed.extend(tagged(&batch));
            batch.due.meet();
        }
        for (batch, _) in left.failed {
            self.failed.extend(tagged(&batch));
            batch.due.meet();
        }
        self.merged += left.merged;
        self.dropped += left.dropped;
    }
}

impl From<Left> for Seen {
    fn from(left: Left) -> Self {
        let mut seen = Self::default();
        seen.add(left);
        seen
    }
}

fn tagged(batch: &Batch) -> impl Iterator<Item = (String, Value)> + '_ {
    let tag = batch.tag.as_str().to_owned();
    let records = testing::records(&batch.events);
    records.into_iter().map(move |record| (tag.clone(), record))
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Driver(fed {}, left {})", self.fed, self.left)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stateful::Held;

    /// Holds every event for a second.
    #[derive(Default)]
    struct Slow(Vec<(Instant, Held)>);

    impl StatefulFilter for Slow {
        fn filter(&mut self, batch: &Batch, now: Instant, _: &mut Outbox) {
            for (at, event) in (0..).zip(batch.entries().map(Result::unwrap)) {
                let until = now + Duration::from_secs(1);
                self.0.push((until, Held::new(batch, at, &event)));
            }
        }

        fn tick(&mut self, now: Instant, out: &mut Outbox) {
            let due = self.0.iter().filter(|(until, _)| *until <= now).count();
            self.0.drain(..due).for_each(|(_, held)| out.release(held));
        }

        fn wake(&self) -> Option<Instant> {
            self.0.first().map(|(until, _)| *until)
        }
    }

    #[test]
    fn the_filter_is_woken_when_it_asked_for_it() {
        let mut driver = Driver::new(Box::<Slow>::default());
        assert_eq!(driver.feed("a", &[json!({ "n": 1 })]), Seen::default());
        assert_eq!(driver.wait(Duration::from_millis(500)).records().len(), 0);
        driver.feed("a", &[json!({ "n": 2 })]);
        assert_eq!((driver.held(), driver.unanswered()), (2, 2));
        assert_eq!(driver.wakes_in(), Some(Duration::from_millis(500)));
        let first = driver.wait(Duration::from_millis(500));
        assert_eq!(first.passed, [("a".to_owned(), json!({ "n": 1 }))]);
        assert_eq!((driver.held(), driver.unanswered()), (1, 1));
        assert_eq!(driver.wait(Duration::from_secs(9)).records().len(), 1);
        assert_eq!((driver.held(), driver.unanswered()), (0, 0));
    }
}
