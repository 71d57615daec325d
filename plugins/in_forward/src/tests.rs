//! Tests over real sockets on the loopback.

mod bad;
mod conformance;
mod flow;
mod kit;
mod memory;
mod parameters;
mod places;
mod records;
mod security;
mod tls;
