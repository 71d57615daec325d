//! `[match.buffer]` and `[match.dead_letter]`: how records wait, and where those go that nobody takes.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use sdk::{
    config::{ChunkKey, Interval, OneOrMany, Size, Zone},
    plugin::DefaultBuffer,
};
use serde::{Deserialize, Serialize};

/// Where records wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BufferKind {
    /// On disk.
    File,
    /// In memory; lost when the process ends.
    Memory,
    /// Nowhere: the receipt is the destination's own acknowledgement.
    None,
}

/// What happens when the buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverflowAction {
    /// Wait: the sender waits too.
    Block,
    /// Refuse: the sender gets no acknowledgement and can try elsewhere.
    ThrowException,
    /// Drop the oldest records and count them.
    DropOldestChunk,
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Synced: survives a power cut.
    Commit,
    /// Written, and synced within `durability_interval`: survives the end of the process, a power cut takes that much.
    Interval,
    /// Written: survives the end of the process, not a power cut.
    Os,
}

/// When a chunk that is not full is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlushMode {
    /// At the end of its timekey.
    Lazy,
    /// When its first record has waited for `flush_interval`.
    Interval,
    /// At once.
    Immediate,
}

/// In which order chunks leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// As they are due; one that fails is overtaken.
    None,
    /// Those of one key one after the other; one that fails holds up its key.
    PerChunkKey,
    /// All one after the other; one that fails holds up the output.
    Strict,
}

/// How records wait for an output, as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BufferKeys {
    /// Where records wait: on disk (`file`), or in `memory`, where they are lost when the process ends. With
    /// `none` they do not wait here: senders are answered when the destination took the records, and wait until then.
    /// The default is `file` for every output that leaves the machine.
    pub(super) r#type: Option<BufferKind>,
    /// The directory of a file buffer. It belongs to this output alone. The default is `buffer/ID` below `data_dir`.
    pub(super) path: Option<PathBuf>,
    /// Bytes that may wait; then `overflow_action`. The default is 8GiB on disk and 64MiB else.
    pub(super) total_limit_size: Option<Size>,
    /// Bytes of the volume that a file buffer leaves free: with less, it does not grow, as if it were full. The default
    /// is 2 % of the volume, and 256MiB at most.
    pub(super) min_free_bytes: Option<Size>,
    /// Bytes that the output gets in one call at most.
    pub(super) chunk_limit_size: Size,
    /// Records that the output gets in one call at most.
    #[schemars(range(min = 1))]
    pub(super) chunk_limit_records: Option<u32>,
    /// What the records of one call have in common: `"tag"`, `"time"` (the slot of time, of the length `timekey`), and
    /// fields such as `"$.kubernetes.namespace_name"`. It groups, and decides nothing else: outputs fill placeholders in
    /// per record, whatever the keys are. The default is none: what comes together leaves together.
    pub(super) chunk_keys: OneOrMany<ChunkKey>,
    /// With `"time"` in `chunk_keys`: the length of a slot of time.
    pub(super) timekey: Option<Interval>,
    /// How long a chunk waits after the end of its slot for records that are late. What is later goes with the next
    /// chunk of that slot. Records from a slot after the next one wait no longer than those of now.
    pub(super) timekey_wait: Interval,
    /// Whether slots, such as days, begin by UTC. The default is no: by the time zone of this host.
    pub(super) timekey_use_utc: Option<bool>,
    /// The zone by which slots begin.
    pub(super) timekey_zone: Option<Zone>,
    /// When a chunk that is not full is due: at the end of its slot of time and `timekey_wait` (`lazy`), after
    /// `flush_interval` (`interval`), or at once (`immediate`). The default is `lazy` with `"time"` in `chunk_keys` and
    /// `interval` else. When senders wait for room, what is oldest is due.
    pub(super) flush_mode: Option<FlushMode>,
    /// How long a record waits for others at most; `"0s"` sends at once.
    pub(super) flush_interval: Interval,
    /// In which order chunks leave. With `none`, a chunk that fails is overtaken by others. With `per_chunk_key` no
    /// chunk is sent while an earlier one with the same `chunk_keys` is not settled, and with `strict` none while any
    /// earlier one is not: then one that fails holds up the others until it is delivered or given up.
    pub(super) ordering: Ordering,
    /// Calls of the output at the same time. More than one may change the order of records: see `ordering`.
    #[schemars(range(min = 1, max = 64))]
    pub(super) flush_thread_count: usize,
    /// Whether to deliver everything before the process ends. The default is no on disk and yes else.
    pub(super) flush_at_shutdown: Option<bool>,
    /// What happens when it is full, and when the volume is: `block` makes senders wait, `throw_exception` refuses, so
    /// that they can try elsewhere, `drop_oldest_chunk` drops the oldest records that are not under way, a segment at
    /// a time, and counts them.
    pub(super) overflow_action: OverflowAction,
    /// What an acknowledgement means for a file buffer: `commit` is synced to the disk, `interval` is written and
    /// synced within `durability_interval`, `os` is written only and lost in a power cut.
    pub(super) durability: Durability,
    /// With `durability = "interval"`: how old acknowledged records may become before they are synced. A power cut
    /// loses this much at most, and what was acknowledged while the last sync ran.
    pub(super) durability_interval: Interval,
    /// How long to collect records before a sync. Without it, what arrives during a sync goes into the next.
    pub(super) commit_window: Option<Interval>,
    /// The pause before the first retry.
    pub(super) retry_wait: Interval,
    /// The longest pause.
    pub(super) retry_max_interval: Interval,
    /// The factor from one pause to the next.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub(super) retry_exponential_backoff_base: f64,
    /// Whether to vary pauses by an eighth, so that many routers do not come back at once.
    pub(super) retry_randomize: bool,
    /// Give up after so many retries; the records go to the dead letter. What reached no server does not count. The
    /// default is never.
    pub(super) retry_max_times: Option<u32>,
    /// Give up after so long; the records go to the dead letter. The default is never.
    pub(super) retry_timeout: Option<Interval>,
    /// The part of these limits after which the `secondary` is tried, if there is one.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) retry_secondary_threshold: f64,
    /// Never give up, which is the default. `false` alone gives up after 72h, as Fluentd does.
    pub(super) retry_forever: Option<bool>,
}

