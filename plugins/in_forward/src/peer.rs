//! Who is on the other side of a connection.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// A sender, as the log and the records name it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address; `None` behind a Unix socket.
    pub(crate) ip: Option<IpAddr>,
    name: Arc<str>,
}

impl Peer {
    /// Behind an address. That of IPv4 is written as such, also where it came in over IPv6.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        Self {
            ip: Some(ip),
            name: SocketAddr::new(ip, address.port()).to_string().into(),
        }
    }

    /// Behind a Unix socket.
    pub(crate) fn local(path: &std::path::Path) -> Self {
        Self {
            ip: None,
            name: format!("unix:{}", path.display()).into(),
        }
    }

    /// Its address without the port.
    pub(crate) fn host(&self) -> String {
        self.ip
            .map_or_else(|| self.name.to_string(), |ip| ip.to_string())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
