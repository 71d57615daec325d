//! One chunk's bulk requests: sending, dividing by slicing the same body, and the verdict on every record.

use std::{sync::atomic::Ordering, time::Duration};

use sdk::output::{Failure, FailureKind, Outcome, Verdict};

use crate::{
    action::id_of,
    answer::{Answer, Item, took_ms},
    bulk::Bulk,
    document::Documents,
    hosts::NoHost,
    item_error::{ItemError, refusal},
    judge::{ItemFate, RequestFate, judge_item, judge_request},
};

/// How often requests of one chunk may be divided before the rest has to wait.
const DIVISIONS_MAX: u32 = 64;

/// The requests of one chunk.
pub(crate) struct Delivery<'a> {
    bulk: &'a Bulk,
    documents: &'a Documents,
    /// Positions in the table of documents of each request that is still to be sent, the next one last.
    pending: Vec<Vec<usize>>,
    verdicts: Vec<(u32, Verdict)>,
    /// Whether anything is known of any record.
    is_settled: bool,
    divisions: u32,
}

/// Why the rest of the chunk has to wait.
struct Stopped {
    rest: Vec<usize>,
    reason: NoHost,
}

impl<'a> Delivery<'a> {
    /// Divides the documents into requests.
    pub(crate) fn new(bulk: &'a Bulk, documents: &'a Documents) -> Self {
        let max = bulk.body_max.load(Ordering::Relaxed);
        let mut pending: Vec<Vec<usize>> = Vec::new();
        let mut len = 0;
        for position in 0..documents.slots.len() {
            let part = documents.len_of(position);
            match pending.last_mut() {
                Some(last) if len + part <= max => last.push(position),
                _ => {
                    pending.push(vec![position]);
                    len = 0;
                }
            }
            len += part;
        }
        pending.reverse();
        Self {
            bulk,
            documents,
            pending,
            verdicts: Vec::new(),
            is_settled: false,
            divisions: 0,
        }
    }

    /// Sends everything once.
    pub(crate) async fn run(mut self) -> Outcome {
        self.verdicts.clone_from(&self.documents.refused);
        self.is_settled = !self.verdicts.is_empty();
        while let Some(positions) = self.pending.pop() {
            if let Err(stopped) = self.send(positions).await {
                return self.stop(stopped);
            }
        }
        if self.verdicts.is_empty() {
            Outcome::Delivered
        } else {
            Outcome::Except(self.verdicts)
        }
    }

    async fn send(&mut self, positions: Vec<usize>) -> Result<(), Stopped> {
        let body = self.documents.bytes(&positions);
        let reply = match self.bulk.post(&body).await {
            Ok(reply) => reply,
            Err(reason) => {
                return Err(Stopped {
                    rest: positions,
                    reason,
                });
            }
        };
        if reply.status == 200 {
            if let Some(ms) = took_ms(&reply.body) {
                self.bulk.counters.took.observe(f64::from(ms) / 1000.0);
            }
            return match Answer::read(&reply.body, self.bulk.op_type, positions.len()) {
                Ok(answer) => self.settle(&positions, answer),
                Err(garbage) => {
                    let failure = Failure::new(FailureKind::Protocol, garbage.to_string());
                    Err(stopped(positions, failure, None))
                }
            };
        }
        let error = refusal(&reply.body);
        let message = format!("the server answered {} {}", reply.status, error.summary());
        let message = message.trim_end();
        match judge_request(reply.status, &error) {
            RequestFate::Divide(kind) => self.divide(positions, &Failure::new(kind, message)),
            RequestFate::ContentType if !self.bulk.plain_json.swap(true, Ordering::Relaxed) => {
                self.pending.push(positions);
                Ok(())
            }
            RequestFate::ContentType => Err(stopped(
                positions,
                Failure::new(FailureKind::Http4xx, message),
                reply.retry_after,
            )),
            RequestFate::Later(kind) | RequestFate::NextHost(kind) => Err(stopped(
                positions,
                Failure::new(kind, message),
                reply.retry_after,
            )),
        }
    }

