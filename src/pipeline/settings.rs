//! What the configuration says about an output, as its buffer and its retries need it.

use std::sync::Arc;

use sdk::config::ChunkKey;

use crate::{
    buffer::{self, BufferSettings, ChunkKeys, ChunkOrder, Overflow, TimeKey},
    config::{BufferConfig, BufferKind, Durability, FlushMode, Ordering, OverflowAction},
    output::RetryPolicy,
};

/// How the buffer behaves.
pub(super) fn buffer(config: &BufferConfig) -> BufferSettings {
    let defaults = match config.kind {
        BufferKind::File => BufferSettings::file(&config.path),
        BufferKind::Memory => BufferSettings::memory(),
        BufferKind::None => BufferSettings::passage(),
    };
    BufferSettings {
        chunk_limit_bytes: config.chunk_limit_size.as_usize(),
        chunk_limit_records: config.chunk_limit_records,
        flush_interval: config.flush_interval.0,
        chunk_keys: Arc::new(chunk_keys(config)),
        ordering: match config.ordering {
            Ordering::None => ChunkOrder::None,
            Ordering::PerChunkKey => ChunkOrder::PerChunkKey,
            Ordering::Strict => ChunkOrder::Strict,
        },
        total_limit_bytes: config.total_limit_size.0,
        min_free_bytes: config.min_free_bytes.map(|size| size.0),
        overflow: match config.overflow_action {
            OverflowAction::Block => Overflow::Block,
            OverflowAction::ThrowException => Overflow::ThrowException,
            OverflowAction::DropOldestChunk => Overflow::DropOldestChunk,
        },
        durability: match config.durability {
            _ if config.kind == BufferKind::None => buffer::Durability::Delivered,
            Durability::Commit => buffer::Durability::Commit,
            Durability::Interval => buffer::Durability::Interval(config.durability_interval.0),
            Durability::Os => buffer::Durability::Os,
        },
        commit_window: config.commit_window.map(|window| window.0),
        ..defaults
    }
}

fn chunk_keys(config: &BufferConfig) -> ChunkKeys {
    let time = config.timekey.map(|timekey| TimeKey {
        slot_secs: u32::try_from(timekey.0.as_secs()).unwrap_or(u32::MAX),
        wait: (config.flush_mode == FlushMode::Lazy).then_some(config.timekey_wait.0),
        zone: config.timekey_zone.get(),
    });
    let fields = config.chunk_keys.iter().filter_map(|key| match key {
        ChunkKey::Field(path) => Some(path.clone()),
        ChunkKey::Tag | ChunkKey::Time => None,
    });
    ChunkKeys {
        tag: config.chunk_keys.contains(&ChunkKey::Tag),
        time: time.filter(|_| config.chunk_keys.contains(&ChunkKey::Time)),
        fields: fields.collect(),
    }
}

/// When a chunk is tried again.
pub(super) fn retry(config: &BufferConfig) -> RetryPolicy {
    let retry = &config.retry;
    RetryPolicy {
        wait: retry.wait.0,
        base: retry.base,
        max_interval: retry.max_interval.0,
        randomize: retry.randomize,
        max_times: retry.max_times,
        timeout: retry.timeout.map(|timeout| timeout.0),
        secondary_threshold: retry.secondary_threshold,
    }
}
