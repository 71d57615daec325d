//! What the black-box tests share: the started router, senders, destinations, and waiting with a deadline.

pub(crate) mod bulk;
pub(crate) mod clients;
pub(crate) mod collector;
pub(crate) mod crowd;
pub(crate) mod docker;
pub(crate) mod forward;
pub(crate) mod http;
pub(crate) mod kubernetes;
pub(crate) mod listening;
pub(crate) mod meddler;
pub(crate) mod metrics;
pub(crate) mod nginx;
pub(crate) mod node;
pub(crate) mod postgres;
pub(crate) mod prometheus;
pub(crate) mod proxy;
pub(crate) mod refusing;
mod request;
pub(crate) mod scripted;
pub(crate) mod servers;
pub(crate) mod volume;
pub(crate) mod wait;
pub(crate) mod weir;

pub(crate) use self::{
    forward::Sender,
    wait::{eventually, holds},
    weir::Weir,
};

/// A port that was free a moment ago, for what must come back at the same place.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket").port()
}