    /// Reads what became of each record of a request.
    fn settle(&mut self, positions: &[usize], answer: Answer) -> Result<(), Stopped> {
        self.is_settled = true;
        let succeeded = positions.len() - answer.failed.len();
        self.bulk.counters.created.inc_by(succeeded as u64);
        let mut together = Vec::new();
        let mut example = ItemError::default();
        for (place, item) in answer.failed {
            let Some(position) = positions.get(place).copied() else {
                continue;
            };
            match judge_item(
                item.status,
                &item.error,
                self.bulk.op_type,
                self.bulk.has_ids,
            ) {
                ItemFate::Delivered => drop(self.bulk.counters.created.inc()),
                ItemFate::Duplicate => drop(self.bulk.counters.conflict.inc()),
                ItemFate::TooLargeTogether if positions.len() > 1 => {
                    together.push(position);
                    example = item.error;
                }
                ItemFate::TooLargeTogether => {
                    self.rule(position, &item, FailureKind::TooLarge, Verdict::Reject);
                }
                ItemFate::Retry(kind) => {
                    self.rule(position, &item, kind, |failure| {
                        Verdict::Retry(None, failure)
                    });
                }
                ItemFate::Reject(kind) => self.rule(position, &item, kind, Verdict::Reject),
            }
        }
        if together.is_empty() {
            return Ok(());
        }
        let failure = Failure::new(FailureKind::TooLarge, example.summary());
        self.divide(together, &failure)
    }

    /// Notes the verdict on one record.
    fn rule(
        &mut self,
        position: usize,
        item: &Item,
        kind: FailureKind,
        verdict: impl Fn(Failure) -> Verdict,
    ) {
        let counters = &self.bulk.counters;
        match kind {
            FailureKind::Http429 => counters.rejected.inc(),
            FailureKind::Mapping => counters.mapping.inc(),
            _ => counters.other.inc(),
        };
        let about = format!("{} (status {}", item.error.summary(), item.status);
        self.note(position, kind, &about, verdict);
    }

    /// Adds the id to a message, so that the record can be found.
    fn note(
        &mut self,
        position: usize,
        kind: FailureKind,
        about: &str,
        verdict: impl Fn(Failure) -> Verdict,
    ) {
        let Some((index, _)) = self.documents.slots.get(position) else {
            return;
        };
        let id = id_of(self.documents.part(position)).unwrap_or("none");
        let failure = Failure::new(kind, format!("{about}, id {id})"));
        self.verdicts.push((*index, verdict(failure)));
    }

    /// Sends the records in two requests; a single one is refused for good.
    fn divide(&mut self, positions: Vec<usize>, failure: &Failure) -> Result<(), Stopped> {
        if let [position] = positions.as_slice() {
            self.is_settled = true;
            self.bulk.counters.other.inc();
            let about = format!("{} (alone", failure.message);
            self.note(*position, failure.kind, &about, Verdict::Reject);
            return Ok(());
        }
        self.divisions += 1;
        if self.divisions > DIVISIONS_MAX {
            let failure = Failure::new(FailureKind::Http4xx, failure.message.clone());
            return Err(stopped(positions, failure, None));
        }
        let len_of = |position: &usize| self.documents.len_of(*position);
        let half = positions.iter().map(len_of).sum::<usize>() / 2;
        if failure.kind == FailureKind::TooLarge {
            // Half of it will be taken, or be divided in turn.
            self.bulk.body_max.fetch_min(half, Ordering::Relaxed);
        }
        let mut sum = 0;
        let within = positions
            .iter()
            .take_while(|position| {
                sum += len_of(position);
                sum <= half
            })
            .count();
        let (first, second) = positions.split_at(within.clamp(1, positions.len() - 1));
        self.pending.push(second.to_vec());
        self.pending.push(first.to_vec());
        Ok(())
    }

    /// Nothing more can be sent now.
    fn stop(mut self, stopped: Stopped) -> Outcome {
        let NoHost {
            failure,
            after,
            is_down,
        } = stopped.reason;
        if !self.is_settled {
            return if is_down {
                Outcome::DestinationDown(failure)
            } else {
                Outcome::RetryChunk(after, failure)
            };
        }
        let rest = stopped
            .rest
            .into_iter()
            .chain(self.pending.into_iter().flatten());
        for position in rest {
            if let Some((index, _)) = self.documents.slots.get(position) {
                self.verdicts
                    .push((*index, Verdict::Retry(after, failure.clone())));
            }
        }
        Outcome::Except(self.verdicts)
    }
}

fn stopped(rest: Vec<usize>, failure: Failure, after: Option<Duration>) -> Stopped {
    Stopped {
        rest,
        reason: NoHost {
            failure,
            after,
            is_down: false,
        },
    }
}
