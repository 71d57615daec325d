//! Who sent a message.

use std::{net::IpAddr, sync::Arc};

use crate::Names;

/// The sender of messages.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address as text; empty for a Unix socket.
    pub address: Arc<str>,
    /// Its name, where names are asked for; else its address.
    pub host: Arc<str>,
}

impl Peer {
    /// The sender at `ip`. Its name is looked up when there are `names`.
    pub(crate) async fn at(ip: IpAddr, names: Option<&Names>) -> Self {
        let ip = ip.to_canonical();
        let address: Arc<str> = ip.to_string().into();
        let host = match names {
            Some(names) => names.of(ip).await,
            None => Arc::clone(&address),
        };
        Self { address, host }
    }
}
