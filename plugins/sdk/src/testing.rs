//! For plugin tests: batches from JSON and back, and an input context that collects what is emitted.

mod driver;
mod logbook;
mod served;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;

pub use self::{
    driver::{Driver, Seen},
    logbook::Logbook,
    served::{datagrams, received, stream},
};
use crate::{
    Fut,
    budget::Budget,
    clock::Clock,
    event::{Applied, Batch, Chain, Entries, Tag, Time, write_event},
    filter::Filter,
    input::{Emit, EmitError, InputCx, Ready},
    metrics::Metrics,
    monitor::Nothing,
    msgpack::{RawValue, Token, write},
    obligation::Obligation,
    output::Frame,
    sockets::Sockets,
};

/// Entries with these records, at second 0, 1, 2 and so on.
pub fn events(records: &[Value]) -> Bytes {
    let mut out = Vec::new();
    for (secs, record) in (0_i64..).zip(records) {
        let mut encoded = Vec::new();
        write::json(&mut encoded, record);
        write_event(&mut out, Time::from_secs(secs), &encoded);
    }
    out.into()
}

/// A batch of these records that nobody waits for.
pub fn batch(tag: &str, records: &[Value]) -> Batch {
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    Batch::new(Tag::new(tag), events(records), count, Obligation::nobody())
}

/// A stored frame of these records.
pub fn frame(sequence: u64, tag: &str, records: &[Value]) -> Frame {
    let Batch {
        tag,
        events,
        count,
        origin,
        ..
    } = batch(tag, records);
    Frame {
        sequence,
        tag,
        events,
        count,
        origin,
    }
}

/// The records of a stream of entries, as JSON.
pub fn records(events: &[u8]) -> Vec<Value> {
    Entries::new(events)
        .map_while(Result::ok)
        .map(|event| to_json(event.record))
        .collect()
}

/// A value as JSON; bytes that are not UTF-8 are replaced, extensions and non-finite floats are null.
pub fn to_json(value: RawValue<'_>) -> Value {
    match value.token() {
        Token::Nil | Token::Ext(..) => Value::Null,
        Token::Bool(truth) => truth.into(),
        Token::Int(number) => number.into(),
        Token::UInt(number) => number.into(),
        Token::F32(number) => f64::from(number).into(),
        Token::F64(number) => number.into(),
        Token::Str(bytes) | Token::Bin(bytes) => String::from_utf8_lossy(bytes).into(),
        Token::Array(_) => value.items().into_iter().flatten().map(to_json).collect(),
        Token::Map(_) => {
            let text = |key: RawValue<'_>| match to_json(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            value
                .pairs()
                .into_iter()
                .flatten()
                .map(|(key, value)| (text(key), to_json(value)))
                .collect()
        }
    }
}

/// Runs one filter over these records.
pub fn apply(filter: Arc<dyn Filter>, tag: &str, input: &[Value]) -> Applied {
    Chain::new(vec![filter]).apply(batch(tag, input))
}

/// Collects every batch, meets its obligation and gives its memory back at once.
#[derive(Debug, Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<Batch>>>);

impl Collector {
    /// What was emitted so far, in order.
    pub fn batches(&self) -> Vec<Batch> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A context whose emitter is this collector; `ready` is told when the input is bound.
    pub fn cx(&self, ready: Ready) -> InputCx {
        InputCx {
            id: "test".into(),
            emit: Arc::new(self.clone()),
            metrics: Metrics::new(),
            clock: Clock::system(),
            budget: Budget::new(256 << 20),
            ready,
            monitor: Arc::new(Nothing),
            sockets: Sockets::detached(),
        }
    }
}

impl Emit for Collector {
    fn emit(&self, batch: Batch) -> Fut<'_, Result<(), EmitError>> {
        let mut kept = batch.clone();
        std::mem::replace(&mut kept.due, Obligation::nobody()).meet();
        kept.permit = None;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(kept);
        batch.due.meet();
        Box::pin(async { Ok(()) })
    }
}

/// Keeps every batch with its obligation, until the test takes it and meets or drops it.
#[derive(Debug, Clone, Default)]
pub struct Keeper(Arc<Mutex<VecDeque<Batch>>>);

impl Keeper {
    /// The oldest batch that was not taken yet.
    pub fn take(&self) -> Option<Batch> {
        self.with(VecDeque::pop_front)
    }

    /// Batches that were not taken yet.
    pub fn waiting(&self) -> usize {
        self.with(|batches| batches.len())
    }

    /// A context whose emitter is this keeper; `ready` is told when the input is bound.
    pub fn cx(&self, ready: Ready) -> InputCx {
        InputCx {
            emit: Arc::new(self.clone()),
            ..Collector::default().cx(ready)
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut VecDeque<Batch>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Emit for Keeper {
    fn emit(&self, batch: Batch) -> Fut<'_, Result<(), EmitError>> {
        self.with(|batches| batches.push_back(batch));
        Box::pin(async { Ok(()) })
    }
}
