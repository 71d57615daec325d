//! Telling by the first bytes what else a sender may speak, and how entries are compressed.

use crate::ProtocolError;

/// What the first bytes of a connection look like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Something that is never a message.
    Foreign(ProtocolError),
    /// More bytes are needed to tell.
    Undecided,
    /// Nothing known.
    Unknown,
}

/// How HTTP requests begin; the last is the preface of HTTP/2.
const HTTP: [&[u8]; 10] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"OPTIONS ",
    b"DELETE ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
    b"PRI * HTTP",
];
/// A TLS record of type handshake, any version from SSL 3.0 to TLS 1.3.
const TLS: [u8; 2] = [0x16, 0x03];

/// Looks at the first bytes of a connection, which are neither an array nor nil.
pub(crate) fn first(bytes: &[u8]) -> First {
    let starts = |with: &[u8]| bytes.starts_with(with);
    let may_start = |with: &[u8]| with.starts_with(bytes);
    if starts(&TLS) {
        First::Foreign(ProtocolError::Tls)
    } else if HTTP.into_iter().any(starts) {
        First::Foreign(ProtocolError::Http)
    } else if may_start(&TLS) || HTTP.into_iter().any(may_start) {
        First::Undecided
    } else {
        First::Unknown
    }
}

/// How packed entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As they are.
    Plain,
    /// One gzip member or more. RFC 1952.
    Gzip,
    /// One zstd frame or more. RFC 8878.
    Zstd,
}

/// Bytes that tell a codec.
pub(crate) const MAGIC_LEN: usize = 4;

/// Looks at the first [`MAGIC_LEN`] bytes of packed entries, or at all when they are fewer.
/// An entry is an array, whose marker none of the two can be taken for.
pub(crate) fn codec(bytes: &[u8]) -> Codec {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        Codec::Gzip
    } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Codec::Zstd
    } else {
        Codec::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_foreign_protocols_by_their_first_bytes() {
        let cases: [(&[u8], First); 8] = [
            (b"G", First::Undecided),
            (b"GET /", First::Foreign(ProtocolError::Http)),
            (b"PRI * HTTP/2.0", First::Foreign(ProtocolError::Http)),
            (b"GO", First::Unknown),
            (&[0x16], First::Undecided),
            (&[0x16, 0x03, 0x01], First::Foreign(ProtocolError::Tls)),
            (&[0x16, 0x05], First::Unknown),
            (&[0x01], First::Unknown),
        ];
        for (bytes, expected) in cases {
            assert_eq!(first(bytes), expected, "{bytes:?}");
        }
    }
}
