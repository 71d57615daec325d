//! What `throttle` tells of groups over their limit: a metric by group, and the log.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sdk::{
    event::FieldPath,
    metrics::{Counter, Metrics},
    msgpack::{RawValue, write_text},
};

/// Longest text of a group in the label of a metric, in bytes.
const LABEL_BYTES_MAX: usize = 200;

/// What was over the limit, by group.
pub(super) struct Counts {
    metrics: Metrics,
    groups: HashMap<Vec<u8>, Counter>,
    max: usize,
}

impl Counts {
    /// Counts at most `max` groups one by one.
    pub(super) fn new(metrics: Metrics, max: usize) -> Self {
        Self {
            metrics,
            groups: HashMap::new(),
            max,
        }
    }

    pub(super) fn count(&mut self, keys: &[FieldPath], group: &[u8], record: RawValue<'_>) {
        if let Some(counter) = self.groups.get(group) {
            counter.inc();
            return;
        }
        if self.groups.len() >= self.max {
            self.counter("(other)").inc();
            return;
        }
        let counter = self.counter(&label(keys, record));
        counter.inc();
        self.groups.insert(group.to_vec(), counter);
    }

    fn counter(&self, group: &str) -> Counter {
        let help = "Events over the limit of their group";
        self.metrics
            .counter("filter_throttled_records", help, &[("group", group)])
    }
}

/// The values of the fields that make the group.
fn label(keys: &[FieldPath], record: RawValue<'_>) -> String {
    let mut text = String::new();
    for key in keys {
        if !text.is_empty() {
            text.push(',');
        }
        if let Some(value) = key.find(record) {
            // Writing to memory cannot fail.
            let _infallible = write_text(value, &mut text);
        }
    }
    let end = (0..=LABEL_BYTES_MAX.min(text.len())).rev();
    let end = end.into_iter().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// Says in the log that groups are over their limit, but not too often. The metric says which.
pub(super) struct Warning {
    delay: Duration,
    last: Option<Instant>,
}

impl Warning {
    pub(super) fn new(delay: Duration) -> Self {
        Self { delay, last: None }
    }

    pub(super) fn warn(&mut self, now: Instant, over: u64, drops: bool) {
        let quiet = |last: Instant| now.saturating_duration_since(last) < self.delay;
        if self.last.is_some_and(quiet) {
            return;
        }
        self.last = Some(now);
        tracing::warn!(
            events = over,
            dropped = drops,
            "events are over the limit of their group; weir_filter_throttled_records_total tells which"
        );
    }
}
