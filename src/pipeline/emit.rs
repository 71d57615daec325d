//! The hot path: a batch of a source through filters and routing into the buffers.

use std::sync::Arc;

use sdk::{
    Fut,
    event::Batch,
    input::{Emit, EmitError},
    metrics::{Counter, Metrics},
};

use super::{Current, admit::Entry, pause::Pauses};

/// The way of one source into the pipeline. Counts what it receives.
#[derive(Debug, Clone)]
pub struct SourceEmit {
    current: Current,
    /// The label where the source's batches begin.
    label: Arc<str>,
    batches: Counter,
    records: Counter,
    bytes: Counter,
    refused: Counter,
    pauses: Pauses,
}

impl SourceEmit {
    /// A way in at `label`; `metrics` carries the labels of the source.
    pub fn new(current: Current, label: Arc<str>, metrics: &Metrics) -> Self {
        Self {
            current,
            label,
            batches: metrics.counter("received_batches", "Batches taken from senders", &[]),
            records: metrics.counter("received_records", "Records taken from senders", &[]),
            bytes: metrics.counter(
                "received_bytes",
                "Bytes of those records as MessagePack",
                &[],
            ),
            refused: metrics.counter(
                "refused_records",
                "Records that no buffer took; not acknowledged",
                &[],
            ),
            pauses: Pauses::new(metrics),
        }
    }
}

impl Emit for SourceEmit {
    fn emit(&self, batch: Batch) -> Fut<'_, Result<(), EmitError>> {
        Box::pin(async move {
            let (records, bytes) = (u64::from(batch.count), batch.events.len() as u64);
            let entry = Entry::Source(records);
            let passed = self.current.pass(entry, batch, |pipeline, batch| {
                pipeline.plan(&self.label, batch)
            });
            match self.pauses.watch(passed).await {
                Ok(()) => {
                    self.batches.inc();
                    self.records.inc_by(records);
                    self.bytes.inc_by(bytes);
                    Ok(())
                }
                Err(error) => {
                    self.refused.inc_by(records);
                    Err(error)
                }
            }
        })
    }
}
