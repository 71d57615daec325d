//! An output that the configuration has no more: it delivers what it has, and then ends. What it cannot deliver stays on
//! disk, and comes when an output with its id is there again.

use std::{sync::Weak, time::Duration};

use tokio::time::Instant;

use super::outputs::Running;
use crate::{config::BufferKind, pipeline::Pipeline};

/// How long its workers may take to end once they were told to give up.
const PATIENCE: Duration = Duration::from_secs(5);

/// An output on its way out.
pub(super) struct Leaving {
    pub(super) running: Running,
    /// The last graph that sends to it.
    before: Weak<Pipeline>,
    /// When a file buffer is left as it is.
    deadline: Instant,
    /// When its workers were told to give up.
    ending: Option<Instant>,
}

impl Leaving {
    /// Begins: everything is due now.
    pub(super) fn begin(running: Running, before: Weak<Pipeline>, patience: Duration) -> Self {
        running.flush();
        Self {
            running,
            before,
            deadline: Instant::now() + patience,
            ending: None,
        }
    }

    /// Whether it is too late to come back.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Goes a step further when it is time. Whether it is gone.
    pub(super) fn look_after(&mut self) -> bool {
        if let Some(since) = self.ending {
            if !self.running.is_idle() && since.elapsed() > PATIENCE {
                self.running.abort();
            }
            return self.running.is_idle();
        }
        let node = &self.running.node;
        let is_done = self.before.strong_count() == 0 && node.buffer.is_empty();
        let is_kept = self.running.spec.buffer.kind == BufferKind::File;
        let is_late = is_kept && Instant::now() >= self.deadline;
        if !is_done && !is_late {
            // What came meanwhile is due, too.
            node.buffer.flush();
            return false;
        }
        if is_done {
            tracing::info!(output = %node.id, "the output is gone from the configuration; its buffer is empty");
        } else {
            let records = node.buffer.status().records;
            let path = self.running.spec.buffer.path.display();
            tracing::warn!(
                output = %node.id, records, %path,
                "the output is gone from the configuration and its records stay in its buffer; they are delivered when an output with this id has it again"
            );
        }
        self.running.give_up();
        self.ending = Some(Instant::now());
        self.running.is_idle()
    }
}
