//! Inputs: they make batches, emit them, and answer their senders when the receipt resolves.

use std::sync::Arc;

use crate::{
    Fut, RunError,
    budget::Budget,
    clock::Clock,
    event::Batch,
    metrics::{Counter, Metrics},
    monitor::Monitor,
    sockets::Sockets,
    stop::Stop,
};

/// Takes batches into the pipeline.
pub trait Emit: Send + Sync {
    /// Filters, routes and stores a batch.
    ///
    /// The future resolves when the batch is admitted everywhere; until then it waits, and that waiting
    /// is the back-pressure. The sender may be answered only when the receipt of `batch.due` resolves.
    ///
    /// # Errors
    /// [`EmitError`]: nothing was admitted and the obligation is broken.
    fn emit(&self, batch: Batch) -> Fut<'_, Result<(), EmitError>>;
}

/// Why a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// A buffer is full and its `overflow_action` is `throw_exception`, or a record is too large for it.
    #[error("output {output:?} refused the records: {reason}")]
    Refused {
        /// The id of the output.
        output: Arc<str>,
        /// In one sentence.
        reason: String,
    },
    /// A filter panicked on the records. The same records, sent again, go on without those that it cannot handle.
    #[error("a filter of label {label:?} panicked on the records")]
    Filter {
        /// The label.
        label: Arc<str>,
    },
    /// A buffer failed, or the router is shutting down.
    #[error("output {output:?} takes no records now")]
    Closed {
        /// The id of the output.
        output: Arc<str>,
    },
}

/// What an input is given when it runs.
#[derive(Clone)]
pub struct InputCx {
    /// The id of the source.
    pub id: Arc<str>,
    /// The way into the pipeline. Counts what is received.
    pub emit: Arc<dyn Emit>,
    /// Carries the labels of the component.
    pub metrics: Metrics,
    /// The wall clock.
    pub clock: Clock,
    /// The global memory budget.
    pub budget: Budget,
    /// Tells the engine that the source takes data.
    pub ready: Ready,
    /// What all components say about themselves.
    pub monitor: Arc<dyn Monitor>,
    /// Where listening sockets come from, so that they stay open while the source is restarted.
    pub sockets: Sockets,
}

impl InputCx {
    /// The counter of undecodable input with this reason.
    pub fn invalid_records(&self, reason: &str) -> Counter {
        self.metrics.counter(
            "invalid_records",
            "Records or frames that could not be decoded",
            &[("reason", reason)],
        )
    }
}

impl std::fmt::Debug for InputCx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InputCx({})", self.id)
    }
}

/// Tells the engine that a source is bound. Start-up waits for every source.
#[derive(Clone)]
pub struct Ready(Arc<dyn Fn(&str) + Send + Sync>);

impl Ready {
    /// Calls `notice` with what the source says, such as the address it listens on.
    pub fn new(notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(notice))
    }

    /// The source takes data now. `detail` is for the log: `listening on 127.0.0.1:24224`.
    pub fn set(&self, detail: &str) {
        (self.0)(detail);
    }
}

/// Takes data from outside.
pub trait Input: Send {
    /// Tries what can fail before anything is taken: binds its sockets in `cx.sockets`, reads its certificates. An
    /// instance of its own is asked before a new configuration is put in the place of another. The source with the same
    /// id may still be running, so nothing that belongs to it is touched.
    ///
    /// # Errors
    /// What [`run`](Self::run) would end with.
    fn prepare<'a>(&'a self, cx: &'a InputCx) -> Fut<'a, Result<(), RunError>> {
        let _ = cx;
        Box::pin(async { Ok(()) })
    }

    /// Runs until `stop` is given, and then until every batch it took has its receipt and its sender the answer.
    /// Returning before that, or with an error, makes the supervisor act on `failure`.
    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>>;
}
