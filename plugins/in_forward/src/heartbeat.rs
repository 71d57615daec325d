//! Answers to UDP heartbeats. Source: Fluentd's `in_forward` answers any datagram with one zero byte, and its
//! `out_forward` takes the answer only from the address that it asked.

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket as Plain},
    sync::Arc,
};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use sdk::sockets::Sockets;
use tokio::{io::Interest, net::UdpSocket};

use crate::report::Report;

/// What a heartbeat is answered with.
const ANSWER: &[u8] = &[0];
/// Datagrams that were sent together may be received together; this many bytes of them.
const READ_BYTES: usize = 2048;

/// A bound socket that knows to which of its addresses a datagram was sent.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Heartbeats {
    /// Binds.
    pub(crate) fn bind(address: SocketAddr, sockets: &Sockets) -> io::Result<Self> {
        let socket = sockets.take(&sockets.udp(address), || Plain::bind(address))?;
        let state = UdpSocketState::new((&socket).into())?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            state,
        })
    }

    /// Answers for ever.
    pub(crate) async fn answer(self, report: Arc<Report>) {
        loop {
            if let Err(error) = self.answer_one().await {
                report.warn(
                    "heartbeat",
                    &"udp",
                    &format!("a heartbeat was not answered: {error}"),
                );
                tokio::task::yield_now().await;
            }
        }
    }

    async fn answer_one(&self) -> io::Result<()> {
        let mut bytes = [0; READ_BYTES];
        let mut metas = [RecvMeta::default()];
        let receive = || {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            self.state
                .recv((&self.socket).into(), &mut parts, &mut metas)
        };
        self.socket.async_io(Interest::READABLE, receive).await?;
        let [
            RecvMeta {
                addr,
                len,
                stride,
                dst_ip,
                ..
            },
        ] = metas;
        let transmit = Transmit {
            destination: addr,
            ecn: None,
            contents: ANSWER,
            segment_size: None,
            src_ip: dst_ip,
        };
        for _ in 0..len.div_ceil(stride.max(1)).max(1) {
            let send = || self.state.try_send((&self.socket).into(), &transmit);
            self.socket.async_io(Interest::WRITABLE, send).await?;
        }
        Ok(())
    }
}
