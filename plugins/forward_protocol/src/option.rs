//! The option map behind the entries of a message.

use bytes::Bytes;
use sdk::msgpack::{RawValue, Token};

use crate::{Chunk, sniff::Codec};

/// The options that mean something to a server. All others are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// What to acknowledge with; Fluentd answers to anything but nil and false.
    pub(crate) chunk: Option<Chunk>,
    /// Fluent Bit's metadata of the event, in Message mode: a map that is not empty.
    pub(crate) metadata: Option<Bytes>,
    /// Fluent Bit says that these are no events.
    pub(crate) is_signal: bool,
    /// How the entries are said to be compressed.
    pub(crate) compressed: Claim,
}

/// What the option `compressed` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nothing, nil or `text`.
    #[default]
    Plain,
    /// A method that is known.
    Method(Codec),
    /// Anything else.
    Unknown,
}

impl Options {
    /// Reads them. What is no map has none: nil is usual, and Fluentd tolerates a string.
    pub(crate) fn read(value: RawValue<'_>) -> Self {
        let mut options = Self::default();
        for (key, value) in value.pairs().into_iter().flatten() {
            match key.as_bytes() {
                Some(b"chunk") => options.chunk = chunk(value),
                // Source: 0 logs, 1 metrics, 2 traces, 3 blobs, 4 profiles in Fluent Bit's flb_input_chunk.h.
                Some(b"fluent_signal") => {
                    options.is_signal = matches!(value.token(), Token::Int(1..));
                }
                Some(b"metadata") => options.metadata = metadata(value),
                Some(b"compressed") => options.compressed = claim(value),
                _ => {}
            }
        }
        options
    }
}

fn chunk(value: RawValue<'_>) -> Option<Chunk> {
    match value.token() {
        Token::Nil | Token::Bool(false) => None,
        _ => Some(Chunk::new(value)),
    }
}

fn metadata(value: RawValue<'_>) -> Option<Bytes> {
    match value.token() {
        Token::Map(1..) => Some(Bytes::copy_from_slice(value.bytes())),
        _ => None,
    }
}

fn claim(value: RawValue<'_>) -> Claim {
    match value.token() {
        Token::Nil | Token::Str(b"text") | Token::Bin(b"text") => Claim::Plain,
        Token::Str(b"gzip") | Token::Bin(b"gzip") => Claim::Method(Codec::Gzip),
        Token::Str(b"zstd") | Token::Bin(b"zstd") => Claim::Method(Codec::Zstd),
        _ => Claim::Unknown,
    }
}