impl Default for BufferKeys {
    fn default() -> Self {
        Self {
            r#type: None,
            path: None,
            total_limit_size: None,
            min_free_bytes: None,
            chunk_limit_size: Size::mib(8),
            chunk_limit_records: None,
            chunk_keys: OneOrMany::default(),
            timekey: None,
            timekey_wait: Interval::secs(600),
            timekey_use_utc: None,
            timekey_zone: None,
            flush_mode: None,
            flush_interval: Interval::secs(1),
            ordering: Ordering::None,
            flush_thread_count: 1,
            flush_at_shutdown: None,
            overflow_action: OverflowAction::Block,
            durability: Durability::Commit,
            durability_interval: Interval::secs(1),
            commit_window: None,
            retry_wait: Interval::secs(1),
            retry_max_interval: Interval::secs(300),
            retry_exponential_backoff_base: 2.0,
            retry_randomize: true,
            retry_max_times: None,
            retry_timeout: None,
            retry_secondary_threshold: 0.8,
            retry_forever: None,
        }
    }
}

/// How records wait for an output. Every choice is made.
#[derive(Debug, Clone, PartialEq)]
pub struct BufferConfig {
    /// Where records wait.
    pub kind: BufferKind,
    /// The directory of a file buffer.
    pub path: PathBuf,
    /// Bytes that may wait.
    pub total_limit_size: Size,
    /// Bytes of the volume that stay free; `None`: a part of it.
    pub min_free_bytes: Option<Size>,
    /// Bytes of a chunk.
    pub chunk_limit_size: Size,
    /// Records of a chunk; `None`: any number.
    pub chunk_limit_records: Option<u32>,
    /// What the records of a chunk have in common.
    pub chunk_keys: Vec<ChunkKey>,
    /// The length of a slot of time.
    pub timekey: Option<Interval>,
    /// How long a chunk waits after the end of its slot.
    pub timekey_wait: Interval,
    /// The zone by which slots begin.
    pub timekey_zone: Zone,
    /// When a chunk that is not full is due.
    pub flush_mode: FlushMode,
    /// How long a record waits for others at most.
    pub flush_interval: Interval,
    /// In which order chunks leave.
    pub ordering: Ordering,
    /// Calls of the output at the same time.
    pub flush_thread_count: usize,
    /// Whether to deliver everything before the process ends.
    pub flush_at_shutdown: bool,
    /// What happens when it is full.
    pub overflow_action: OverflowAction,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// When what was written is synced, with [`Durability::Interval`].
    pub durability_interval: Interval,
    /// How long to collect records before a sync; `None`: not at all.
    pub commit_window: Option<Interval>,
    /// When to try again, and when to stop trying.
    pub retry: RetryConfig,
}

