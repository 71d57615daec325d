//! One chunk in the hands of a worker: tried until every record is settled, or until it makes way for others.

use std::{sync::Arc, time::Duration};

use sdk::{
    output::{Failure, FailureKind},
    stop::Stop,
};
use tokio::{sync::watch, time::Instant};

use super::{
    Means, OutputNode,
    attempt::attempt,
    breaker::{Breaker, Pass},
    settle::{report, settle},
    verdict::{Blame, Judgement, judge},
};
use crate::buffer::Chunk;

/// A chunk in hand.
struct Delivery<'a> {
    node: &'a OutputNode,
    chunk: Chunk,
    /// Tells of other means.
    changes: watch::Receiver<Arc<Means>>,
    /// Failures since it was taken in hand.
    failures: u32,
}

/// Where a chunk goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// To the destination.
    Primary,
    /// To the secondary.
    Secondary,
    /// To the dead letter.
    GiveUp,
}

/// What a worker does with its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Tries it again.
    Again,
    /// Forgets it: every record is settled.
    Done,
    /// Puts it aside until then, and takes another.
    Aside(Instant),
    /// Gives it back, because the worker ends.
    Back,
}

/// Tries `chunk` until every record is delivered, dead-lettered or dropped for a reason, or until it is better to try
/// another one first. When `give_up` is given meanwhile, the chunk goes back into the buffer.
pub(super) async fn deliver(node: &OutputNode, chunk: Chunk, give_up: &Stop) {
    let mut delivery = Delivery {
        node,
        chunk,
        changes: node.means.subscribe(),
        failures: 0,
    };
    let then = loop {
        let then = delivery.step(give_up).await;
        if then != Then::Again {
            break then;
        }
    };
    let chunk = delivery.chunk;
    match then {
        Then::Done => {
            node.metrics.sent_batches.inc();
            // Only then does this worker take the next chunk: so a `kill -9` repeats this one at most.
            chunk.finish_off_thread().await;
        }
        Then::Aside(until) => chunk.set_aside(until),
        Then::Again | Then::Back => drop(chunk),
    }
}

