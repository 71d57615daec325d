//! Opening a connection: name to addresses, TCP, TLS, and the handshake of the forward protocol.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use forward_protocol::handshake::{Client, ClientStep, Identity};
use sdk::output::FailureKind;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    connection::{Connection, Stream},
    greeting,
    trouble::Trouble,
};

/// When the kernel begins to ask whether a silent server still exists.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);

/// How connections are opened, the same for all servers.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) connect_timeout: Duration,
    /// How long TLS may take, and how long the handshake.
    pub(crate) handshake_timeout: Duration,
    pub(crate) send_keepalive_packet: bool,
    pub(crate) tls: Option<Arc<tls::Client>>,
}

impl Dialer {
    /// Opens a connection to one of `addresses`, in their order. `name` is what its certificate must say.
    ///
    /// # Errors
    /// Of the last address that was tried. After a connection was made no other address is tried.
    pub(crate) async fn dial(
        &self,
        addresses: &[SocketAddr],
        name: &str,
        identity: Option<&Identity>,
    ) -> Result<Connection, Trouble> {
        let mut last = Trouble::connect(FailureKind::Connect, "the name has no address");
        for address in addresses {
            match self.connect(*address).await {
                Ok(stream) => return self.greet(stream, *address, name, identity).await,
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, Trouble> {
        let failed = |message: String| Trouble::connect(FailureKind::Connect, message);
        let connecting = timeout(self.connect_timeout, TcpStream::connect(address));
        let secs = self.connect_timeout.as_secs_f64();
        let late = |_| failed(format!("no connection within {secs} s"));
        let stream = connecting.await.map_err(late)?;
        let stream = stream.map_err(|error| failed(error.to_string()))?;
        let set = stream.set_nodelay(true).and_then(|()| {
            if self.send_keepalive_packet {
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
                SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
            }
            Ok(())
        });
        set.map_err(|error| failed(error.to_string()))?;
        Ok(stream)
    }

    async fn greet(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        name: &str,
        identity: Option<&Identity>,
    ) -> Result<Connection, Trouble> {
        let secs = self.handshake_timeout.as_secs_f64();
        let late = |what: &str, kind| {
            Trouble::connect(kind, format!("the {what} did not end within {secs} s"))
        };
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(client) => {
                let greeting = greeting::connect(client, name, stream);
                let greeted = timeout(self.handshake_timeout, greeting).await;
                Box::new(greeted.map_err(|_| late("TLS handshake", FailureKind::Tls))??)
            }
        };
        let Some(identity) = identity else {
            return Ok(Connection::new(stream, peer, true));
        };
        let greeting = handshake(&mut stream, identity.clone());
        let keepalive = timeout(self.handshake_timeout, greeting)
            .await
            .map_err(|_| late("handshake with the shared key", FailureKind::Auth))??;
        Ok(Connection::new(stream, peer, keepalive))
    }
}

/// HELO, PING, PONG. Returns whether the server takes several messages over one connection.
async fn handshake(stream: &mut Box<dyn Stream>, identity: Identity) -> Result<bool, Trouble> {
    let failed = |message: String| Trouble::connect(FailureKind::Auth, message);
    let broken = |error: std::io::Error| failed(format!("the handshake was cut off: {error}"));
    let salt = tls::random().ok_or_else(|| failed("no random numbers".into()))?;
    let mut client = Client::new(identity, salt);
    let mut bytes = BytesMut::new();
    loop {
        match client
            .take(&mut bytes)
            .map_err(|error| failed(error.to_string()))?
        {
            ClientStep::Read => {
                if stream.read_buf(&mut bytes).await.map_err(broken)? == 0 {
                    return Err(failed("closed the connection during the handshake".into()));
                }
            }
            ClientStep::Send(ping) => {
                stream.write_all(&ping).await.map_err(broken)?;
                stream.flush().await.map_err(broken)?;
            }
            ClientStep::Done { keepalive } => return Ok(keepalive),
        }
    }
}
