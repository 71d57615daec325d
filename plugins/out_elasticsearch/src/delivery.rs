//! One chunk's bulk requests: sending, dividing by slicing the same body, and the verdict on every record.

use std::{sync::atomic::Ordering, time::Duration};

use sdk::output::{Failure, FailureKind, Outcome, Verdict};

use crate::{
    action::id_of,
    answer::{Answer, Item, took_ms},
    bulk::Bulk,
    document::Documents,
    hosts::NoHost,
    identity,
    item_error::{ItemError, refusal},
    judge::{ItemFate, RequestFate, Split, judge_item, judge_request},
    policy::OnConflict,
    report::Complaints,
};

/// How often requests of one chunk may be divided before the rest has to wait.
const DIVISIONS_MAX: u32 = 64;
/// After a request that was too large, later ones are smaller by one part in so many.
const CEILING_BELOW: usize = 10;

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
    complaints: Complaints,
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
        for group in documents.groups() {
            let (mut len, mut is_first) = (0, true);
            for position in group {
                let part = documents.len_of(position);
                match pending.last_mut().filter(|_| !is_first) {
                    Some(last) if len + part <= max => last.push(position),
                    _ => {
                        pending.push(vec![position]);
                        len = 0;
                    }
                }
                is_first = false;
                len += part;
            }
        }
        pending.reverse();
        Self {
            bulk,
            documents,
            pending,
            verdicts: Vec::new(),
            is_settled: false,
            divisions: 0,
            complaints: Complaints::default(),
        }
    }

    /// Sends everything once.
    pub(crate) async fn run(mut self) -> Outcome {
        self.verdicts.clone_from(&self.documents.refused);
        self.is_settled = !self.verdicts.is_empty();
        while let Some(positions) = self.pending.pop() {
            if self.is_known_to_be_too_large(&positions) {
                self.halve(&positions, Split::Size);
                continue;
            }
            let sent = self.send(positions).await;
            self.bulk.report.tell(std::mem::take(&mut self.complaints));
            if let Err(stopped) = sent {
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
        let index = self.documents.index_of(&positions);
        let reply = match self.bulk.post(&body, index).await {
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
                    self.bulk.counters.ambiguous.inc();
                    let failure = Failure::new(FailureKind::Protocol, garbage.to_string());
                    Err(stopped(positions, failure, None))
                }
            };
        }
        let mut error = refusal(&reply.body);
        if reply.status == 401 {
            error.leave_out_names();
        }
        let message = format!("the server answered {} {}", reply.status, error.summary());
        let message = message.trim_end();
        match judge_request(reply.status, &error) {
            RequestFate::Divide(why) => self.divide(positions, why, message),
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
        let counters = &self.bulk.counters;
        let succeeded = positions.len() - answer.failed.len();
        counters.items.created.inc_by(succeeded as u64);
        for (counter, items) in counters.failure_store.iter().zip(answer.failure_store) {
            counter.inc_by(items);
        }
        let policy = self.bulk.policy();
        let mut together = Vec::new();
        let mut example = ItemError::default();
        for (place, item) in answer.failed {
            let Some(position) = positions.get(place).copied() else {
                continue;
            };
            match judge_item(item.status, &item.error, policy) {
                ItemFate::Delivered => drop(counters.items.created.inc()),
                ItemFate::Duplicate
                    if policy.on_conflict == OnConflict::DeadLetter
                        && self.has_id_of_its_own(position) =>
                {
                    self.rule(position, &item, FailureKind::Rejected, true);
                }
                ItemFate::Duplicate => drop(counters.items.conflict.inc()),
                ItemFate::Stale => drop(counters.items.stale.inc()),
                ItemFate::TooLargeTogether if positions.len() > 1 => {
                    together.push(position);
                    example = item.error;
                }
                ItemFate::TooLargeTogether => {
                    self.rule(position, &item, FailureKind::TooLarge, true);
                }
                ItemFate::Retry(kind) if self.bulk.gives_up(&item.error) => {
                    self.rule(position, &item, kind, true);
                }
                ItemFate::Retry(kind) => self.rule(position, &item, kind, false),
                ItemFate::Reject(kind) => self.rule(position, &item, kind, true),
            }
        }
        if together.is_empty() {
            return Ok(());
        }
        self.divide(together, Split::Memory, &example.summary())
    }

    /// Whether the id of a record comes from a field.
    fn has_id_of_its_own(&self, position: usize) -> bool {
        id_of(self.documents.part(position)).is_some_and(|id| !identity::has_form(id))
    }

    /// Notes the verdict on one record.
    fn rule(&mut self, position: usize, item: &Item, kind: FailureKind, is_final: bool) {
        let items = &self.bulk.counters.items;
        match (item.status, kind) {
            (0, _) => items.unknown.inc(),
            (404, _) => items.not_found.inc(),
            (409, FailureKind::Rejected) => items.conflict.inc(),
            (_, FailureKind::Http429) => items.rejected.inc(),
            (_, FailureKind::Mapping) => items.mapping.inc(),
            (_, FailureKind::Auth) => items.auth.inc(),
            (_, FailureKind::TooLarge) => items.too_large.inc(),
            _ => items.other.inc(),
        };
        let (about, what) = match item.status {
            0 => (
                "the answer does not say what became of it".to_owned(),
                "no status".to_owned(),
            ),
            status => (item.error.summary(), format!("status {status}")),
        };
        self.note(position, kind, is_final, (about, &what));
    }

    /// Adds the id to a message, so that the record can be found.
    fn note(
        &mut self,
        position: usize,
        kind: FailureKind,
        is_final: bool,
        (about, what): (String, &str),
    ) {
        let Some((index, _)) = self.documents.slots.get(position) else {
            return;
        };
        let id = id_of(self.documents.part(position)).unwrap_or("none");
        let failure = Failure::new(kind, format!("{about} ({what}, id {id})"));
        let verdict = if is_final {
            Verdict::Reject(failure)
        } else {
            Verdict::Retry(None, failure)
        };
        self.verdicts.push((*index, verdict));
        self.complaints.add(about, kind, is_final, id);
    }

    /// Sends the records in two requests; a single one is refused for good.
    fn divide(&mut self, positions: Vec<usize>, why: Split, message: &str) -> Result<(), Stopped> {
        if let [position] = positions.as_slice() {
            self.is_settled = true;
            let items = &self.bulk.counters.items;
            match why.kind() {
                FailureKind::TooLarge => items.too_large.inc(),
                _ => items.other.inc(),
            };
            self.note(*position, why.kind(), true, (message.to_owned(), "alone"));
            return Ok(());
        }
        self.divisions += 1;
        if self.divisions > DIVISIONS_MAX {
            let failure = Failure::new(FailureKind::Http4xx, message);
            return Err(stopped(positions, failure, None));
        }
        if why == Split::Size {
            // What is a little smaller may pass. What the memory lacks is said of single documents.
            let len = self.len_of(&positions);
            let ceiling = len - len.div_ceil(CEILING_BELOW);
            self.bulk.body_max.fetch_min(ceiling, Ordering::Relaxed);
        }
        self.halve(&positions, why);
        Ok(())
    }

    fn len_of(&self, positions: &[usize]) -> usize {
        let lens = positions.iter().map(|at| self.documents.len_of(*at));
        lens.sum()
    }

    /// Whether a smaller request was refused since these were put together.
    fn is_known_to_be_too_large(&self, positions: &[usize]) -> bool {
        let max = self.bulk.body_max.load(Ordering::Relaxed);
        positions.len() > 1 && self.len_of(positions) > max
    }

    /// Makes two requests of one: of the same size, or of as many records where it is one of them that spoils it.
    fn halve(&mut self, positions: &[usize], why: Split) {
        let splits = &self.bulk.counters.splits;
        match why {
            Split::Size => splits.size.inc(),
            Split::Memory => splits.memory.inc(),
            Split::Document => splits.document.inc(),
        };
        let within = if why == Split::Document {
            positions.len() / 2
        } else {
            let half = self.len_of(positions) / 2;
            let mut sum = 0;
            let fits = |position: &&usize| {
                sum += self.documents.len_of(**position);
                sum <= half
            };
            positions.iter().take_while(fits).count()
        };
        let (first, second) = positions.split_at(within.clamp(1, positions.len() - 1));
        self.pending.push(second.to_vec());
        self.pending.push(first.to_vec());
    }

    /// Nothing more can be sent now.
    fn stop(mut self, stopped: Stopped) -> Outcome {
        if !self.is_settled {
            return stopped.reason.outcome();
        }
        let NoHost { failure, after, .. } = stopped.reason;
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
