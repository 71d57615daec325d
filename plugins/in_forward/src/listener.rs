//! Binding, accepting connections, each into a task of its own, and what runs beside them.

use std::{io, sync::Arc, time::Duration};

use lines::Names;
use sdk::{RunError, input::InputCx, sockets::Sockets, stop::Stop};
use socket2::{SockRef, TcpKeepalive};
use tls::Server;
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};

use crate::{
    capacity::Capacity,
    gate::Gate,
    heartbeat::Heartbeats,
    partial::Partial,
    peer::Peer,
    report::Report,
    settings::{Place, Settings},
    source::Source,
    unix::Bound,
    welcome::{serve_plain, serve_tls},
};

/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Silence after which the kernel asks whether the sender still exists.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// How often a free port is asked for that is free for TCP and UDP.
const PORT_TRIES: u32 = 16;

/// What is listened on.
enum Listener {
    Tcp(TcpListener),
    Unix(Bound),
}

/// A connection that was accepted.
enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Runs the input until `stop` is given, and then until every connection is answered and closed.
///
/// # Errors
/// [`RunError::Io`] when the place cannot be bound, [`RunError::Other`] when the files of TLS cannot be used.
pub(crate) async fn run(settings: Settings, cx: InputCx, stop: Stop) -> Result<(), RunError> {
    let report = Arc::new(Report::new(&cx));
    let mut beside = JoinSet::new();
    let mut tls = None;
    if let Some(files) = settings.tls.clone() {
        let server = Server::load(files).await?.measured(&cx.metrics);
        tls = Some(server.subscribe());
        let report = Arc::clone(&report);
        beside.spawn(server.keep_up(move |reload| report.tls_reload(&reload)));
    }
    let (listener, heartbeats, bound) = bind(&settings, &cx.sockets)?;
    if let Some(heartbeats) = heartbeats {
        beside.spawn(heartbeats.answer(Arc::clone(&report)));
    }
    let gate = settings
        .rules
        .clone()
        .map(|rules| Arc::new(Gate::new(rules)));
    if let Some(gate) = &gate {
        gate.look_up(&report).await;
        beside.spawn(Arc::clone(gate).keep_up(Arc::clone(&report)));
    }
    let capacity = Capacity::new(settings.max_connections);
    let partial = Partial::begin(&settings, &cx, &report, &mut beside).await?;
    let source = Arc::new(Source {
        settings,
        cx,
        report,
        gate,
        names: Names::default(),
        partial,
        tls,
    });
    let mut connections = JoinSet::new();
    source.cx.ready.set(&format!("listening on {bound}"));
    loop {
        tokio::select! {
            () = stop.stopped() => break,
            ended = connections.join_next(), if !connections.is_empty() => reap(ended, &source),
            accepted = listener.accept() => match accepted {
                Ok((accepted, peer)) => accept(accepted, peer, &source, capacity, &stop, &mut connections),
                Err(error) => {
                    source.report.warn("accept", &bound, &format!("a connection was not accepted: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    source.cx.sockets.close();
    while let Some(ended) = connections.join_next().await {
        reap(Some(ended), &source);
    }
    beside.shutdown().await;
    if let Some(partial) = &source.partial {
        partial.finish().await;
    }
    Ok(())
}

/// Tries what can fail before connections are served: the place and the files of TLS.
///
/// # Errors
/// Those of [`run`].
pub(crate) async fn prepare(settings: &Settings, cx: &InputCx) -> Result<(), RunError> {
    if let Some(files) = settings.tls.clone() {
        Server::load(files).await?;
    }
    bind(settings, &cx.sockets).map(drop)
}

impl Listener {
    async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Accepted::Tcp(stream), Peer::at(address)))
            }
            Self::Unix(bound) => {
                let (stream, _) = bound.listener.accept().await?;
                Ok((Accepted::Unix(stream), Peer::local(bound.path())))
            }
        }
    }
}

/// Binds the place. Returns what is listened on, the socket of heartbeats, and how the place is called.
fn bind(
    settings: &Settings,
    sockets: &Sockets,
) -> Result<(Listener, Option<Heartbeats>, String), RunError> {
    let address = match &settings.place {
        Place::Unix(path, perm) => {
            let what = format!("listen on the Unix socket {}", path.display());
            let bound = Bound::new(path, *perm, settings.backlog, sockets);
            let bound = bound.map_err(|source| RunError::Io { what, source })?;
            let name = path.display().to_string();
            return Ok((Listener::Unix(bound), None, name));
        }
        Place::Tcp(address) => *address,
    };
    let failed = |what: &str| {
        let what = format!("listen on {address}{what}");
        |source| RunError::Io { what, source }
    };
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let listener = lines::bind(address, settings.backlog, sockets).map_err(failed(""))?;
        let bound = listener.local_addr().unwrap_or(address);
        let heartbeats = settings.udp_heartbeat;
        let heartbeats = match heartbeats.then(|| Heartbeats::bind(bound, sockets)) {
            None => None,
            Some(Ok(heartbeats)) => Some(heartbeats),
            // Another process has the port for UDP: another one will do.
            Some(Err(_)) if tries > 0 => {
                sockets.release(&sockets.tcp(address));
                continue;
            }
            Some(Err(error)) => {
                let what = " by UDP for heartbeats (udp_heartbeat = false does without)";
                return Err(failed(what)(error));
            }
        };
        return Ok((Listener::Tcp(listener), heartbeats, bound.to_string()));
    }
}

fn accept(
    accepted: Accepted,
    peer: Peer,
    source: &Arc<Source>,
    capacity: Capacity,
    stop: &Stop,
    connections: &mut JoinSet<()>,
) {
    let Capacity { max, remedy } = capacity;
    if connections.len() >= max {
        let text = format!("a connection was closed: there are {max} already; {remedy}");
        source.report.warn("too_many", &peer, &text);
        source.report.closed("too_many");
        return;
    }
    let open = source.report.accepted();
    let (source, stop) = (Arc::clone(source), stop.clone());
    connections.spawn(async move {
        match (accepted, &source.tls) {
            (Accepted::Unix(stream), _) => serve_plain(stream, peer, &source, stop).await,
            (Accepted::Tcp(stream), tls) => {
                if let Err(error) = configure(&stream, source.settings.send_keepalive_packet) {
                    // The sender is gone already.
                    tracing::debug!(%peer, %error, "a connection ended before it began");
                }
                match tls {
                    None => serve_plain(stream, peer, &source, stop).await,
                    Some(tls) => {
                        let config = Arc::clone(&tls.borrow());
                        Box::pin(serve_tls(stream, config, peer, &source, stop)).await;
                    }
                }
            }
        }
        drop(open);
    });
}

fn configure(stream: &TcpStream, keepalive: bool) -> io::Result<()> {
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
