//! The side that waits for HELO, proves itself with a PING, and checks the PONG.

use bytes::{Bytes, BytesMut};
use sdk::config::Secret;
use subtle::ConstantTimeEq as _;

use super::{
    Arriving, DIGEST_LEN, NONCE_LEN, digest,
    wire::{Helo, Ping, Pong},
};

/// Longest reason of a server that is passed on, in characters.
const REASON_LEN_MAX: usize = 200;

/// Who a client says it is, and what it knows.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name that the client gives itself.
    pub self_hostname: String,
    /// The key.
    pub shared_key: Secret,
    /// The user; empty when there is none.
    pub username: String,
    /// The password; empty when there is no user.
    pub password: Secret,
}

impl Identity {
    /// Without a user.
    pub fn new(self_hostname: &str, shared_key: Secret) -> Self {
        Self {
            self_hostname: self_hostname.to_owned(),
            shared_key,
            username: String::new(),
            password: Secret::new(""),
        }
    }
}

/// What comes of the bytes so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientStep {
    /// Nothing without more bytes.
    Read,
    /// The PING, to be sent in one write; the PONG is to be read then.
    Send(Bytes),
    /// Both sides know each other.
    Done {
        /// Whether the server takes several messages over one connection.
        keepalive: bool,
    },
}

/// Why a handshake failed. The connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first message is no HELO.
    #[error("the server did not say HELO: is it a forward server with a security section?")]
    Helo,
    /// The second message is no PONG.
    #[error("the server did not answer with PONG: is it a forward server?")]
    Pong,
    /// The server does not let us in.
    #[error(
        "the server refused the handshake: {reason:?}; compare shared_key, username and password with its own"
    )]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// The server has our own name.
    #[error(
        "the server calls itself {hostname:?} as we do: it may be this very process; give each side its own self_hostname"
    )]
    SameHostname {
        /// The name.
        hostname: String,
    },
    /// The server does not know the key.
    #[error("the server does not prove that it knows the shared_key: it may be an impostor")]
    SharedKey,
}

#[derive(Debug, Clone)]
enum State {
    Helo,
    Pong { nonce: Bytes, keepalive: bool },
    Done { keepalive: bool },
}

/// One handshake of a client.
#[derive(Debug, Clone)]
pub struct Client {
    identity: Identity,
    /// In hex, as Fluentd sends it.
    salt: [u8; 2 * NONCE_LEN],
    arriving: Arriving,
    state: State,
}

impl Client {
    /// `salt` must be random, from a source fit for keys; Fluentd's client keeps one for a server.
    pub fn new(identity: Identity, salt: [u8; NONCE_LEN]) -> Self {
        let mut hex = [0; 2 * NONCE_LEN];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(salt) {
            for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
                *digit = if value < 10 {
                    b'0' + value
                } else {
                    b'a' + value - 10
                };
            }
        }
        Self {
            identity,
            salt: hex,
            arriving: Arriving::new(),
            state: State::Helo,
        }
    }

    /// Takes the next message of the server from the front of `buf`, once it is there. What is behind stays.
    ///
    /// # Errors
    /// [`HandshakeError`]: the connection must be closed.
    pub fn take(&mut self, buf: &mut BytesMut) -> Result<ClientStep, HandshakeError> {
        let invalid = match &self.state {
            State::Helo => HandshakeError::Helo,
            State::Pong { .. } => HandshakeError::Pong,
            State::Done { keepalive } => {
                return Ok(ClientStep::Done {
                    keepalive: *keepalive,
                });
            }
        };
        let message = match self.arriving.take(buf) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(ClientStep::Read),
            Err(_) => return Err(invalid),
        };
        self.arriving = Arriving::new();
        match std::mem::replace(&mut self.state, State::Helo) {
            State::Pong { nonce, keepalive } => {
                let pong = Pong::decode(&message).ok_or(invalid)?;
                self.check(pong, &nonce)?;
                self.state = State::Done { keepalive };
                Ok(ClientStep::Done { keepalive })
            }
            State::Helo | State::Done { .. } => {
                let helo = Helo::decode(&message).ok_or(invalid)?;
                self.state = State::Pong {
                    nonce: message.slice_ref(helo.nonce),
                    keepalive: helo.keepalive,
                };
                Ok(ClientStep::Send(self.ping(helo)))
            }
        }
    }

    fn key_digest(&self, hostname: &[u8], nonce: &[u8]) -> [u8; DIGEST_LEN] {
        let shared_key = self.identity.shared_key.expose().as_bytes();
        digest([&self.salt, hostname, nonce, shared_key])
    }

    fn ping(&self, helo: Helo<'_>) -> Bytes {
        let Identity {
            self_hostname,
            username,
            password,
            ..
        } = &self.identity;
        let hostname = self_hostname.as_bytes();
        // A server that asks for no user says so with an empty `auth`; otherwise even empty names are digested.
        let username = username.as_bytes();
        let password = digest([helo.auth, username, password.expose().as_bytes(), b""]);
        let asks_user = !helo.auth.is_empty();
        let ping = Ping {
            hostname,
            salt: &self.salt,
            key_digest: &self.key_digest(hostname, helo.nonce),
            username: if asks_user { username } else { b"" },
            password_digest: if asks_user { &password } else { b"" },
        };
        ping.encode()
    }

    fn check(&self, pong: Pong<'_>, nonce: &[u8]) -> Result<(), HandshakeError> {
        if !pong.accepted {
            let reason = String::from_utf8_lossy(pong.reason);
            return Err(HandshakeError::Refused {
                reason: reason.chars().take(REASON_LEN_MAX).collect(),
            });
        }
        if pong.hostname == self.identity.self_hostname.as_bytes() {
            return Err(HandshakeError::SameHostname {
                hostname: self.identity.self_hostname.clone(),
            });
        }
        let wanted = self.key_digest(pong.hostname, nonce);
        if bool::from(wanted.ct_eq(pong.key_digest)) {
            Ok(())
        } else {
            Err(HandshakeError::SharedKey)
        }
    }
}
