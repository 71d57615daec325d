//! What makes a message recognisable when its sender sends it again: `duplicate_window`.

use std::time::Duration;

use bytes::Bytes;
use sdk::event::{Answers, DIGEST_LEN, Fingerprint, Session, Tag};
use sha2::{Digest as _, Sha256};

use crate::peer::Peer;

/// The fingerprints of the messages of one connection.
pub(crate) struct Repeats {
    session: Session,
    window: Duration,
    peer: String,
    /// Length and CRC of the entries of the message so far.
    len: u64,
    crc: u32,
}

impl Repeats {
    /// At the beginning of a connection.
    pub(crate) fn new(peer: &Peer, window: Duration) -> Self {
        Self {
            session: Session::new(),
            window,
            peer: peer.host(),
            len: 0,
            crc: 0,
        }
    }

    /// Counts its answers.
    pub(crate) fn answers(&self) -> Answers {
        self.session.answers()
    }

    /// Entries that do not end their message.
    pub(crate) fn part(&mut self, entries: &[u8]) {
        self.len += entries.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, entries);
    }

    /// The fingerprint of a message that ends with these entries. The chunk id alone would not do: Fluent Bit makes
    /// it from the content, and other senders count.
    pub(crate) fn message(&mut self, tag: &Tag, chunk: &Bytes, entries: &[u8]) -> Fingerprint {
        self.part(entries);
        let mut digest = Sha256::new();
        for part in [self.peer.as_bytes(), tag.as_str().as_bytes(), chunk] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update(std::mem::take(&mut self.len).to_le_bytes());
        digest.update(std::mem::take(&mut self.crc).to_le_bytes());
        let mut short = [0; DIGEST_LEN];
        short
            .iter_mut()
            .zip(digest.finalize())
            .for_each(|(slot, byte)| *slot = byte);
        self.session.next(short, self.window)
    }

    /// An acknowledgement is promised.
    pub(crate) fn owe(&self) {
        self.session.owe();
    }

    /// The sender has closed, with nothing left half said.
    pub(crate) fn end(&self) {
        self.session.end_answered();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    fn digest(port: u16, tag: &str, chunk: &'static [u8], parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
        let peer = Peer::at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut repeats = Repeats::new(&peer, Duration::from_secs(1));
        // Nothing of the message before is left.
        repeats.message(&Tag::new(tag), &Bytes::from_static(b"before"), b"other");
        let (last, first) = parts.split_last().unwrap();
        for part in first {
            repeats.part(part);
        }
        repeats
            .message(&Tag::new(tag), &Bytes::from_static(chunk), last)
            .digest
    }

    #[test]
    fn everything_but_the_port_and_the_cuts_makes_a_difference() {
        let one = digest(1, "t", b"c", &[b"abc", b"def"]);
        assert_eq!(one, digest(2, "t", b"c", &[b"a", b"bcde", b"f"]));
        for other in [
            digest(1, "tc", b"", &[b"abcdef"]),
            digest(1, "t", b"d", &[b"abcdef"]),
            digest(1, "t", b"c", &[b"abcdeg"]),
            digest(1, "t", b"c", &[b"abcdef\0"]),
        ] {
            assert_ne!(one, other);
        }
    }
}
