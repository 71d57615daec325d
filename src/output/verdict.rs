//! From the plugin's answer to what to do next: which records arrived, which are tried again, which are refused, and
//! whose fault it is.

use std::time::Duration;

use sdk::output::{Bitmap, Failure, FailureKind, Outcome, Verdict};

use crate::buffer::Tries;

/// Whose fault it is that not everything arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// There is nothing to try again.
    Nobody,
    /// The destination's: it was not reached, so this says nothing about the chunk.
    Absence,
    /// Probably the destination's, though it had the chunk.
    Destination,
    /// The destination took a part and asks for less.
    Congestion,
    /// The chunk's own.
    Chunk,
}

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
    /// Whose fault it is.
    pub(super) blame: Blame,
    /// The chunk as a whole is refused.
    pub(super) is_refusal: bool,
}

/// Whether a failure of this class says more about the destination than about what it was sent.
fn is_of_destination(kind: FailureKind) -> bool {
    use FailureKind::{Auth, Connect, Http5xx, Http429, Io, Timeout, Tls};
    matches!(
        kind,
        Connect | Timeout | Tls | Auth | Http429 | Http5xx | Io
    )
}

/// Judges an answer. `live` is what was to be delivered.
pub(super) fn judge(
    outcome: Result<Outcome, String>,
    live: &Bitmap,
    tries: &mut Tries,
) -> Judgement {
    match outcome {
        Ok(Outcome::Delivered) => Judgement::delivered(live),
        Ok(Outcome::Except(exceptions)) => Judgement::except(live, exceptions, tries),
        Ok(Outcome::DestinationDown(failure)) => {
            Judgement::retry_all(live, None, failure, Blame::Absence)
        }
        Ok(Outcome::RetryChunk(after, failure)) => {
            tries.attempts = tries.attempts.saturating_add(1);
            let blame = if is_of_destination(failure.kind) {
                Blame::Destination
            } else {
                Blame::Chunk
            };
            Judgement::retry_all(live, after, failure, blame)
        }
        Ok(Outcome::RejectChunk(failure)) => Judgement::reject_all(live, &failure),
        Err(panic) => {
            tries.panics += 1;
            let failure = Failure::new(FailureKind::Panic, panic);
            // Once may be chance; a chunk that does it twice is poison and must not block the others.
            if tries.panics > 1 {
                Judgement::reject_all(live, &failure)
            } else {
                Judgement::retry_all(live, None, failure, Blame::Chunk)
            }
        }
    }
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
            blame: Blame::Nobody,
            is_refusal: false,
        }
    }

    fn retry_all(live: &Bitmap, after: Option<Duration>, failure: Failure, blame: Blame) -> Self {
        let failures = vec![(failure, live.alive())];
        Self {
            delivered: 0,
            rejected: Vec::new(),
            retry: live.clone(),
            after,
            failures,
            blame,
            is_refusal: false,
        }
    }

    /// Every live record is refused.
    pub(super) fn reject_all(live: &Bitmap, failure: &Failure) -> Self {
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
            blame: Blame::Nobody,
            is_refusal: true,
        }
    }

    fn except(live: &Bitmap, exceptions: Vec<(u32, Verdict)>, tries: &mut Tries) -> Self {
        let mut judgement = Self::delivered(live);
        let mut seen = Bitmap::empty(live.len());
        let mut is_congested = false;
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
                    is_congested |= is_of_destination(failure.kind);
                    judgement.note(failure);
                }
                Verdict::Reject(failure) => {
                    judgement.note(failure.clone());
                    judgement.rejected.push((index, failure));
                }
            }
        }
        if judgement.retry.alive() > 0 {
            tries.attempts = tries.attempts.saturating_add(1);
            judgement.blame = match (is_congested, judgement.retry == *live) {
                (true, true) => Blame::Destination,
                (true, false) => Blame::Congestion,
                (false, _) => Blame::Chunk,
            };
        }
        judgement
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

    fn failure() -> Failure {
        Failure::new(FailureKind::Http429, "busy")
    }

    fn own() -> Failure {
        Failure::new(FailureKind::Http4xx, "no")
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
        let judgement = judge(answer, &live, &mut Tries::default());
        assert_eq!(judgement.delivered, 2);
        assert_eq!(judgement.rejected, [(3, failure())]);
        assert_eq!(indexes(&judgement.retry).collect::<Vec<_>>(), [1]);
        assert_eq!(judgement.blame, Blame::Congestion);
    }

    #[test]
    fn an_absent_destination_spares_the_attempts() {
        let mut tries = Tries::default();
        let answer = Ok(Outcome::DestinationDown(failure()));
        let judgement = judge(answer, &Bitmap::full(3), &mut tries);
        assert_eq!((judgement.retry.alive(), tries.attempts), (3, 0));
        assert_eq!(judgement.blame, Blame::Absence);
    }

    #[test]
    fn it_goes_by_the_class_whose_fault_it_is() {
        let blame = |answer| judge(Ok(answer), &Bitmap::full(2), &mut Tries::default()).blame;
        assert_eq!(blame(Outcome::Delivered), Blame::Nobody);
        assert_eq!(blame(Outcome::RejectChunk(own())), Blame::Nobody);
        assert_eq!(
            blame(Outcome::RetryChunk(None, failure())),
            Blame::Destination
        );
        assert_eq!(blame(Outcome::RetryChunk(None, own())), Blame::Chunk);
        let both = |failure: fn() -> Failure| {
            let retry = || Verdict::Retry(None, failure());
            blame(Outcome::Except(vec![(0, retry()), (1, retry())]))
        };
        assert_eq!(both(failure), Blame::Destination);
        assert_eq!(both(own), Blame::Chunk);
    }

    #[test]
    fn a_second_panic_makes_a_chunk_poison() {
        let mut tries = Tries::default();
        let mut panic = || judge(Err("oh".into()), &Bitmap::full(2), &mut tries);
        let first = panic();
        assert_eq!((first.retry.alive(), first.blame), (2, Blame::Chunk));
        assert_eq!(panic().rejected.len(), 2);
    }
}
