//! Addresses to listen on: `"0.0.0.0:24224"`, `"[::]:24224"`, `"127.0.0.1:0"`.

use std::{fmt, net::SocketAddr, str::FromStr};

/// An address and port to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let open = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
        open.as_deref().unwrap_or(text).parse().map(Self).map_err(|_| {
            format!("{text:?} is not an address to listen on; write an IP address and a port, as in \"0.0.0.0:24224\"")
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

super::format::text_value!(Listen, "Listen", "weir-listen");
