//! TLS for inputs and outputs: the parameters, the files behind them, and the rustls configurations made of both.
//!
//! Building does no I/O. An input puts [`ServerTls`] into its `Config` and calls [`ServerTls::check`] when it is
//! built and [`Server::load`] when it runs:
//!
//! ```no_run
//! # async fn run(table: tls::ServerTls) -> Result<(), tls::ServerError> {
//! let mut errors = Vec::new();
//! let files = table.check("/tls", &mut errors); // at build
//! # let files = files.unwrap();
//! let server = tls::Server::load(files).await?; // at run
//! let latest = server.subscribe();
//! tokio::spawn(server.keep_up(|reload| drop(reload))); // count and log it
//! // For each connection:
//! let acceptor = tokio_rustls::TlsAcceptor::from(latest.borrow().clone());
//! # Ok(()) }
//! ```
//!
//! An output puts [`ClientTls`] into its `Config`, calls [`Client::new`] when it is built and [`Client::config`] for
//! each connection; that reads the files again and gives the same configuration while they are the same.

mod client;
mod expiry;
mod locked;
mod pem;
mod server;
#[cfg(test)]
mod tests;
mod verifier;
mod version;

pub use client::{Client, ClientError, ClientTls, Names};
pub use server::{Reload, Server, ServerError, ServerFiles, ServerTls};
pub use version::TlsVersion;

/// Random bytes, fit for keys; `None` when the system has none.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let filled = provider.secure_random.fill(&mut bytes);
    filled.ok().map(|()| bytes)
}
