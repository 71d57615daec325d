//! From the plugin's answer to what to do next: which records arrived, which are tried again, which are refused.

use std::time::Duration;

use sdk::output::{Bitmap, Failure, FailureKind, Outcome, Verdict};

use super::retry::{RetryPolicy, RetryState};

/// What an answer means for the live records of a chunk. Every live record is in exactly one group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Records that arrived.
    pub(super) delivered: u32,
    /// Records that the destination will never take, with the reason.
    pub(super) rejected: Vec<(u32, Failure)>,
    /// Records to try again.
    pub(super) retry: Bitmap,
    /// The shortest time that the destination asked for.
    pub(super) after: Option<Duration>,
    /// What went wrong, for the log and the metrics; one per class.
    pub(super) failures: Vec<(Failure, u32)>,
}

/// Judges an answer. `live` is what was to be delivered.
pub(super) fn judge(
    outcome: Result<Outcome, String>,
    live: &Bitmap,
    state: &mut RetryState,
    policy: &RetryPolicy,
) -> Judgement {
    let mut judgement = match outcome {
        Ok(Outcome::Delivered) => Judgement::delivered(live),
        Ok(Outcome::Except(exceptions)) => Judgement::except(live, exceptions, state),
        Ok(Outcome::DestinationDown(failure)) => Judgement::retry_all(live, None, failure),
        Ok(Outcome::RetryChunk(after, failure)) => {
            state.attempts = state.attempts.saturating_add(1);
            Judgement::retry_all(live, after, failure)
        }
        Ok(Outcome::RejectChunk(failure)) => Judgement::reject_all(live, &failure),
        Err(panic) => {
            state.panics += 1;
            let failure = Failure::new(FailureKind::Panic, panic);
            // Once may be chance; a chunk that does it twice is poison and must not block the others.
            if state.panics > 1 {
                Judgement::reject_all(live, &failure)
            } else {
                Judgement::retry_all(live, None, failure)
            }
        }
    };
    if judgement.retry.alive() > 0 && state.is_exhausted(policy) {
        judgement.give_up();
    }
    judgement
}

impl Judgement {
    fn delivered(live: &Bitmap) -> Self {
        let retry = Bitmap::empty(live.len());
        Self {
            delivered: live.alive(),
            rejected: Vec::new(),
            retry,
            after: None,
            failures: Vec::new(),
        }
    }

    fn retry_all(live: &Bitmap, after: Option<Duration>, failure: Failure) -> Self {
        let failures = vec![(failure, live.alive())];
        Self {
            delivered: 0,
            rejected: Vec::new(),
            retry: live.clone(),
            after,
            failures,
        }
    }

    fn reject_all(live: &Bitmap, failure: &Failure) -> Self {
        let rejected = indexes(live)
            .map(|index| (index, failure.clone()))
            .collect();
        let failures = vec![(failure.clone(), live.alive())];
        Self {
            delivered: 0,
            rejected,
            retry: Bitmap::empty(live.len()),
            after: None,
            failures,
        }
    }

    fn except(live: &Bitmap, exceptions: Vec<(u32, Verdict)>, state: &mut RetryState) -> Self {
        let mut judgement = Self::delivered(live);
        let mut seen = Bitmap::empty(live.len());
        for (index, verdict) in exceptions {
            // A plugin that names a record twice, or one that was settled before, must not upset the count.
            if !live.get(index) || seen.get(index) {
                continue;
            }
            seen.set(index, true);
            judgement.delivered -= 1;
            match verdict {
                Verdict::Retry(after, failure) => {
                    judgement.retry.set(index, true);
                    judgement.after = judgement.after.into_iter().chain(after).min();
                    judgement.note(failure);
                }
                Verdict::Reject(failure) => {
                    judgement.note(failure.clone());
                    judgement.rejected.push((index, failure));
                }
            }
        }
        if judgement.delivered > 0 {
            state.progressed();
        }
        if judgement.retry.alive() > 0 {
            state.attempts = state.attempts.saturating_add(1);
        }
        judgement
    }

    fn give_up(&mut self) {
        let last = self
            .failures
            .last()
            .map_or_else(String::new, |(failure, _)| failure.to_string());
        let failure = Failure::new(FailureKind::RetryExhausted, format!("gave up; last {last}"));
        self.rejected
            .extend(indexes(&self.retry).map(|index| (index, failure.clone())));
        self.retry = Bitmap::empty(self.retry.len());
    }

    fn note(&mut self, failure: Failure) {
        match self
            .failures
            .iter_mut()
            .find(|(seen, _)| seen.kind == failure.kind)
        {
            Some((_, count)) => *count += 1,
            None => self.failures.push((failure, 1)),
        }
    }
}

/// The indexes of the records alive, in order.
fn indexes(live: &Bitmap) -> impl Iterator<Item = u32> + '_ {
    (0..live.len()).filter(|index| live.get(*index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(max_times: Option<u32>) -> RetryPolicy {
        let wait = Duration::from_secs(1);
        RetryPolicy {
            wait,
            base: 2.0,
            max_interval: wait,
            randomize: false,
            max_times,
            timeout: None,
        }
    }

    fn failure() -> Failure {
        Failure::new(FailureKind::Http429, "busy")
    }

    #[test]
    fn every_live_record_is_in_one_group() {
        let mut live = Bitmap::full(5);
        live.set(0, false);
        let exceptions = vec![
            (0, Verdict::Reject(failure())),
            (1, Verdict::Retry(None, failure())),
            (1, Verdict::Reject(failure())),
            (3, Verdict::Reject(failure())),
            (99, Verdict::Reject(failure())),
        ];
        let answer = Ok(Outcome::Except(exceptions));
        let judgement = judge(answer, &live, &mut RetryState::default(), &policy(None));
        assert_eq!(judgement.delivered, 2);
        assert_eq!(judgement.rejected, [(3, failure())]);
        assert_eq!(indexes(&judgement.retry).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_absent_destination_spares_the_attempts() {
        let mut state = RetryState::default();
        let answer = Ok(Outcome::DestinationDown(failure()));
        let judgement = judge(answer, &Bitmap::full(3), &mut state, &policy(Some(0)));
        assert_eq!((judgement.retry.alive(), state.attempts), (3, 0));
    }

    #[test]
    fn the_limit_of_tries_rejects_what_is_left() {
        let mut state = RetryState::default();
        let answer = || Ok(Outcome::RetryChunk(None, failure()));
        assert_eq!(
            judge(answer(), &Bitmap::full(3), &mut state, &policy(Some(1)))
                .retry
                .alive(),
            3
        );
        let last = judge(answer(), &Bitmap::full(3), &mut state, &policy(Some(1)));
        assert_eq!((last.retry.alive(), last.rejected.len()), (0, 3));
        assert!(
            last.rejected
                .iter()
                .all(|(_, failure)| failure.kind == FailureKind::RetryExhausted)
        );
    }

    #[test]
    fn a_second_panic_makes_a_chunk_poison() {
        let mut state = RetryState::default();
        let first = judge(
            Err("oh".into()),
            &Bitmap::full(2),
            &mut state,
            &policy(None),
        );
        assert_eq!(first.retry.alive(), 2);
        let second = judge(
            Err("oh".into()),
            &Bitmap::full(2),
            &mut state,
            &policy(None),
        );
        assert_eq!(second.rejected.len(), 2);
    }
}
