//! What the configuration says about an output, as its buffer and its retries need it.

use crate::{
    buffer::{self, BufferSettings, Overflow},
    config::{BufferConfig, BufferKind, Durability, OverflowAction},
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
