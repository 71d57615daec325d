//! Why records could not be sent, and what to do about it.

use std::io;

use sdk::output::{Failure, FailureKind};

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum CatError {
    /// What was read is no record.
    #[error(transparent)]
    Input(#[from] BadInput),
    /// Nothing can be read.
    #[error("cannot read standard input: {0}")]
    Read(#[source] io::Error),
    /// The system refused what is needed to run.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// The records did not arrive, or it is not known.
    #[error("not delivered: {}", .0.message)]
    Undelivered(Failure),
    /// A second signal came while records were under way.
    #[error("interrupted while records were under way")]
    Interrupted,
}

/// Something that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("standard input, {place}: {problem}: {excerpt}")]
pub struct BadInput {
    /// Such as `line 7`, counted from 1.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// The beginning of it.
    pub excerpt: String,
    /// What to do about it.
    pub help: &'static str,
}

impl CatError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Input(bad) => bad.help,
            Self::Read(_) => "give it a pipe or a file, such as `weir cat TAG < FILE`",
            Self::Start(_) => "look at the limits of the process",
            Self::Undelivered(failure) => remedy(failure.kind),
            Self::Interrupted => "send the records again that were not acknowledged",
        }
    }
}

fn remedy(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connect => {
            "is a router listening there? Does it want TLS (--tls) or a key (--shared-key-file)?"
        }
        FailureKind::Auth => {
            "compare the key (--shared-key-file, WEIR_SHARED_KEY), --username and its password with those of the \
             router; leave them out if it has no table `security`"
        }
        FailureKind::Tls => {
            "is TLS spoken there? --tls-ca names the authority to trust, --host the name in the certificate; --tls-cert \
             and --tls-key are what we show"
        }
        FailureKind::Timeout => {
            "a router acknowledges what it has stored: look at its log, or wait longer with --timeout"
        }
        FailureKind::Protocol => {
            "the port may want a key (--shared-key-file) or TLS (--tls), or speak another protocol"
        }
        _ => "look at the log of the router",
    }
}
