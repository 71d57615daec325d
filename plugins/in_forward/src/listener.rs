//! Binding the port and accepting connections, each into a task of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use sdk::{RunError, input::InputCx, stop::Stop};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{connection::serve, report::Report, settings::Settings, source::Source};

/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Silence after which the kernel asks whether the sender still exists.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);

/// Runs the input until `stop` is given, and then until every connection is answered and closed.
///
/// # Errors
/// [`RunError::Io`] when the port cannot be bound.
pub(crate) async fn run(settings: Settings, cx: InputCx, stop: Stop) -> Result<(), RunError> {
    let address = settings.address;
    let listener = bind(&settings).map_err(|source| RunError::Io {
        what: format!("listen on {address}"),
        source,
    })?;
    let bound = listener.local_addr().unwrap_or(address);
    let source = Arc::new(Source {
        report: Report::new(&cx),
        settings,
        cx,
    });
    let mut connections = JoinSet::new();
    source.cx.ready.set(&format!("listening on {bound}"));
    loop {
        tokio::select! {
            () = stop.stopped() => break,
            ended = connections.join_next(), if !connections.is_empty() => reap(ended, &source),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(stream, peer, &source, &stop, &mut connections),
                Err(error) => {
                    source.report.warn("accept", &bound, &format!("a connection was not accepted: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        reap(Some(ended), &source);
    }
    Ok(())
}

fn bind(settings: &Settings) -> io::Result<TcpListener> {
    let address = settings.address;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(settings.backlog)?;
    TcpListener::from_std(socket.into())
}

fn accept(
    stream: TcpStream,
    peer: SocketAddr,
    source: &Arc<Source>,
    stop: &Stop,
    connections: &mut JoinSet<()>,
) {
    let max = source.settings.max_connections;
    if connections.len() >= max {
        let text =
            format!("a connection was closed: there are {max} already; raise max_connections");
        source.report.warn("too_many", &peer, &text);
        source.report.closed("too_many");
        return;
    }
    if let Err(error) = prepare(&stream, source.settings.send_keepalive_packet) {
        // The sender is gone already.
        tracing::debug!(%peer, %error, "a connection ended before it began");
    }
    let open = source.report.accepted();
    let (source, stop) = (Arc::clone(source), stop.clone());
    connections.spawn(async move {
        serve(stream, &peer, &source, stop).await;
        drop(open);
    });
}

fn prepare(stream: &TcpStream, keepalive: bool) -> io::Result<()> {
    // Acknowledgements are small and each has a write of its own.
    stream.set_nodelay(true)?;
    if keepalive {
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
    }
    Ok(())
}

fn reap(ended: Option<Result<(), tokio::task::JoinError>>, source: &Source) {
    if let Some(Err(error)) = ended {
        tracing::error!(source = %source.cx.id, %error, "the task of a connection failed");
        source.report.closed("panic");
    }
}
