//! Outputs: they get a chunk and say what became of each record. Queue, retry and dead letter are the engine's.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    Fut, RunError,
    event::{Entries, Origin, Tag},
    stop::Stop,
};

/// A stored batch inside a chunk.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Sequence in its buffer; with `buffer` of the chunk and the record's index it is the record's stable identity.
    pub sequence: u64,
    /// The tag of its events.
    pub tag: Tag,
    /// Entries back to back.
    pub events: Bytes,
    /// Number of entries.
    pub count: u32,
    /// The sender's chunk, where it was named.
    pub origin: Option<Origin>,
}

impl Frame {
    /// Its events, one after the other.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(&self.events)
    }
}

/// Which records of a chunk still have to be delivered: one bit per record, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    len: u32,
}

impl Bitmap {
    /// `len` records, all alive.
    pub fn full(len: u32) -> Self {
        let mut words = vec![u64::MAX; (len as usize).div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !len.is_multiple_of(64)) {
            *last = (1 << (len % 64)) - 1;
        }
        Self { words, len }
    }

    /// `len` records, none alive.
    pub fn empty(len: u32) -> Self {
        Self {
            words: vec![0; (len as usize).div_ceil(64)],
            len,
        }
    }

    /// Number of records.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether it covers no records at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of records alive.
    pub fn alive(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether the record at `index` is alive; `false` outside.
    #[inline]
    pub fn get(&self, index: u32) -> bool {
        self.words
            .get(index as usize / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Marks the record at `index`; outside it does nothing.
    pub fn set(&mut self, index: u32, alive: bool) {
        if index >= self.len {
            return;
        }
        if let Some(word) = self.words.get_mut(index as usize / 64) {
            let bit = 1 << (index % 64);
            if alive { *word |= bit } else { *word &= !bit }
        }
    }
}

/// Read-only view of a chunk: frames in the order in which they were stored.
#[derive(Debug, Clone, Copy)]
pub struct ChunkView<'a> {
    /// Unique id of the buffer, made when its directory was made.
    pub buffer: u128,
    /// The frames.
    pub frames: &'a [Frame],
    /// Which records are to be delivered; `None` means all. Indexes run over all frames.
    pub live: Option<&'a Bitmap>,
    /// 0 at the first try.
    pub attempt: u32,
}

impl ChunkView<'_> {
    /// Number of records, delivered ones included.
    pub fn record_count(&self) -> u32 {
        self.frames.iter().map(|frame| frame.count).sum()
    }

    /// Whether the record at `index` is to be delivered.
    #[inline]
    pub fn is_live(&self, index: u32) -> bool {
        self.live.is_none_or(|live| live.get(index))
    }
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every live record arrived.
    Delivered,
    /// Every live record arrived, but for these.
    Except(Vec<(u32, Verdict)>),
    /// Nothing can be said against the chunk: the destination is not there. Spares the chunk's attempts.
    DestinationDown(Failure),
    /// Nothing arrived, or it is not known; try again, not before the given time.
    RetryChunk(Option<Duration>, Failure),
    /// The destination will never take it: every live record goes to the dead letter.
    RejectChunk(Failure),
}

/// What becomes of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Try it again, not before the given time.
    Retry(Option<Duration>, Failure),
    /// The destination will never take it: to the dead letter.
    Reject(Failure),
}

/// Why something was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Failure {
    /// The class, for metrics and for the dead letter.
    pub kind: FailureKind,
    /// For people. Never the content of a record.
    pub message: String,
}

impl Failure {
    /// A failure with a message for people.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// Classes of failure, a closed list: the `kind` label of `weir_output_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The credentials were refused.
    Auth,
    /// Another 4xx answer.
    Http4xx,
    /// The destination asks for less.
    Http429,
    /// A 5xx answer.
    Http5xx,
    /// The document does not fit the mapping.
    Mapping,
    /// Larger than the destination ever takes.
    TooLarge,
    /// Refused for another reason that will not pass.
    Rejected,
    /// The record cannot be written in the output's format.
    Serialize,
    /// The answer makes no sense, so what arrived is not known.
    Protocol,
    /// A local file or socket failed.
    Io,
    /// The plugin panicked.
    Panic,
    /// The limit of tries was reached.
    RetryExhausted,
}

impl FailureKind {
    /// Every kind, so that each series exists from the start.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::Timeout,
        Self::Tls,
        Self::Auth,
        Self::Http4xx,
        Self::Http429,
        Self::Http5xx,
        Self::Mapping,
        Self::TooLarge,
        Self::Rejected,
        Self::Serialize,
        Self::Protocol,
        Self::Io,
        Self::Panic,
        Self::RetryExhausted,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Http4xx => "http_4xx",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::Mapping => "mapping",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Serialize => "serialize",
            Self::Protocol => "protocol",
            Self::Io => "io",
            Self::Panic => "panic",
            Self::RetryExhausted => "retry_exhausted",
        }
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Delivers chunks.
pub trait Output: Send + Sync {
    /// Tries once to deliver the live records of a chunk. It may send several requests, and split as it
    /// likes, but never waits in order to retry. Called concurrently when `flush_thread_count` is above 1.
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome>;

    /// Reaches the destination once, without delivering or changing anything: `weir check --connect`. Returns what is worth
    /// saying about it, a line each; nothing when there is nothing to reach.
    ///
    /// # Errors
    /// It is not there, or would not take records.
    fn reach(&self) -> Fut<'_, Result<Vec<String>, Failure>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Work beside the chunks, such as probing hosts. Ends when `stop` is given.
    fn run(&self, stop: Stop) -> Fut<'_, Result<(), RunError>> {
        Box::pin(async move {
            stop.stopped().await;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn a_full_bitmap_has_exactly_its_records() {
        for len in [0, 1, 63, 64, 65, 200] {
            let mut bitmap = Bitmap::full(len);
            assert_eq!(bitmap.alive(), len);
            assert!((0..len).all(|index| bitmap.get(index)) && !bitmap.get(len));
            bitmap.set(len, true);
            assert_eq!(bitmap.alive(), len);
            bitmap.set(0, false);
            assert_eq!(bitmap.alive(), len.saturating_sub(1));
        }
    }
}
