//! One chunk's bulk requests: sending, dividing by slicing the same body, and the verdict on every record.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sdk::{
    metrics::{Counter, Metrics},
    output::{Failure, FailureKind, Outcome, Verdict},
};

use crate::{
    action::id_of,
    answer::{Answer, Item, ItemError, refusal},
    config::OpType,
    connection::{Encoding, Reply},
    document::Documents,
    hosts::{Hosts, NoHost},
    judge::{ItemFate, RequestFate, judge_item, judge_request},
};

/// Bodies up to this size are sent as they are, and compressed where they are.
const SMALL: usize = 1 << 10;
/// Larger ones are compressed on a thread of their own.
const LARGE: usize = 64 << 10;
/// How often requests of one chunk may be divided before the rest has to wait.
const DIVISIONS_MAX: u32 = 64;

/// What all bulk requests of an output have in common.
#[derive(Debug)]
pub(crate) struct Bulk {
    pub(crate) hosts: Hosts,
    pub(crate) op_type: OpType,
    /// Whether sending a record again cannot add it twice.
    pub(crate) has_ids: bool,
    pub(crate) gzip_level: Option<u32>,
    /// Largest body, in bytes. Goes down when the server finds one too large.
    pub(crate) body_max: AtomicUsize,
    /// Set when the server does not know the content type of bulk requests.
    pub(crate) plain_json: AtomicBool,
    pub(crate) counters: Counters,
}

/// Counters of what became of items, and of bytes.
#[derive(Debug)]
pub(crate) struct Counters {
    created: Counter,
    conflict: Counter,
    rejected: Counter,
    mapping: Counter,
    other: Counter,
    body: Counter,
    wire: Counter,
}

impl Counters {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let item = |result| {
            let help = "Items of bulk requests by result; a record that is tried again is counted each time";
            metrics.counter("elasticsearch_items", help, &[("result", result)])
        };
        let bytes = |stage| {
            let help = "Bytes of bulk requests before and after compression";
            metrics.counter("elasticsearch_bulk_bytes", help, &[("stage", stage)])
        };
        Self {
            created: item("created"),
            conflict: item("conflict"),
            rejected: item("rejected"),
            mapping: item("mapping_error"),
            other: item("other"),
            body: bytes("body"),
            wire: bytes("wire"),
        }
    }
}

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
        let reply = match self.post(&body).await {
            Ok(reply) => reply,
            Err(reason) => {
                return Err(Stopped {
                    rest: positions,
                    reason,
                });
            }
        };
        if reply.status == 200 {
            return match Answer::read(&reply.body, self.bulk.op_type, positions.len()) {
                Ok(answer) => self.settle(&positions, &body, answer),
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
            RequestFate::Divide(kind) => {
                self.divide(positions, body.len(), &Failure::new(kind, message))
            }
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

    async fn post(&self, body: &Bytes) -> Result<Reply, NoHost> {
        let bulk = self.bulk;
        let wire = match bulk.gzip_level.filter(|_| body.len() > SMALL) {
            Some(level) => Some(
                compress(body.clone(), level)
                    .await
                    .map_err(|error| NoHost {
                        failure: Failure::new(
                            FailureKind::Io,
                            format!("the request could not be compressed: {error}"),
                        ),
                        after: None,
                        is_down: false,
                    })?,
            ),
            None => None,
        };
        let encoding = Encoding {
            is_gzip: wire.is_some(),
            content_type: if bulk.plain_json.load(Ordering::Relaxed) {
                "application/json"
            } else {
                "application/x-ndjson"
            },
        };
        let wire = wire.as_ref().unwrap_or(body);
        bulk.counters.body.inc_by(body.len() as u64);
        bulk.counters.wire.inc_by(wire.len() as u64);
        bulk.hosts.post(wire, encoding).await
    }

    /// Reads what became of each record of a request.
    fn settle(&mut self, positions: &[usize], body: &Bytes, answer: Answer) -> Result<(), Stopped> {
        self.is_settled = true;
        let counters = &self.bulk.counters;
        counters
            .created
            .inc_by((positions.len() - answer.failed.len()) as u64);
        let mut together = Vec::new();
        let mut example = ItemError::default();
        for (place, Item { status, error }) in answer.failed {
            let Some(position) = positions.get(place).copied() else {
                continue;
            };
            let kind = match judge_item(status, &error, self.bulk.op_type, self.bulk.has_ids) {
                ItemFate::Delivered => {
                    counters.created.inc();
                    continue;
                }
                ItemFate::Duplicate => {
                    counters.conflict.inc();
                    continue;
                }
                ItemFate::TooLargeTogether if positions.len() > 1 => {
                    together.push(position);
                    example = error;
                    continue;
                }
                ItemFate::TooLargeTogether => Err(FailureKind::TooLarge),
                ItemFate::Retry(kind) => Ok(kind),
                ItemFate::Reject(kind) => Err(kind),
            };
            match kind {
                Ok(FailureKind::Http429) => counters.rejected.inc(),
                Err(FailureKind::Mapping) => counters.mapping.inc(),
                _ => counters.other.inc(),
            };
            let Some((index, _)) = self.documents.slots.get(position) else {
                continue;
            };
            let id = id_of(self.documents.part(position)).unwrap_or("none");
            let message = format!("{} (status {status}, id {id})", error.summary());
            self.verdicts.push((
                *index,
                match kind {
                    Ok(kind) => Verdict::Retry(None, Failure::new(kind, message)),
                    Err(kind) => Verdict::Reject(Failure::new(kind, message)),
                },
            ));
        }
        if together.is_empty() {
            return Ok(());
        }
        self.divide(
            together,
            body.len(),
            &Failure::new(FailureKind::TooLarge, example.summary()),
        )
    }

    /// Sends the records in two requests; a single one is refused for good.
    fn divide(
        &mut self,
        positions: Vec<usize>,
        len: usize,
        failure: &Failure,
    ) -> Result<(), Stopped> {
        if failure.kind == FailureKind::TooLarge && positions.len() > 1 {
            // Half of it will be taken, or be divided in turn.
            self.bulk.body_max.fetch_min(len / 2, Ordering::Relaxed);
        }
        if let [position] = positions.as_slice() {
            self.is_settled = true;
            self.bulk.counters.other.inc();
            if let Some((index, _)) = self.documents.slots.get(*position) {
                let id = id_of(self.documents.part(*position)).unwrap_or("none");
                let message = format!("{} (id {id})", failure.message);
                self.verdicts
                    .push((*index, Verdict::Reject(Failure::new(failure.kind, message))));
            }
            return Ok(());
        }
        self.divisions += 1;
        if self.divisions > DIVISIONS_MAX {
            let failure = Failure::new(FailureKind::Http4xx, failure.message.clone());
            return Err(stopped(positions, failure, None));
        }
        let total: usize = positions
            .iter()
            .map(|position| self.documents.len_of(*position))
            .sum();
        let mut sum = 0;
        let within = positions
            .iter()
            .take_while(|position| {
                sum += self.documents.len_of(**position);
                sum <= total / 2
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

async fn compress(body: Bytes, level: u32) -> std::io::Result<Bytes> {
    if body.len() <= LARGE {
        return gzip(&body, level);
    }
    tokio::task::spawn_blocking(move || gzip(&body, level))
        .await
        .map_err(std::io::Error::other)?
}

fn gzip(body: &[u8], level: u32) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(level));
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}
