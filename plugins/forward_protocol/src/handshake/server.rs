//! The side that says HELO, and judges the PING that comes back.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sdk::config::Secret;
use subtle::{Choice, ConstantTimeEq as _};

use super::{
    Arriving, NONCE_LEN, digest,
    wire::{Helo, Ping, Pong},
};

/// A user and the password.
#[derive(Debug, Clone)]
pub struct User {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// What a server asks of one client.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The name that the server gives itself.
    pub self_hostname: Arc<str>,
    /// The key for this client; `Err` with its address when the client is not allowed at all, whatever it knows.
    pub shared_key: Result<Secret, String>,
    /// The users that are allowed; `None` when no user is asked for.
    pub users: Option<Arc<[User]>>,
}

impl Terms {
    /// For whoever knows the key.
    pub fn open(self_hostname: &str, shared_key: Secret) -> Self {
        Self {
            self_hostname: self_hostname.into(),
            shared_key: Ok(shared_key),
            users: None,
        }
    }
}

/// Why a client is refused. Its text is the reason in the PONG, in Fluentd's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What came is no PING.
    #[error("invalid ping message")]
    Ping,
    /// The client's address is not listed.
    #[error("anonymous source host '{0}' denied")]
    Anonymous(String),
    /// The client does not know the key.
    #[error("shared_key mismatch")]
    SharedKey,
    /// No such user, or another password.
    #[error("username/password mismatch")]
    User,
}

impl Refusal {
    /// The value of the metric label `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ping => "invalid_ping",
            Self::Anonymous(_) => "anonymous_source",
            Self::SharedKey => "shared_key",
            Self::User => "user",
        }
    }
}

/// What comes of the bytes so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerStep {
    /// Nothing without more bytes.
    Read,
    /// The client is who it says it is. What is left in the buffer are its messages.
    Accepted {
        /// What to send.
        answer: Bytes,
        /// The name that the client gave itself.
        hostname: Bytes,
        /// The user that it named.
        username: Bytes,
    },
    /// The connection must be closed, and nothing of what it sent be read.
    Refused {
        /// What to send before.
        answer: Bytes,
        /// Why.
        refusal: Refusal,
    },
}

/// One handshake of a server.
#[derive(Debug, Clone)]
pub struct Server {
    terms: Terms,
    nonce: [u8; NONCE_LEN],
    auth: [u8; NONCE_LEN],
    arriving: Arriving,
}

impl Server {
    /// `nonce` and `auth` must be random, from a source fit for keys, and fresh for every connection.
    pub fn new(terms: Terms, nonce: [u8; NONCE_LEN], auth: [u8; NONCE_LEN]) -> Self {
        Self {
            terms,
            nonce,
            auth,
            arriving: Arriving::new(),
        }
    }

    /// What to send first, in one write. `keepalive` says whether the connection may carry several messages.
    pub fn helo(&self, keepalive: bool) -> Bytes {
        let helo = Helo {
            nonce: &self.nonce,
            auth: &self.auth,
            keepalive,
        };
        helo.encode()
    }

    /// Takes a PING from the front of `buf`, once it is there.
    pub fn take(&mut self, buf: &mut BytesMut) -> ServerStep {
        let message = match self.arriving.take(buf) {
            Ok(Some(message)) => message,
            Ok(None) => return ServerStep::Read,
            Err(_) => Bytes::new(),
        };
        let judged = Ping::decode(&message)
            .ok_or(Refusal::Ping)
            .and_then(|ping| Ok((ping, self.judge(ping)?)));
        match judged {
            Ok((ping, answer)) => ServerStep::Accepted {
                answer,
                hostname: message.slice_ref(ping.hostname),
                username: message.slice_ref(ping.username),
            },
            Err(refusal) => {
                let reason = refusal.to_string();
                let answer = Pong {
                    accepted: false,
                    reason: reason.as_bytes(),
                    hostname: b"",
                    key_digest: b"",
                };
                ServerStep::Refused {
                    answer: answer.encode(),
                    refusal,
                }
            }
        }
    }

    fn judge(&self, ping: Ping<'_>) -> Result<Bytes, Refusal> {
        let shared_key = match &self.terms.shared_key {
            Ok(shared_key) => shared_key.expose().as_bytes(),
            Err(peer) => return Err(Refusal::Anonymous(peer.clone())),
        };
        let wanted = digest([ping.salt, ping.hostname, &self.nonce, shared_key]);
        if !bool::from(wanted.ct_eq(ping.key_digest)) {
            return Err(Refusal::SharedKey);
        }
        if let Some(users) = &self.terms.users
            && !bool::from(self.knows(users, ping))
        {
            return Err(Refusal::User);
        }
        let own_hostname = self.terms.self_hostname.as_bytes();
        let answer = Pong {
            accepted: true,
            reason: b"",
            hostname: own_hostname,
            key_digest: &digest([ping.salt, own_hostname, &self.nonce, shared_key]),
        };
        Ok(answer.encode())
    }

    /// Whether one of the users fits. Takes as long whichever it is, and whether there is one.
    fn knows(&self, users: &[User], ping: Ping<'_>) -> Choice {
        let mut known = Choice::from(0);
        for user in users {
            let (name, password) = (user.username.as_bytes(), user.password.expose().as_bytes());
            let wanted = digest([&self.auth, name, password, b""]);
            known |= name.ct_eq(ping.username) & wanted.ct_eq(ping.password_digest);
        }
        known
    }
}
