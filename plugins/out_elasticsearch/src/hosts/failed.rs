//! Requests that no host took, and what that means for a chunk.

use std::time::Duration;

use sdk::output::{Failure, FailureKind, Outcome};
use url::Url;

use crate::{
    bulk::item_error::refusal,
    http::transport::{Broken, Reply},
};

/// Why no host took a request.
#[derive(Debug)]
pub(crate) struct NoHost {
    pub(crate) failure: Failure,
    /// When a host asked to be tried again.
    pub(crate) after: Option<Duration>,
    /// Whether no host was reached at all.
    pub(crate) is_down: bool,
    /// Whether a host, or what stands in front of it, got the request and did not answer in time.
    pub(crate) is_late: bool,
}

impl NoHost {
    /// With nothing known of hosts: what is wrong is here, or somebody answered.
    pub(crate) fn here(failure: Failure) -> Self {
        Self {
            failure,
            after: None,
            is_down: false,
            is_late: false,
        }
    }

    /// A host answered, and with no help. `said` begins the message, which goes on with the status and the reason.
    pub(crate) fn answered(reply: &Reply, kind: FailureKind, said: &str) -> Self {
        let mut error = refusal(&reply.body);
        error.leave_out_names();
        let message = format!("{said} {} {}", reply.status, error.summary());
        Self {
            after: reply.retry_after,
            ..Self::here(Failure::new(kind, message.trim_end()))
        }
    }

    /// What it means for a chunk of which nothing was sent.
    pub(crate) fn outcome(self) -> Outcome {
        if self.is_down {
            Outcome::DestinationDown(self.failure)
        } else {
            Outcome::RetryChunk(self.after, self.failure)
        }
    }
}

/// What went wrong on the way through the hosts.
#[derive(Default)]
pub(super) struct Failed {
    /// Of the last host that answered.
    pub(super) refused: Option<(Failure, Option<Duration>)>,
    /// How the last try of each of the others ended.
    pub(super) unanswered: Vec<(Url, Broken)>,
    /// Whether one of them took too long.
    pub(super) is_late: bool,
}

impl Failed {
    pub(super) fn is_any(&self) -> bool {
        self.refused.is_some() || !self.unanswered.is_empty()
    }
}

impl From<Failed> for NoHost {
    fn from(failed: Failed) -> Self {
        let each = failed.unanswered.iter();
        let is_down = failed.refused.is_none() && each.clone().all(|(_, broken)| !broken.is_sent);
        let (failure, after) = failed.refused.unwrap_or_else(|| {
            // What counts is what happened to a request, if one got so far.
            let told = each.clone().find(|(_, broken)| broken.is_sent);
            let told = told.or(failed.unanswered.first());
            let kind = told.map_or(FailureKind::Connect, |(_, broken)| broken.failure.kind);
            let each: Vec<String> = each
                .map(|(url, broken)| format!("{url}: {}", broken.failure.message))
                .collect();
            (Failure::new(kind, each.join("; ")), None)
        });
        Self {
            failure,
            after,
            is_down,
            is_late: failed.is_late,
        }
    }
}
