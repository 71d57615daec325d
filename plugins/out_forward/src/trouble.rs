//! Why something could not be sent, and how far it had come.

use std::time::Duration;

use sdk::output::{Failure, FailureKind};

/// A failure with the stage at which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) failure: Failure,
    pub(crate) stage: Stage,
}

/// How far it had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was sent.
    Connect,
    /// The connection ended while records were under way.
    Closed,
    /// The server takes no bytes.
    Stalled,
    /// The server took records and did not acknowledge them in time.
    NoAck,
    /// The server sent something else than the acknowledgements that were due.
    WrongAck,
}

impl Trouble {
    /// Nothing was sent.
    pub(crate) fn connect(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::new(Stage::Connect, kind, message)
    }

    /// The connection is gone.
    pub(crate) fn closed(message: impl Into<String>) -> Self {
        Self::new(Stage::Closed, FailureKind::Connect, message)
    }

    /// No bytes were taken for so long.
    pub(crate) fn stalled(limit: Duration) -> Self {
        let message = format!("took no bytes for {} s", limit.as_secs_f64());
        Self::new(Stage::Stalled, FailureKind::Timeout, message)
    }

    /// No acknowledgement came for so long.
    pub(crate) fn no_ack(limit: Duration) -> Self {
        let message = format!("no acknowledgement within {} s", limit.as_secs_f64());
        Self::new(Stage::NoAck, FailureKind::Timeout, message)
    }

    /// Something else came.
    pub(crate) fn wrong_ack(message: impl Into<String>) -> Self {
        Self::new(Stage::WrongAck, FailureKind::Protocol, message)
    }

    fn new(stage: Stage, kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            failure: Failure::new(kind, message),
            stage,
        }
    }

    /// Whether the server may have the records all the same.
    pub(crate) fn may_have_arrived(&self) -> bool {
        self.stage != Stage::Connect
    }

    /// The same, said of a server.
    #[must_use]
    pub(crate) fn of(mut self, server: &str) -> Self {
        self.failure.message = format!("{server}: {}", self.failure.message);
        self
    }
}
