//! Messages over UDP: one datagram each, taken in batches.

use std::{io, net::SocketAddr, sync::Arc};

use sdk::{RunError, event::Time, input::InputCx, sockets::Sockets, stop::Stop};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::{Gather, Message, Names, Peer, Take, intake::Intake, report::Report};

/// The largest datagram there is.
const DATAGRAM_BYTES: usize = 64 << 10;
/// Datagrams that are taken before they are emitted.
const BATCH_DATAGRAMS: usize = 1024;
/// Bytes after which they are emitted.
const BATCH_BYTES: usize = 1 << 20;
/// Senders that are remembered.
const PEERS_MAX: usize = 1024;

/// What a server of datagrams is told.
#[derive(Debug, Clone)]
pub struct DatagramSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// The longest message; a longer one is cut.
    pub limit_bytes: usize,
    /// The room that the kernel has for datagrams that wait, in bytes.
    pub receive_buffer_bytes: Option<usize>,
    /// Look up the names of senders.
    pub resolve_hostname: bool,
}

/// Serves datagrams until `stop` is given, and then until what was read is stored.
///
/// # Errors
/// [`RunError::Io`] when the address cannot be bound or the socket fails.
pub async fn serve_datagrams(
    settings: DatagramSettings,
    take: Arc<dyn Take>,
    cx: InputCx,
    stop: Stop,
) -> Result<(), RunError> {
    let report = Arc::new(Report::new(&cx));
    let address = settings.address;
    let socket = bind(&settings, &cx.sockets)?;
    let bound = socket.local_addr().unwrap_or(address);
    cx.ready.set(&format!("listening on {bound}"));
    let mut intake = Intake::new(&cx, &stop, &report);
    let mut reader = Reader {
        limit_bytes: settings.limit_bytes.max(1),
        names: settings.resolve_hostname.then(Names::default),
        peers: Vec::new(),
        buffer: vec![0; DATAGRAM_BYTES],
        take,
        report: Arc::clone(&report),
    };
    let mut gather = Gather::default();
    loop {
        let is_stopped = tokio::select! {
            biased;
            ready = socket.readable() => {
                if let Err(source) = ready {
                    let what = format!("read from {bound} by UDP");
                    return Err(RunError::Io { what, source });
                }
                false
            }
            () = stop.stopped() => true,
        };
        // At a stop, what the kernel still has is taken.
        reader.drain(&socket, cx.clock.now(), &mut gather).await;
        intake.emit(&mut gather).await;
        if is_stopped {
            break;
        }
    }
    intake.finish().await;
    Ok(())
}

/// Tries what can fail before datagrams are served: the address.
///
/// # Errors
/// Those of [`serve_datagrams`].
pub fn prepare_datagrams(settings: &DatagramSettings, cx: &InputCx) -> Result<(), RunError> {
    bind(settings, &cx.sockets).map(drop)
}

fn bind(settings: &DatagramSettings, sockets: &Sockets) -> Result<UdpSocket, RunError> {
    let address = settings.address;
    let bound = sockets.take(&sockets.udp(address), || {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    });
    let bound = bound.and_then(|socket| {
        if let Some(bytes) = settings.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        UdpSocket::from_std(socket.into())
    });
    bound.map_err(|source| RunError::Io {
        what: format!("listen on {address} by UDP"),
        source,
    })
}

struct Reader {
    limit_bytes: usize,
    names: Option<Names>,
    /// Senders, each made once.
    peers: Vec<(std::net::IpAddr, Peer)>,
    buffer: Vec<u8>,
    take: Arc<dyn Take>,
    report: Arc<Report>,
}

impl Reader {
    /// Takes the datagrams that are there, up to a batch.
    async fn drain(&mut self, socket: &UdpSocket, now: Time, gather: &mut Gather) {
        for _ in 0..BATCH_DATAGRAMS {
            let (len, from) = match socket.try_recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // An earlier answer of ours was refused, which says nothing of what comes.
                    return self
                        .report
                        .say("receive", &format!("a datagram was not received: {error}"));
                }
            };
            let peer = self.peer(from).await;
            let bytes = self.buffer.get(..len).unwrap_or_default();
            let bytes = match bytes.get(..self.limit_bytes) {
                Some(cut) if len > self.limit_bytes => {
                    self.report
                        .warn("cut", "a message over message_length_limit was cut");
                    cut
                }
                _ => bytes,
            };
            let peer = &peer;
            self.take
                .take(&Message { bytes, peer, now }, &self.report, gather);
            if gather.bytes() >= BATCH_BYTES {
                return;
            }
        }
    }

    async fn peer(&mut self, from: SocketAddr) -> Peer {
        let ip = from.ip();
        if let Some((_, peer)) = self.peers.iter().find(|(known, _)| *known == ip)
            && self.names.is_none()
        {
            return peer.clone();
        }
        // Names change, and their own memory knows for how long they are good.
        let peer = Peer::at(ip, self.names.as_ref()).await;
        if self.peers.len() >= PEERS_MAX {
            self.peers.clear();
        }
        if self.names.is_none() {
            self.peers.push((ip, peer.clone()));
        }
        peer
    }
}
