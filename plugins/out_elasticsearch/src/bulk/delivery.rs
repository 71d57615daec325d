//! One chunk's bulk requests: sending, dividing by slicing the same body, and the verdict on every record.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use sdk::output::{Failure, FailureKind, Outcome, Verdict};

use crate::{
    bulk::{
        Bulk,
        answer::{Answer, took_ms},
        item_error::refusal,
        judge::{RequestFate, Split, judge_request},
        report::Complaints,
    },
    document::Documents,
    hosts::{Answered, NoHost},
};

/// How often requests of one chunk may be divided before the rest has to wait.
const DIVISIONS_MAX: u32 = 64;

/// The requests of one chunk.
pub(crate) struct Delivery<'a> {
    pub(crate) bulk: &'a Bulk,
    pub(crate) documents: &'a Documents,
    /// Positions in the table of documents of each request that is still to be sent, the next one last.
    pub(crate) pending: Vec<Vec<usize>>,
    pub(crate) verdicts: Vec<(u32, Verdict)>,
    /// Whether anything is known of any record.
    pub(crate) is_settled: bool,
    divisions: u32,
    pub(crate) complaints: Complaints,
    /// The lines of documents that were changed to fit the mapping, by position.
    pub(crate) repaired: HashMap<usize, Bytes>,
}

/// Why the rest of the chunk has to wait.
pub(crate) struct Stopped {
    rest: Vec<usize>,
    reason: NoHost,
}

impl<'a> Delivery<'a> {
    /// Divides the documents into requests.
    pub(crate) fn new(bulk: &'a Bulk, documents: &'a Documents) -> Self {
        let max = bulk.sizes.now();
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
            repaired: HashMap::new(),
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

    /// The body of a request with these records.
    fn body(&self, positions: &[usize]) -> Bytes {
        let is_repaired = |position: &usize| self.repaired.contains_key(position);
        if !positions.iter().any(is_repaired) {
            return self.documents.bytes(positions);
        }
        let parts: Vec<&[u8]> = positions
            .iter()
            .map(|position| self.part(*position))
            .collect();
        parts.concat().into()
    }

    /// Action line and document of a record, as it is sent now.
    pub(crate) fn part(&self, position: usize) -> &[u8] {
        let repaired = self.repaired.get(&position);
        repaired.map_or_else(|| self.documents.part(position), |lines| &lines[..])
    }

    async fn send(&mut self, positions: Vec<usize>) -> Result<(), Stopped> {
        let body = self.body(&positions);
        let index = self.documents.index_of(&positions);
        let Answered { reply, under_way } = match self.bulk.post(&body, index).await {
            Ok(answered) => answered,
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
            return match Answer::read(&reply.body, self.bulk.policy.op_type, positions.len()) {
                Ok(answer) => {
                    let rejected = answer.rejected();
                    under_way.answered(positions.len(), rejected);
                    self.settle(&positions, answer)
                }
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
        let fate = judge_request(reply.status, &error);
        if fate == RequestFate::Later(FailureKind::Http429) {
            under_way.refused();
        }
        drop(under_way);
        match fate {
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

    /// Sends the records in two requests; a single one is refused for good.
    pub(crate) fn divide(
        &mut self,
        positions: Vec<usize>,
        why: Split,
        message: &str,
    ) -> Result<(), Stopped> {
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
            self.bulk.learn(self.len_of(&positions));
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
        let max = self.bulk.sizes.max();
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
            after,
            ..NoHost::here(failure)
        },
    }
}
