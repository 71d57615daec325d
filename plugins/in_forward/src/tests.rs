//! Tests over real sockets on the loopback.

mod bad;
mod conformance;
mod flow;
pub(crate) mod kit;
mod memory;
mod parameters;
mod places;
mod records;
mod security;
mod sockets;
mod tls;
