//! How a buffer behaves: what the `[match.buffer]` table says, as the buffer needs it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::chunk_keys::{ChunkKeys, ChunkOrder};

/// The settings of one buffer. The configuration fills them; the constructors hold the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferSettings {
    /// Where records wait.
    pub kind: BufferKind,
    /// `chunk_limit_size`: bytes of events at which a chunk is due at once. A larger batch is a chunk of its own.
    pub chunk_limit_bytes: usize,
    /// `chunk_limit_records`: records at which a chunk is due at once.
    pub chunk_limit_records: Option<u32>,
    /// `flush_interval`: how long a record waits for others at most. Zero is `flush_mode immediate`.
    pub flush_interval: Duration,
    /// `chunk_keys`: which records may be in one chunk.
    pub chunk_keys: Arc<ChunkKeys>,
    /// `ordering`: in which order chunks leave.
    pub ordering: ChunkOrder,
    /// `total_limit_size`: bytes that the buffer may occupy.
    pub total_limit_bytes: u64,
    /// `min_free_bytes`: what the volume keeps free; `None`: a part of it.
    pub min_free_bytes: Option<u64>,
    /// `overflow_action`: what happens when it is full.
    pub overflow: Overflow,
    /// What an acknowledgement means. A memory buffer has no use for it.
    pub durability: Durability,
    /// How long the writer waits for more after the first batch; `None`: not at all (decision 6).
    pub commit_window: Option<Duration>,
    /// Size at which a segment is sealed, in bytes. Never more than an eighth of `total_limit_bytes`.
    pub segment_bytes: u64,
    /// Bytes of the newest batches that a disk buffer also keeps in memory (decision 9).
    pub recent_bytes: usize,
}

/// Where records wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BufferKind {
    /// In memory: lost when the process ends.
    Memory,
    /// In a directory that belongs to this buffer alone.
    File {
        /// The directory; made when it is missing.
        path: PathBuf,
    },
}

/// What happens to a batch for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Wait. The waiting is the back-pressure, up to the sender's socket.
    Block,
    /// Refuse, so that the sender can try another router.
    ThrowException,
    /// Drop the oldest records that no worker has, and count them.
    DropOldestChunk,
}

/// What must have happened before an obligation is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// fdatasync: survives a power cut.
    Commit,
    /// write, and fdatasync so much later at most: survives the end of the process; a power cut takes that much.
    Interval(Duration),
    /// write: survives the end of the process, not a power cut.
    Os,
    /// The destination took the records. For buffers in memory.
    Delivered,
}

impl Overflow {
    /// As the configuration has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::ThrowException => "throw_exception",
            Self::DropOldestChunk => "drop_oldest_chunk",
        }
    }
}

impl BufferSettings {
    /// What an acknowledgement means, in a word of the configuration.
    pub(super) fn promise(&self) -> &'static str {
        match (&self.kind, self.durability) {
            (_, Durability::Delivered) => "none",
            (BufferKind::Memory, _) => "memory",
            (BufferKind::File { .. }, Durability::Commit) => "commit",
            (BufferKind::File { .. }, Durability::Interval(_)) => "interval",
            (BufferKind::File { .. }, Durability::Os) => "os",
        }
    }

    /// A memory buffer with the defaults.
    pub fn memory() -> Self {
        Self {
            kind: BufferKind::Memory,
            chunk_limit_bytes: 8 << 20,
            chunk_limit_records: None,
            flush_interval: Duration::from_secs(1),
            chunk_keys: Arc::default(),
            ordering: ChunkOrder::None,
            total_limit_bytes: 64 << 20,
            min_free_bytes: None,
            overflow: Overflow::Block,
            durability: Durability::Commit,
            commit_window: None,
            segment_bytes: 16 << 20,
            recent_bytes: 16 << 20,
        }
    }

    /// No promise of its own: a batch is answered for when the destination took it.
    pub fn passage() -> Self {
        Self {
            durability: Durability::Delivered,
            ..Self::memory()
        }
    }

    /// A disk buffer in this directory, with the defaults.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            kind: BufferKind::File { path: path.into() },
            total_limit_bytes: 8 << 30,
            ..Self::memory()
        }
    }

    /// The size of a segment within the limit, so that room is given back in small portions.
    pub(super) fn segment_limit(&self) -> u64 {
        self.segment_bytes.min(self.total_limit_bytes / 8)
    }
}