impl Delivery<'_> {
    async fn step(&mut self, give_up: &Stop) -> Then {
        let means = Arc::clone(&self.changes.borrow_and_update());
        self.note_outage(&means);
        match means.course(&self.chunk.tries) {
            Course::GiveUp => self.give_up_on_it(&means).await,
            Course::Primary => {
                let turn = turn(means.retry.time_left(&self.chunk.tries));
                let pass = tokio::select! {
                    biased;
                    () = give_up.stopped() => return Then::Back,
                    Ok(()) = self.changes.changed() => {
                        // The next try goes another way, so that failures of this one say nothing of it.
                        self.chunk.tries.consecutive = 0;
                        return Then::Again;
                    }
                    pass = means.breaker.pass() => pass,
                    () = turn => return Then::Again,
                };
                self.attempt(&means, &means.breaker, pass, Course::Primary)
                    .await
            }
            Course::Secondary => {
                let Some(secondary) = &means.secondary else {
                    return self.give_up_on_it(&means).await;
                };
                // A worker that waited for the secondary would keep others from the primary.
                match secondary.breaker.try_pass() {
                    Ok(pass) => {
                        self.chunk.tries.secondary += 1;
                        self.node.metrics.secondary_writes.inc();
                        self.attempt(&means, &secondary.breaker, pass, Course::Secondary)
                            .await
                    }
                    Err(until) => Then::Aside(until),
                }
            }
        }
    }

    /// A chunk that waits while nothing gets through is failing, whether it was tried or not.
    fn note_outage(&mut self, means: &Means) {
        if means.retry.timeout.is_some()
            && let Some((down, last)) = means.breaker.outage()
        {
            let age = self.chunk.age();
            let tries = &mut self.chunk.tries;
            tries.fails_for(down.min(age));
            tries.last = tries.last.take().or(last);
        }
    }

    /// Tries once.
    async fn attempt(
        &mut self,
        means: &Means,
        breaker: &Breaker,
        pass: Pass<'_>,
        course: Course,
    ) -> Then {
        let plugin = match &means.secondary {
            Some(secondary) if course == Course::Secondary => &secondary.plugin,
            _ => &means.plugin,
        };
        let outcome = attempt(self.node, &**plugin, &self.chunk, self.changes.clone()).await;
        let live = self.chunk.live().clone();
        let judgement = judge(outcome, &live, &mut self.chunk.tries);
        report(self.node, &judgement);
        let (after, blame) = (judgement.after, judgement.blame);
        let last = judgement
            .failures
            .last()
            .map(|(failure, _)| failure.clone());
        if (judgement.delivered > 0 || !judgement.rejected.is_empty()) && breaker.arrived() {
            self.node.buffer.release_aside();
        }
        if judgement.is_refusal && course == Course::Primary && means.secondary.is_some() {
            let tries = &mut self.chunk.tries;
            tries.is_refused = true;
            tries.last = last.map(|failure| failure.to_string().into());
            return Then::Again;
        }
        if judgement.delivered > 0 {
            self.chunk.tries.consecutive = 0;
        }
        settle(self.node, means, &mut self.chunk, judgement, course).await;
        if self.chunk.live().alive() == 0 {
            return Then::Done;
        }
        let failure =
            last.unwrap_or_else(|| Failure::new(FailureKind::Io, "the dead letter is full"));
        let keeps_its_place = self.failed(blame, after, &failure, breaker, &pass);
        self.chunk.note_tries().await;
        if keeps_its_place && course == Course::Primary {
            return Then::Again;
        }
        self.aside(means, after)
    }

    /// Something is left to be tried again. `true`: no other chunk would fare better.
    fn failed(
        &mut self,
        blame: Blame,
        after: Option<Duration>,
        failure: &Failure,
        breaker: &Breaker,
        pass: &Pass<'_>,
    ) -> bool {
        let tries = &mut self.chunk.tries;
        tries.consecutive = tries.consecutive.saturating_add(1);
        tries.fails_for(Duration::ZERO);
        tries.last = Some(failure.to_string().into());
        self.failures += 1;
        match blame {
            Blame::Absence | Blame::Destination => {
                let arrivals = breaker.arrivals();
                let others = tries.others.replace(arrivals);
                // What others get through, this one should, too: then it is the chunk.
                let others_fare_better = others.is_some_and(|before| before < arrivals);
                if others_fare_better && blame == Blame::Absence {
                    tries.attempts = tries.attempts.saturating_add(1);
                }
                breaker.failed(pass, after, failure);
                let is_suspect = blame == Blame::Destination && self.failures > 1;
                return !others_fare_better && !is_suspect;
            }
            Blame::Congestion => breaker.congested(after),
            Blame::Chunk => breaker.refused(self.chunk.first_sequence()),
            Blame::Nobody => {}
        }
        false
    }

    fn aside(&self, means: &Means, after: Option<Duration>) -> Then {
        let (tries, retry) = (&self.chunk.tries, &means.retry);
        let pause = retry.pause(tries.consecutive, after);
        let turn = retry.time_left(tries).unwrap_or(pause);
        Then::Aside(Instant::now() + pause.min(turn))
    }

    /// The limits are reached.
    async fn give_up_on_it(&mut self, means: &Means) -> Then {
        let tries = &mut self.chunk.tries;
        let last = tries.last.as_deref().unwrap_or("not known any more");
        let message = format!(
            "gave up after {} tries in {} s; last {last}",
            tries.attempts,
            tries.failing_for().as_secs()
        );
        tries.consecutive = tries.consecutive.saturating_add(1);
        let failure = Failure::new(FailureKind::RetryExhausted, message);
        let judgement = Judgement::reject_all(self.chunk.live(), &failure);
        report(self.node, &judgement);
        settle(self.node, means, &mut self.chunk, judgement, Course::GiveUp).await;
        match self.chunk.live().alive() {
            0 => Then::Done,
            _ => self.aside(means, None),
        }
    }
}

/// Resolves when time alone changes what is to be done; `None`: it never does.
async fn turn(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}
