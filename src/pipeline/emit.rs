//! The hot path: a batch of a source through filters and routing into the buffers.

use std::sync::Arc;

use sdk::{
    Fut,
    event::Batch,
    input::{Emit, EmitError},
    metrics::{Counter, Metrics},
};

use super::{Pipeline, admit::admit};

/// The way of one source into the pipeline. Counts what it receives.
#[derive(Debug, Clone)]
pub struct SourceEmit {
    pipeline: Arc<Pipeline>,
    /// Index of the label where the source's batches begin.
    label: usize,
    records: Counter,
    bytes: Counter,
    refused: Counter,
}

impl SourceEmit {
    /// A way in at `label`; `metrics` carries the labels of the source.
    pub fn new(pipeline: Arc<Pipeline>, label: usize, metrics: &Metrics) -> Self {
        Self {
            pipeline,
            label,
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
        }
    }
}

impl Emit for SourceEmit {
    fn emit(&self, batch: Batch) -> Fut<'_, Result<(), EmitError>> {
        Box::pin(async move {
            let (records, bytes) = (u64::from(batch.count), batch.events.len() as u64);
            let plan = self.pipeline.plan(self.label, batch);
            match admit(&self.pipeline.account, records, plan).await {
                Ok(()) => {
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
