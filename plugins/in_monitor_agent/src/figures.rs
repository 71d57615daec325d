//! One plugin as Fluentd's `monitor_agent` describes it: the same names in the same order.

use sdk::{
    monitor::{Component, Delivering, Figures},
    plugin::Kind,
};
use serde_json::{Map, Value, json};

/// What is shown besides the figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The parameters.
    pub(crate) config: bool,
    /// The state of retries.
    pub(crate) retry: bool,
}

/// A plugin as one object.
pub(crate) fn describe(component: &Component, wanted: Wanted) -> Value {
    let is_output = component.kind == Kind::Output;
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("plugin_id", (*component.id).into());
    put("plugin_category", component.kind.as_str().into());
    put("type", component.plugin.into());
    if wanted.config {
        put("config", config(component));
    }
    put("output_plugin", is_output.into());
    match &component.figures {
        Figures::Input(passed) | Figures::Filter(passed, _) => {
            put("retry_count", Value::Null);
            put("emit_records", passed.records.into());
            put("emit_size", passed.bytes.into());
        }
        Figures::Output(figures) => {
            for (name, value) in output(figures) {
                put(name, value);
            }
            if wanted.retry {
                put("retry", retry(figures));
            }
        }
    }
    Value::Object(out)
}

/// The figures of an output.
fn output(figures: &Delivering) -> [(&'static str, Value); 17] {
    [
        ("retry_count", figures.errors.into()),
        ("emit_records", figures.accepted.records.into()),
        ("emit_size", figures.accepted.bytes.into()),
        ("emit_count", figures.accepted.batches.into()),
        ("write_count", figures.writes.into()),
        ("write_secondary_count", figures.secondary_writes.into()),
        ("rollback_count", figures.rollbacks.into()),
        ("slow_flush_count", figures.slow_flushes.into()),
        ("flush_time_count", figures.flush_time_ms.into()),
        ("drop_oldest_chunk_count", figures.overflow_drops.into()),
        ("buffer_queue_length", figures.queue_chunks.into()),
        // Chunks are not divided by time here, so there are none.
        ("buffer_timekeys", json!([])),
        (
            "buffer_total_queued_size",
            (figures.stage_bytes + figures.queue_bytes).into(),
        ),
        ("buffer_stage_length", figures.stage_chunks.into()),
        ("buffer_stage_byte_size", figures.stage_bytes.into()),
        ("buffer_queue_byte_size", figures.queue_bytes.into()),
        (
            "buffer_available_buffer_space_ratios",
            figures.available_percent().into(),
        ),
    ]
}

/// Empty unless an output waits to try again.
fn retry(figures: &Delivering) -> Value {
    if figures.failures_in_a_row == 0 {
        return json!({});
    }
    json!({ "steps": figures.failures_in_a_row, "next_time_in": figures.retry_wait_seconds })
}

/// Strings, as Fluentd shows them, with the type first.
fn config(component: &Component) -> Value {
    let mut out = Map::new();
    out.insert("@type".to_owned(), component.plugin.into());
    out.insert("@id".to_owned(), (*component.id).into());
    for (name, value) in component.params.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        out.insert(name.clone(), text.into());
    }
    Value::Object(out)
}
