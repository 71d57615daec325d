//! What a message may cost.

/// Limits of one connection. Every one bounds what is held, not only what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest message on the wire, in bytes. Fluentd's largest chunks are 256 MiB.
    pub message_bytes: usize,
    /// Longest stream of entries that is handed out at once, in bytes. A larger message comes in parts; one entry
    /// that is larger than this is dropped, since no part could hold it.
    pub part_bytes: usize,
    /// Most bytes that the compressed entries of one message may become.
    pub inflated_bytes: u64,
    /// Most times that compressed entries may grow, once they became 1 MiB.
    pub inflated_ratio: u64,
    /// Longest option map, in bytes.
    pub option_bytes: usize,
}

/// So much may come out of compressed entries however well they were compressed: little enough to be harmless,
/// and more than equal records in small messages become.
pub(crate) const RATIO_FREE_BYTES: u64 = 1 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 272 << 20,
            part_bytes: 8 << 20,
            inflated_bytes: 256 << 20,
            inflated_ratio: 200,
            option_bytes: 1 << 20,
        }
    }
}
