//! Why a connection cannot go on, in words for the operator and in a label for the metrics.

use sdk::msgpack::Malformed;

/// What ends a connection. Nothing of the message at hand may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The first bytes are those of an HTTP request.
    #[error(
        "looks like an HTTP request: this port speaks the Fluentd forward protocol; point HTTP clients elsewhere"
    )]
    Http,
    /// The first bytes are those of a TLS handshake.
    #[error("looks like a TLS handshake: this port takes plain TCP; turn TLS off at the sender")]
    Tls,
    /// A connection that began with JSON goes on with something else.
    #[error(
        "a message cannot be read as JSON, as which the connection began: the sender writes something else"
    )]
    Json,
    /// Values in a row that are no arrays.
    #[error("{in_a_row} values in a row are no messages: is the sender a forward client?")]
    NoMessages {
        /// How many were passed over.
        in_a_row: u32,
    },
    /// Not MessagePack, or nested too deep.
    #[error("a message cannot be read: {0}")]
    Malformed(Malformed),
    /// Larger than the limit.
    #[error(
        "a message is larger than {limit_bytes} bytes: raise chunk_size_limit, or let the sender make smaller chunks"
    )]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The connection ended inside a message.
    #[error("the connection ended inside a message: the sender closed early or was cut off")]
    Truncated,
    /// More came out of the compressed entries than the limit allows.
    #[error(
        "compressed entries grow beyond {limit_bytes} bytes: raise decompression_size_limit if the sender is honest"
    )]
    Inflated {
        /// The limit.
        limit_bytes: u64,
    },
    /// So much came out of so little that it looks like a bomb.
    #[error("compressed entries grow more than {limit} times: a sender of logs does not do that")]
    Ratio {
        /// The limit.
        limit: u64,
    },
    /// Compressed bytes that the decompressor refuses.
    #[error("compressed entries are damaged or cut off: the sender must send them again")]
    Damaged,
    /// The option `compressed` names a method, but the entries are not compressed.
    #[error("the option \"compressed\" names a method, but the entries are not compressed with it")]
    NotCompressed,
    /// The option `compressed` names a method that nobody knows.
    #[error(
        "the option \"compressed\" is none of \"text\", \"gzip\" and \"zstd\"; choose one of them at the sender"
    )]
    UnknownCompression,
}

impl ProtocolError {
    /// The value of the metric label `reason`, from a closed list.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Json => "json",
            Self::NoMessages { .. } => "no_messages",
            Self::Malformed(Malformed::TooDeep) => "too_deep",
            Self::Malformed(_) => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::Truncated => "truncated",
            Self::Inflated { .. } | Self::Ratio { .. } => "inflated",
            Self::Damaged | Self::NotCompressed | Self::UnknownCompression => "compression",
        }
    }
}

impl From<Malformed> for ProtocolError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}