/// When to try a chunk again, and when to stop trying.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryConfig {
    /// The pause before the first retry.
    pub wait: Interval,
    /// The longest pause.
    pub max_interval: Interval,
    /// The factor from one pause to the next.
    pub base: f64,
    /// Whether pauses are varied.
    pub randomize: bool,
    /// Give up after this many retries; `None`: never.
    pub max_times: Option<u32>,
    /// Give up this long after the first failure; `None`: never.
    pub timeout: Option<Interval>,
    /// The part of these limits after which the secondary is tried.
    pub secondary_threshold: f64,
}

/// When Fluentd gives up by default.
const FLUENTD_RETRY_TIMEOUT: Interval = Interval::secs(72 * 60 * 60);

impl BufferKeys {
    /// Which buffer it is, for an output with this default.
    pub(super) fn kind(&self, default: DefaultBuffer) -> BufferKind {
        self.r#type.unwrap_or(match default {
            DefaultBuffer::File => BufferKind::File,
            DefaultBuffer::Memory => BufferKind::Memory,
        })
    }

    /// Makes every choice.
    pub(super) fn settle(self, default: DefaultBuffer, data_dir: &Path, id: &str) -> BufferConfig {
        let kind = self.kind(default);
        let is_file = kind == BufferKind::File;
        let limit = if is_file {
            Size(8 << 30)
        } else {
            Size::mib(64)
        };
        let limits_given = self.retry_max_times.is_some() || self.retry_timeout.is_some();
        let timeout = match self.retry_forever {
            Some(false) if !limits_given => Some(FLUENTD_RETRY_TIMEOUT),
            _ => self.retry_timeout,
        };
        let chunk_keys = self.chunk_keys.0;
        let by_default = if chunk_keys.contains(&ChunkKey::Time) {
            FlushMode::Lazy
        } else {
            FlushMode::Interval
        };
        let flush_mode = self.flush_mode.unwrap_or(by_default);
        BufferConfig {
            kind,
            path: self
                .path
                .unwrap_or_else(|| data_dir.join("buffer").join(id)),
            total_limit_size: self.total_limit_size.unwrap_or(limit),
            min_free_bytes: self.min_free_bytes,
            chunk_limit_size: self.chunk_limit_size,
            chunk_limit_records: self.chunk_limit_records,
            flush_mode,
            flush_interval: match flush_mode {
                FlushMode::Immediate => Interval::secs(0),
                _ => self.flush_interval,
            },
            timekey: self.timekey,
            timekey_wait: self.timekey_wait,
            timekey_zone: match self.timekey_use_utc {
                Some(true) => Zone::UTC,
                _ => self.timekey_zone.unwrap_or(Zone::LOCAL),
            },
            chunk_keys,
            ordering: self.ordering,
            flush_thread_count: self.flush_thread_count,
            flush_at_shutdown: self.flush_at_shutdown.unwrap_or(!is_file),
            overflow_action: self.overflow_action,
            durability: self.durability,
            durability_interval: self.durability_interval,
            commit_window: self.commit_window,
            retry: RetryConfig {
                wait: self.retry_wait,
                max_interval: self.retry_max_interval,
                base: self.retry_exponential_backoff_base,
                randomize: self.retry_randomize,
                max_times: self.retry_max_times,
                timeout,
                secondary_threshold: self.retry_secondary_threshold,
            },
        }
    }
}

