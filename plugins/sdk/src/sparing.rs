//! Log lines that come seldom: what repeats itself is counted instead of said.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Least time between two log lines for the same reason.
const QUIET: Duration = Duration::from_secs(10);

/// Lets a line through once in a while for each reason.
#[derive(Debug, Default)]
pub struct Sparing(Mutex<HashMap<&'static str, Said>>);

/// When a reason was said, and how often it was not since.
#[derive(Debug)]
struct Said {
    at: Instant,
    unsaid: u64,
}

impl Sparing {
    /// How often this reason was not said since it was last said; `None` when it was said just now.
    pub fn may_say(&self, reason: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match said.get_mut(reason) {
            Some(last) if now.duration_since(last.at) < QUIET => {
                last.unsaid += 1;
                None
            }
            Some(last) => {
                last.at = now;
                Some(std::mem::take(&mut last.unsaid))
            }
            None => {
                said.insert(reason, Said { at: now, unsaid: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_reason_is_said_once_in_a_while_and_the_rest_is_counted() {
        let sparing = Sparing::default();
        let seen = ["a", "a", "b", "a"].map(|reason| sparing.may_say(reason));
        assert_eq!(seen, [Some(0), None, Some(0), None]);
        tokio::time::advance(QUIET).await;
        assert_eq!(
            (sparing.may_say("a"), sparing.may_say("b")),
            (Some(2), Some(0))
        );
    }
}
