//! What a buffer says about itself when it is asked.

use std::time::Duration;

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
    /// Since when its oldest record waits.
    pub oldest_age: Option<Duration>,
    /// Free bytes of the volume of a disk buffer.
    pub disk_free_bytes: Option<u64>,
    /// Why it takes nothing any more.
    pub failed: Option<String>,
}
