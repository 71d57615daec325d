//! What holds for an output as it is configured, said in one line of the log when it starts.

use std::fmt;

use sdk::config::{Interval, Size};

use crate::config::{
    BufferKind, DeadLetterConfig, DeadLetterFull, DeadLetterKind, Durability, OutputSpec,
    OverflowAction, RetryConfig,
};

/// What holds for one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promise {
    /// What an acknowledgement means, in a sentence.
    acknowledged: &'static str,
    /// The same in a word of the configuration.
    durability: &'static str,
    /// What happens when the buffer is full.
    overflow_action: &'static str,
    /// When it is tried no longer.
    retry_end: String,
    /// Where records go that nobody takes.
    dead_letter: String,
    /// Whether records of a tag leave in the order in which they came.
    order: &'static str,
}

impl Promise {
    /// What the configuration says.
    pub(super) fn of(spec: &OutputSpec) -> Self {
        let buffer = &spec.buffer;
        let (durability, acknowledged) = match (buffer.kind, buffer.durability) {
            (BufferKind::None, _) => (
                "none",
                "records are acknowledged when the destination took them",
            ),
            (BufferKind::Memory, _) => (
                "memory",
                "acknowledged records are lost when the process dies",
            ),
            (BufferKind::File, Durability::Commit) => {
                ("commit", "acknowledged records survive a power cut")
            }
            (BufferKind::File, Durability::Interval) => (
                "interval",
                "acknowledged records survive the end of the process; a power cut takes those of the last durability_interval",
            ),
            (BufferKind::File, Durability::Os) => (
                "os",
                "acknowledged records survive the end of the process, not a power cut",
            ),
        };
        Self {
            acknowledged,
            durability,
            overflow_action: overflow(buffer.overflow_action),
            retry_end: retry_end(&buffer.retry),
            dead_letter: dead_letter(&spec.dead_letter),
            order: if buffer.flush_thread_count == 1 {
                "kept"
            } else {
                "not kept"
            },
        }
    }

    /// Says it.
    pub(super) fn say(&self, output: impl fmt::Display) {
        tracing::info!(
            %output,
            durability = self.durability,
            overflow_action = self.overflow_action,
            retry_end = self.retry_end,
            dead_letter = self.dead_letter,
            order = self.order,
            "{}",
            self.acknowledged
        );
    }
}

fn overflow(action: OverflowAction) -> &'static str {
    match action {
        OverflowAction::Block => "block",
        OverflowAction::ThrowException => "throw_exception",
        OverflowAction::DropOldestChunk => "drop_oldest_chunk",
    }
}

fn retry_end(retry: &RetryConfig) -> String {
    let retries = |times| match times {
        1 => "after 1 retry".to_owned(),
        times => format!("after {times} retries"),
    };
    let time = |timeout: Interval| format!("after {timeout}");
    match (retry.max_times, retry.timeout) {
        (None, None) => "never".to_owned(),
        (Some(times), None) => retries(times),
        (None, Some(timeout)) => time(timeout),
        (Some(times), Some(timeout)) => format!("{} or {}", retries(times), time(timeout)),
    }
}

fn dead_letter(config: &DeadLetterConfig) -> String {
    let limit: Size = config.max_bytes;
    match (config.kind, config.on_full) {
        (DeadLetterKind::None, _) => "none: refused records are dropped".to_owned(),
        (DeadLetterKind::File, DeadLetterFull::Block) => format!("file up to {limit}, then block"),
        (DeadLetterKind::File, DeadLetterFull::Drop) => format!("file up to {limit}, then drop"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_retries_is_said_in_words() {
        let end = |max_times, timeout| {
            retry_end(&RetryConfig {
                secondary_threshold: 0.8,
                wait: Interval::secs(1),
                max_interval: Interval::secs(1),
                base: 2.0,
                randomize: false,
                max_times,
                timeout,
            })
        };
        let hour = Some(Interval::secs(3_600));
        assert_eq!(end(None, None), "never");
        assert_eq!(end(Some(1), None), "after 1 retry");
        assert_eq!(end(Some(5), hour), "after 5 retries or after 1h");
        assert_eq!(end(None, hour), "after 1h");
    }
}
