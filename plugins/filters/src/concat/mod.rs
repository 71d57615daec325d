//! Filter `concat`: joins events that are lines, or pieces of a line, of one message.

mod config;
mod mode;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use sdk::{
    config::ConfigErrors,
    event::{Batch, FieldPath, RawEvent},
    msgpack::RawValue,
    plugin::{Build, BuildCx, Descriptor, Stability},
    stateful::{Held, Outbox, StatefulFilter},
};

pub use config::{Config, OnTimeout};
pub use mode::MetadataFormat;

use crate::lines::{Lines, line};
use mode::{Mode, Step};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "concat",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Joins events that are lines, or pieces of a line, of one message",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Stateful(build),
};

/// The lines that are held, and the rule by which they are joined.
#[derive(Debug)]
struct Concat {
    key: Arc<str>,
    mode: Mode,
    identity_key: Option<FieldPath>,
    lines: Lines<()>,
    identity: Vec<u8>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn StatefulFilter>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let mode = config.mode()?;
    let mut lines = Lines::new(config.limits(), config.shape(&mode), &cx.metrics);
    if config.on_timeout == OnTimeout::Error {
        lines.fail_idle("the rest of this event did not come within `flush_interval`");
    }
    Ok(Box::new(Concat {
        key: config.key.into(),
        mode,
        identity_key: config.stream_identity_key,
        lines,
        identity: Vec::new(),
    }))
}

impl Concat {
    fn select(&mut self, batch: &Batch, record: RawValue<'_>) {
        self.identity.clear();
        if let Some(key) = &self.identity_key {
            let value = key.find(record).map(RawValue::bytes);
            self.identity.extend_from_slice(value.unwrap_or_default());
        }
        self.mode.identify(record, &mut self.identity);
        self.lines.select(&batch.tag, &self.identity);
    }

    fn one(
        &mut self,
        batch: &Batch,
        index: u32,
        event: &RawEvent<'_>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(text) = line(&event.record, &self.key) else {
            return self.lines.pass(batch, index, event, &batch.tag, out);
        };
        self.select(batch, event.record);
        let held = self.lines.pending().map_or(0, |((), _, held)| held);
        let step = self.mode.step(event.record, text, held);
        self.take(step, batch, index, event, now, out);
    }

    fn take(
        &mut self,
        step: Step,
        batch: &Batch,
        index: u32,
        event: &RawEvent<'_>,
        now: Instant,
        out: &mut Outbox,
    ) {
        if step.flush_before {
            self.lines.flush(out);
        }
        if step.hold {
            let held = Held::new(batch, index, event);
            self.lines.hold(held, &self.key, (), now, out);
        } else {
            self.lines.pass(batch, index, event, &batch.tag, out);
        }
        if step.flush_after {
            self.lines.flush(out);
        }
    }
}

impl StatefulFilter for Concat {
    fn filter(&mut self, batch: &Batch, now: Instant, out: &mut Outbox) {
        for (index, event) in (0..).zip(batch.entries().map_while(Result::ok)) {
            self.one(batch, index, &event, now, out);
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Outbox) {
        self.lines.tick(now, out);
    }

    fn wake(&self) -> Option<Instant> {
        self.lines.wake()
    }

    fn finish(&mut self, out: &mut Outbox) {
        self.lines.finish(out);
    }
}
