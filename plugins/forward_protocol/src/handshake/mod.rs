//! The handshake HELO, PING, PONG for both sides, without I/O and without randomness.
//!
//! The server speaks first. Each side proves with a SHA-512 digest that it knows the shared key, without sending it:
//!
//! ```
//! use bytes::BytesMut;
//! use forward_protocol::handshake::{Client, ClientStep, Identity, Server, ServerStep, Terms};
//! let key = sdk::config::Secret::new("secret");
//! let mut server = Server::new(Terms::open("server.example", key.clone()), [0; 16], [1; 16]);
//! let mut client = Client::new(Identity::new("client.example", key), [2; 16]);
//! let mut wire = BytesMut::from(&server.helo(true)[..]);
//! let Ok(ClientStep::Send(ping)) = client.take(&mut wire) else { panic!("a HELO is answered") };
//! let mut wire = BytesMut::from(&ping[..]);
//! let ServerStep::Accepted { answer, .. } = server.take(&mut wire) else { panic!("the key fits") };
//! let done = client.take(&mut BytesMut::from(&answer[..]));
//! assert_eq!(done.unwrap(), ClientStep::Done { keepalive: true });
//! ```
//!
//! Source: the forward protocol specification v1, and what Fluentd and Fluent Bit do. Every digest is lower-case hex
//! of SHA-512 over its parts without separators. Server and client must send each message in one write: Fluent Bit and
//! fluent-logger-node read once per message.

mod client;
mod server;
mod wire;

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha512};

pub use client::{Client, ClientStep, HandshakeError, Identity};
pub use server::{Refusal, Server, ServerStep, Terms, User};

use crate::scan::Scan;

/// Bytes of a nonce, of a salt, and of the value that user authentication is salted with.
pub const NONCE_LEN: usize = 16;
/// Longest message of a handshake that is read, in bytes.
pub const MESSAGE_LEN_MAX: usize = 16 << 10;

/// Hex digits of a digest.
const DIGEST_LEN: usize = 128;

/// The digest of `parts`, one behind the other, in lower-case hex.
fn digest(parts: [&[u8]; 4]) -> [u8; DIGEST_LEN] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut sha = Sha512::new();
    for part in parts {
        sha.update(part);
    }
    let mut hex = [0; DIGEST_LEN];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(sha.finalize()) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *digit = DIGITS.get(usize::from(value)).copied().unwrap_or_default();
        }
    }
    hex
}

/// One message of a handshake as it arrives.
#[derive(Debug, Clone)]
struct Arriving(Scan);

/// Why no message can come of what arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unreadable;

impl Arriving {
    fn new() -> Self {
        Self(Scan::new(0, 1))
    }

    /// Takes the message from the front of `buf` when it is complete. What is behind it stays.
    fn take(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, Unreadable> {
        match self.0.advance(buf) {
            Ok(true) if self.0.at() <= MESSAGE_LEN_MAX => {
                Ok(Some(buf.split_to(self.0.at().min(buf.len())).freeze()))
            }
            Ok(false) if buf.len() <= MESSAGE_LEN_MAX => Ok(None),
            _ => Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests;
