//! The three messages of a handshake: their bytes, and what is accepted as such.

use bytes::Bytes;
use sdk::msgpack::{RawValue, Token, write};

use super::DIGEST_LEN;

/// Longest nonce that is taken from a server, in bytes.
const NONCE_LEN_MAX: usize = 1024;

/// What a server says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Helo<'a> {
    pub(super) nonce: &'a [u8],
    /// What password digests begin with; empty when no user is asked for.
    pub(super) auth: &'a [u8],
    pub(super) keepalive: bool,
}

impl<'a> Helo<'a> {
    /// `["HELO", {"nonce": bin, "auth": bin, "keepalive": bool}]`. As bin, since fluent-logger-node authenticates a
    /// user only then.
    pub(super) fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(80);
        write::array(&mut out, 2);
        write::str(&mut out, "HELO");
        write::map(&mut out, 3);
        write::str(&mut out, "nonce");
        write::bin(&mut out, self.nonce);
        write::str(&mut out, "auth");
        write::bin(&mut out, self.auth);
        write::str(&mut out, "keepalive");
        write::bool(&mut out, self.keepalive);
        out.into()
    }

    /// Reads one. Fluent Bit writes str in place of bin and leaves `keepalive` out; nil stands for no options.
    pub(super) fn decode(message: &'a [u8]) -> Option<Self> {
        let message = RawValue::parse(message).ok()?;
        let mut items = message.items()?;
        if items.next()?.as_bytes() != Some(b"HELO") {
            return None;
        }
        let mut helo = Self {
            nonce: b"",
            auth: b"",
            keepalive: true,
        };
        for (key, value) in items.next().and_then(RawValue::pairs).into_iter().flatten() {
            match key.as_bytes() {
                Some(b"nonce") => helo.nonce = bytes_or_none(value)?,
                Some(b"auth") => helo.auth = bytes_or_none(value)?,
                Some(b"keepalive") => helo.keepalive = value.token() != Token::Bool(false),
                _ => {}
            }
        }
        (helo.nonce.len().max(helo.auth.len()) <= NONCE_LEN_MAX).then_some(helo)
    }
}

/// Nil counts as empty.
fn bytes_or_none(value: RawValue<'_>) -> Option<&[u8]> {
    match value.token() {
        Token::Nil => Some(b""),
        _ => value.as_bytes(),
    }
}

/// What a client answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ping<'a> {
    pub(super) hostname: &'a [u8],
    pub(super) salt: &'a [u8],
    pub(super) key_digest: &'a [u8],
    pub(super) username: &'a [u8],
    pub(super) password_digest: &'a [u8],
}

impl<'a> Ping<'a> {
    /// `["PING", hostname, salt, key digest, username, password digest]`, all of them str.
    pub(super) fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(400);
        write::array(&mut out, 6);
        write::str(&mut out, "PING");
        for field in [
            self.hostname,
            self.salt,
            self.key_digest,
            self.username,
            self.password_digest,
        ] {
            write::str_bytes(&mut out, field);
        }
        out.into()
    }

    /// Reads one: exactly six items, all str or bin. The salt of Fluent Bit is a str that is no UTF-8.
    pub(super) fn decode(message: &'a [u8]) -> Option<Self> {
        let mut items = RawValue::parse(message).ok()?.items()?;
        let mut next = || items.next()?.as_bytes();
        if next()? != b"PING" {
            return None;
        }
        let ping = Self {
            hostname: next()?,
            salt: next()?,
            key_digest: next()?,
            username: next()?,
            password_digest: next()?,
        };
        items.next().is_none().then_some(ping)
    }
}

/// What a server decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pong<'a> {
    pub(super) accepted: bool,
    /// Why not; empty when accepted.
    pub(super) reason: &'a [u8],
    pub(super) hostname: &'a [u8],
    pub(super) key_digest: &'a [u8],
}

impl<'a> Pong<'a> {
    /// `["PONG", accepted, reason, hostname, key digest]`.
    pub(super) fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(32 + DIGEST_LEN + self.hostname.len());
        write::array(&mut out, 5);
        write::str(&mut out, "PONG");
        write::bool(&mut out, self.accepted);
        for field in [self.reason, self.hostname, self.key_digest] {
            write::str_bytes(&mut out, field);
        }
        out.into()
    }

    /// Reads one: exactly five items.
    pub(super) fn decode(message: &'a [u8]) -> Option<Self> {
        let mut items = RawValue::parse(message).ok()?.items()?;
        if items.next()?.as_bytes() != Some(b"PONG") {
            return None;
        }
        let Token::Bool(accepted) = items.next()?.token() else {
            return None;
        };
        let mut next = || bytes_or_none(items.next()?);
        let pong = Self {
            accepted,
            reason: next()?,
            hostname: next()?,
            key_digest: next()?,
        };
        items.next().is_none().then_some(pong)
    }
}
