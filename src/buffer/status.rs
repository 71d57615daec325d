//! What a buffer says about itself when it is asked.

use std::time::Duration;

/// A part of what is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Portion {
    /// Chunks, or as many as its bytes will make.
    pub chunks: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// A look at a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Bytes stored or promised room: whole segments of a disk buffer.
    pub bytes: u64,
    /// Records stored and not yet settled.
    pub records: u64,
    /// `total_limit_size`
    pub limit_bytes: u64,
    /// Whether it takes nothing now, or took nothing a moment ago.
    pub is_full: bool,
    /// What is being gathered.
    pub stage: Portion,
    /// What waits for delivery or is under way, as far as it is known without looking at the disk.
    pub queue: Portion,
    /// Since when its oldest record waits.
    pub oldest_age: Option<Duration>,
    /// When its newest record was stored, in milliseconds since 1970.
    pub newest_ms: Option<u64>,
    /// Free bytes of the volume of a disk buffer.
    pub disk_free_bytes: Option<u64>,
    /// Bytes of what is done in segments that are kept for what is not.
    pub pinned_bytes: u64,
    /// Whether segments of an earlier process are still looked through.
    pub is_recovering: bool,
    /// Why the disk takes nothing now; it is tried again.
    pub failed: Option<String>,
}