/// Where records go that the destination will never take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetterKind {
    /// To disk, with the reason.
    File,
    /// Nowhere: they are dropped and counted.
    None,
}

/// What happens when the dead letter is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetterFull {
    /// The records stay in the buffer.
    Block,
    /// They are dropped and counted.
    Drop,
}

/// Where refused records go, as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DeadLetterKeys {
    /// Where records go that the destination will never take: to disk with the reason (`file`), or nowhere (`none`),
    /// which counts them as dropped. The default is `file` where the buffer is a file buffer, else `none`.
    pub(super) r#type: Option<DeadLetterKind>,
    /// The directory. It belongs to this output alone. The default is `dead/ID` below `data_dir`.
    pub(super) path: Option<PathBuf>,
    /// Bytes that it may take.
    pub(super) max_bytes: Size,
    /// What happens when it is full: `block` leaves the records in the buffer, `drop` drops and counts them.
    pub(super) on_full: DeadLetterFull,
}

impl Default for DeadLetterKeys {
    fn default() -> Self {
        Self {
            r#type: None,
            path: None,
            max_bytes: Size::mib(1024),
            on_full: DeadLetterFull::Block,
        }
    }
}

/// Where refused records go. Every choice is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterConfig {
    /// Where records go that the destination will never take.
    pub kind: DeadLetterKind,
    /// The directory.
    pub path: PathBuf,
    /// Bytes that it may take.
    pub max_bytes: Size,
    /// What happens when it is full.
    pub on_full: DeadLetterFull,
}

impl DeadLetterKeys {
    /// Makes every choice, for an output with this buffer.
    pub(super) fn settle(self, buffer: BufferKind, data_dir: &Path, id: &str) -> DeadLetterConfig {
        let kind = self.r#type.unwrap_or(match buffer {
            BufferKind::File => DeadLetterKind::File,
            BufferKind::Memory | BufferKind::None => DeadLetterKind::None,
        });
        DeadLetterConfig {
            kind,
            path: self.path.unwrap_or_else(|| data_dir.join("dead").join(id)),
            max_bytes: self.max_bytes,
            on_full: self.on_full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(keys: BufferKeys, default: DefaultBuffer) -> BufferConfig {
        keys.settle(default, Path::new("/data"), "es")
    }

    #[test]
    fn defaults_follow_the_kind() {
        let file = settle(BufferKeys::default(), DefaultBuffer::File);
        assert_eq!(
            (file.kind, file.flush_at_shutdown),
            (BufferKind::File, false)
        );
        assert_eq!(file.path, Path::new("/data/buffer/es"));
        assert_eq!(file.total_limit_size, Size(8 << 30));
        let memory = settle(BufferKeys::default(), DefaultBuffer::Memory);
        assert_eq!(
            (memory.kind, memory.flush_at_shutdown),
            (BufferKind::Memory, true)
        );
        let dead = DeadLetterKeys::default().settle(BufferKind::File, Path::new("/data"), "es");
        assert_eq!(
            (dead.kind, dead.path),
            (DeadLetterKind::File, "/data/dead/es".into())
        );
        for kind in [BufferKind::Memory, BufferKind::None] {
            let dead = DeadLetterKeys::default().settle(kind, Path::new("/data"), "es");
            assert_eq!(dead.kind, DeadLetterKind::None);
        }
    }

    #[test]
    fn retries_never_end_unless_told_to() {
        let timeout = |retry_forever, retry_timeout| {
            let keys = BufferKeys {
                retry_timeout,
                retry_forever,
                ..BufferKeys::default()
            };
            settle(keys, DefaultBuffer::File).retry.timeout
        };
        let hour = Interval::secs(3_600);
        assert_eq!(timeout(None, None), None);
        assert_eq!(timeout(Some(true), None), None);
        assert_eq!(timeout(Some(false), None), Some(FLUENTD_RETRY_TIMEOUT));
        assert_eq!(timeout(Some(false), Some(hour)), Some(hour));
    }
}
