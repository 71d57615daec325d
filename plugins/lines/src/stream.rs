//! Messages over TCP and TLS: accepting, reading, framing, and limits on all of it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use sdk::{RunError, input::InputCx, sockets::Sockets, stop::Stop};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tls::{Reload, Server, ServerFiles};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{
    Framer, Framing, Gather, Message, Names, Peer, Take, framing::Step, intake::Intake,
    report::Report,
};

/// Bytes that are read at once: a little from a quiet sender, since each connection keeps room for it, more from a busy
/// one.
const READ_BYTES_MIN: usize = 2 << 10;
const READ_BYTES_MAX: usize = 64 << 10;
/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long TLS may take to begin.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence after which the kernel asks whether the sender still exists.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// How long connections may send on what is under way after a stop.
const DRAIN: Duration = Duration::from_millis(200);

/// What a server of streams is told.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Connections that may wait to be accepted.
    pub backlog: i32,
    /// Speak TLS, and nothing else.
    pub tls: Option<ServerFiles>,
    /// How messages are told apart.
    pub framing: Framing,
    /// The longest message; a longer one is cut.
    pub limit_bytes: usize,
    /// Connections at a time. More are closed as soon as they come.
    pub max_connections: usize,
    /// How long a connection may be silent.
    pub idle_timeout: Option<Duration>,
    /// Let the kernel find out whether silent senders still exist.
    pub keepalive: bool,
    /// Look up the names of senders.
    pub resolve_hostname: bool,
}

/// What the tasks of connections share.
struct Shared {
    settings: StreamSettings,
    take: Arc<dyn Take>,
    cx: InputCx,
    report: Arc<Report>,
    names: Option<Names>,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
}

