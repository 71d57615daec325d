//! From accept to the first message: TLS, and the handshake of `[source.security]`, under one timer.

use std::{io, sync::Arc};

use bytes::BytesMut;
use forward_protocol::handshake::Refusal;
use sdk::stop::Stop;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{
    connection::{close, converse},
    peer::Peer,
    source::Source,
};

/// Why a connection was not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotIn {
    /// It closed without having said anything, as the checks of load balancers do.
    #[error("the sender closed before the handshake")]
    Gone,
    /// It closed in the middle.
    #[error("the sender closed in the middle of the handshake")]
    CutOff,
    /// It took too long.
    #[error("the handshake took longer than handshake_timeout")]
    Late,
    /// The input stops.
    #[error("the input stops")]
    Stopped,
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The sender is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl NotIn {
    /// The value of the metric label `reason`; `None` for what is no failure.
    fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Gone | Self::Stopped => None,
            Self::CutOff | Self::Io(_) => Some("cut_off"),
            Self::Late => Some("timeout"),
            Self::Tls(_) => Some("tls"),
            Self::Random => Some("random"),
            Self::Refused(refusal) => Some(refusal.reason()),
        }
    }
}

/// Serves a connection over TLS.
pub(crate) async fn serve_tls<S>(
    stream: S,
    config: Arc<ServerConfig>,
    peer: Peer,
    source: &Source,
    stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = Instant::now() + source.settings.handshake_timeout;
    let accepting = TlsAcceptor::from(config).accept(stream).into_fallible();
    let accepted = tokio::select! {
        biased;
        accepted = timeout_at(deadline, accepting) => accepted,
        () = stop.stopped() => return report(&NotIn::Stopped, &peer, source),
    };
    match accepted {
        Ok(Ok(stream)) => serve(stream, deadline, peer, source, stop).await,
        Ok(Err((error, stream))) => {
            let not_in = match error.kind() {
                io::ErrorKind::UnexpectedEof => NotIn::Gone,
                io::ErrorKind::InvalidData => NotIn::Tls(error),
                _ => NotIn::Io(error),
            };
            report(&not_in, &peer, source);
            // The alert is written; what the sender still sends must not destroy it.
            let (mut reader, mut writer) = tokio::io::split(stream);
            close(&mut reader, &mut writer, true).await;
        }
        Err(_) => report(&NotIn::Late, &peer, source),
    }
}

/// Serves a connection as it is.
pub(crate) async fn serve_plain<S>(stream: S, peer: Peer, source: &Source, stop: Stop)
where
    S: AsyncRead + AsyncWrite,
{
    let deadline = Instant::now() + source.settings.handshake_timeout;
    serve(stream, deadline, peer, source, stop).await;
}

async fn serve<S>(stream: S, deadline: Instant, peer: Peer, source: &Source, stop: Stop)
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut early = BytesMut::new();
    if let Some(gate) = &source.gate {
        let keepalive = !source.settings.deny_keepalive;
        let shaking = gate.shake(&mut reader, &mut writer, &peer, keepalive);
        let shaken = tokio::select! {
            biased;
            shaken = timeout_at(deadline, shaking) => shaken.unwrap_or(Err(NotIn::Late)),
            () = stop.stopped() => Err(NotIn::Stopped),
        };
        match shaken {
            Ok(bytes) => early = bytes,
            Err(not_in) => {
                report(&not_in, &peer, source);
                return close(&mut reader, &mut writer, true).await;
            }
        }
    }
    converse(reader, writer, &early, &peer, source, stop).await;
}

fn report(not_in: &NotIn, peer: &Peer, source: &Source) {
    match not_in.reason() {
        Some(reason) => {
            source.report.not_in(reason, peer, not_in);
            source.report.closed("handshake");
        }
        None if matches!(not_in, NotIn::Stopped) => source.report.closed("stopped"),
        None => source.report.closed("closed"),
    }
}
