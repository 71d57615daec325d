//! What the connections of one source have in common, and why one of them ends.

use std::{io, sync::Arc, time::Duration};

use forward_protocol::ProtocolError;
use lines::Names;
use sdk::input::{EmitError, InputCx};
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

use crate::{gate::Gate, partial::Partial, report::Report, settings::Settings};

/// What connections of one source have in common.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) settings: Settings,
    pub(crate) cx: InputCx,
    pub(crate) report: Arc<Report>,
    /// Set when senders have to prove themselves.
    pub(crate) gate: Option<Arc<Gate>>,
    pub(crate) names: Names,
    /// Set when parts of lines are joined.
    pub(crate) partial: Option<Arc<Partial>>,
    /// Set when TLS is spoken; the latest that was read.
    pub(crate) tls: Option<watch::Receiver<Arc<ServerConfig>>>,
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The sender closed, between two messages.
    #[error("the sender closed")]
    Closed,
    /// The input stops.
    #[error("the input stops")]
    Stopped,
    /// The first message was taken, and keepalive is denied.
    #[error("keepalive is denied")]
    KeepaliveDenied,
    /// Nothing came for too long.
    #[error("nothing, or too little, came for {} ms: the connection is closed", .0.as_millis())]
    Silent(Duration),
    /// A message holds an event that can never be used, and such messages are not wanted.
    #[error(
        "a message holds invalid events and is refused: mend the sender, or write skip_invalid_event = true to drop them"
    )]
    Invalid,
    /// What came cannot be decoded.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The pipeline did not take a message.
    #[error(transparent)]
    Refused(#[from] EmitError),
    /// The answering half ended.
    #[error("the connection cannot be answered")]
    Unanswered,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