/// Serves streams until `stop` is given, and then until what was read is stored.
///
/// # Errors
/// [`RunError`] when the address cannot be bound or the files of TLS cannot be used.
pub async fn serve_streams(
    settings: StreamSettings,
    take: Arc<dyn Take>,
    cx: InputCx,
    stop: Stop,
) -> Result<(), RunError> {
    let report = Arc::new(Report::new(&cx));
    let mut beside = JoinSet::new();
    let mut tls = None;
    if let Some(files) = settings.tls.clone() {
        let server = Server::load(files).await?;
        tls = Some(server.subscribe());
        let report = Arc::clone(&report);
        beside.spawn(server.keep_up(move |reload| tell(&report, &reload)));
    }
    let address = settings.address;
    let listener = listen(&settings, &cx.sockets)?;
    let bound = listener.local_addr().unwrap_or(address);
    cx.ready.set(&format!("listening on {bound}"));
    let shared = Arc::new(Shared {
        names: settings.resolve_hostname.then(Names::default),
        settings,
        take,
        cx,
        report,
        tls,
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.stopped() => break,
            Some(ended) = connections.join_next() => shared.reap(&ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(stream, peer, &shared, &stop, &mut connections),
                Err(error) => {
                    shared.report.say("accept", &format!("a connection was not accepted: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    shared.cx.sockets.close();
    while let Some(ended) = connections.join_next().await {
        shared.reap(&ended);
    }
    beside.shutdown().await;
    Ok(())
}

/// Tries what can fail before streams are served: the address and the files of TLS.
///
/// # Errors
/// Those of [`serve_streams`].
pub async fn prepare_streams(settings: &StreamSettings, cx: &InputCx) -> Result<(), RunError> {
    if let Some(files) = settings.tls.clone() {
        Server::load(files).await?;
    }
    listen(settings, &cx.sockets).map(drop)
}

fn listen(settings: &StreamSettings, sockets: &Sockets) -> Result<TcpListener, RunError> {
    let address = settings.address;
    bind(address, settings.backlog, sockets).map_err(|source| RunError::Io {
        what: format!("listen on {address}"),
        source,
    })
}

fn tell(report: &Report, reload: &Reload<'_>) {
    match reload {
        Reload::Done => tracing::info!("the files of TLS were read again"),
        Reload::Failed { error, .. } => {
            report.say(
                "tls_reload",
                &format!("the files of TLS cannot be used, the old ones stay: {error}"),
            );
        }
    }
}

/// Listens at this address. A port that is free but for connections that just ended is taken.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr, backlog: i32, sockets: &Sockets) -> io::Result<TcpListener> {
    let socket = sockets.take(&sockets.tcp(address), || {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    })?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

fn accept(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    stop: &Stop,
    connections: &mut JoinSet<()>,
) {
    let max = shared.settings.max_connections;
    if connections.len() >= max {
        let text =
            format!("a connection was closed: there are {max} already; raise max_connections");
        return shared.report.closed("too_many", &text);
    }
    let open = shared.report.accepted();
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    connections.spawn(async move {
        // Counted out however it ends.
        let _open = open;
        shared.serve(stream, peer, stop).await;
    });
}

impl Shared {
    fn reap(&self, ended: &Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            self.report.closed(
                "panic",
                &format!("the task of a connection failed: {error}"),
            );
        }
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr, stop: Stop) {
        if self.settings.keepalive {
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
            if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&keepalive) {
                tracing::debug!(%peer, %error, "a connection ended before it began");
            }
        }
        let peer = Peer::at(peer.ip(), self.names.as_ref()).await;
        let Some(tls) = &self.tls else {
            return self.read(stream, &peer, &stop).await;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
        match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Box::pin(self.read(stream, &peer, &stop)).await,
            Ok(Err(error)) => {
                self.report
                    .closed("handshake", &format!("TLS did not begin: {error}"));
            }
            Err(_) => self.report.closed("handshake", "TLS did not begin in time"),
        }
    }

    /// Reads messages until the sender or the limits end the connection.
    async fn read(&self, mut stream: impl AsyncRead + Unpin, peer: &Peer, stop: &Stop) {
        let mut intake = Intake::new(&self.cx, stop, &self.report);
        let mut framer = Framer::new(self.settings.framing.clone(), self.settings.limit_bytes);
        let mut gather = Gather::default();
        let mut buffer = Vec::new();
        let mut room = READ_BYTES_MIN;
        let stopped = async {
            stop.stopped().await;
            // What the sender has sent already is taken.
            tokio::time::sleep(DRAIN).await;
        };
        tokio::pin!(stopped);
        loop {
            buffer.reserve(room);
            let before = buffer.len();
            let is_end = self.fill(&mut stream, &mut buffer, stopped.as_mut()).await;
            room = match buffer.len() - before {
                read if read >= room => READ_BYTES_MAX.min(room * 4),
                _ => READ_BYTES_MIN,
            };
            let now = self.cx.clock.now();
            let mut take = |bytes: &[u8]| {
                self.take
                    .take(&Message { bytes, peer, now }, &self.report, &mut gather);
            };
            let is_lost = self.take_all(&mut framer, &mut buffer, &mut take);
            if is_end
                && !is_lost
                && let Some(bytes) = framer.rest(&buffer)
            {
                take(bytes);
            }
            intake.emit(&mut gather).await;
            if is_lost {
                self.report.closed(
                    "framing",
                    "a connection was closed: no length stands before a message",
                );
            }
            if is_end || is_lost {
                break;
            }
        }
        intake.finish().await;
    }

    /// Reads once. Whether the stream has ended, or is to be given up.
    async fn fill(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut Vec<u8>,
        stopped: impl Future<Output = ()>,
    ) -> bool {
        let idle = async {
            match self.settings.idle_timeout {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped => true,
            read = stream.read_buf(buffer) => match read {
                Ok(len) => len == 0,
                Err(error) => {
                    tracing::debug!(source = %self.cx.id, %error, "a connection broke");
                    true
                }
            },
            () = idle => {
                self.report.closed("idle", "a connection was closed: it was silent for too long");
                true
            }
        }
    }

    /// Takes every whole message out of the buffer. Whether there is no telling where the next one begins.
    fn take_all(
        &self,
        framer: &mut Framer,
        buffer: &mut Vec<u8>,
        take: &mut dyn FnMut(&[u8]),
    ) -> bool {
        let mut at = 0;
        let is_lost = loop {
            match framer.next(buffer.get(at..).unwrap_or_default()) {
                Step::Message {
                    bytes,
                    is_cut,
                    consumed,
                } => {
                    if is_cut {
                        self.report
                            .warn("cut", "a message over message_length_limit was cut");
                    }
                    take(bytes);
                    at += consumed;
                }
                Step::Skip(consumed) => at += consumed,
                Step::More => break false,
                Step::Lost => {
                    self.report.invalid("framing");
                    break true;
                }
            }
        };
        if at == buffer.len() && buffer.capacity() > 2 * READ_BYTES_MIN {
            *buffer = Vec::new();
        } else {
            buffer.drain(..at);
        }
        is_lost
    }
}
