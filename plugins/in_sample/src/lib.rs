//! Input `sample`: demo records at a rate.

mod pace;
mod record;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use schemars::JsonSchema;
use sdk::{
    Fut, RunError,
    config::{self, ConfigError, ConfigErrors, OneOrMany},
    event::{Batch, Tag, write_event},
    input::{Input, InputCx},
    obligation::{Obligation, Receipt},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use pace::Pace;
use record::Samples;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "sample",
    aliases: &["dummy"],
    stability: Stability::Stable,
    summary: "Makes demo records at a rate",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tag of the events.
    pub tag: String,
    /// The record, or a list of records that take turns.
    #[serde(default = "default_sample")]
    pub sample: OneOrMany<Map<String, Value>>,
    /// Batches per second.
    #[serde(default = "default_rate")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rate: u32,
    /// Records per batch.
    #[serde(default = "default_size")]
    #[schemars(range(min = 1, max = 100_000))]
    pub size: u32,
    /// A field that counts the records from 0 on.
    pub auto_increment_key: Option<String>,
    /// Stop after this many records. The source then stays idle. Without it, it never stops.
    #[schemars(range(min = 1))]
    pub count: Option<u64>,
}

fn default_sample() -> OneOrMany<Map<String, Value>> {
    OneOrMany(vec![Map::from_iter([("message".into(), "sample".into())])])
}

fn default_rate() -> u32 {
    1
}

fn default_size() -> u32 {
    1
}

/// The largest batch, in bytes.
const BATCH_BYTES_MAX: u64 = 8 << 20;
/// Batches that may wait for their receipts at once.
const IN_FLIGHT_MAX: usize = 64;
/// How long to wait before a refused batch is offered again.
const REFUSED_WAIT: Duration = Duration::from_millis(500);

/// Makes records, one batch at a time.
#[derive(Debug)]
struct Sample {
    tag: Tag,
    samples: Samples,
    rate: u32,
    size: u32,
    left: Option<u64>,
}

fn build(params: Value, _cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let samples =
        Samples::new(&config.sample.0, config.auto_increment_key.as_deref()).map_err(|error| {
            vec![ConfigError::at("/sample", error.to_string()).help(error.remedy())]
        })?;
    let mut errors = Vec::new();
    if config.rate == 0 {
        errors.push(ConfigError::at("/rate", "a rate of 0 makes nothing").help("write at least 1"));
    }
    let batch_bytes = u64::from(config.size) * samples.largest_bytes();
    if config.size == 0 {
        errors.push(ConfigError::at("/size", "a batch of 0 records").help("write at least 1"));
    } else if batch_bytes > BATCH_BYTES_MAX {
        let message =
            format!("a batch would have {batch_bytes} bytes, the limit is {BATCH_BYTES_MAX}");
        errors.push(ConfigError::at("/size", message).help("lower `size` and raise `rate`"));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Box::new(Sample {
        tag: Tag::new(&config.tag),
        samples,
        rate: config.rate,
        size: config.size,
        left: config.count,
    }))
}

impl Sample {
    /// The next batch, which nobody waits for; `None` when all were made, or on a stop.
    async fn next(&mut self, cx: &InputCx, stop: &Stop) -> Option<Batch> {
        let left = self.left.unwrap_or(u64::MAX);
        let count = self.size.min(u32::try_from(left).unwrap_or(u32::MAX));
        if count == 0 {
            return None;
        }
        self.left = self.left.map(|left| left - u64::from(count));
        let now = cx.clock.now();
        let (mut events, mut record) = (Vec::new(), Vec::new());
        for _ in 0..count {
            record.clear();
            self.samples.write_next(&mut record);
            write_event(&mut events, now, &record);
        }
        let permit = unless_stopped(stop, cx.budget.take(events.len())).await?;
        let mut batch = Batch::new(self.tag.clone(), events.into(), count, Obligation::nobody());
        batch.permit = Some(Arc::new(permit));
        Some(batch)
    }

    async fn run(mut self, cx: InputCx, stop: Stop) {
        cx.ready.set(&format!("making records for {}", self.tag));
        let mut waiting = VecDeque::new();
        let mut pace = Pace::new(self.rate);
        'making: loop {
            tokio::select! {
                () = stop.stopped() => break,
                () = pace.tick() => {}
            }
            for _ in 0..pace.due() {
                let Some(batch) = self.next(&cx, &stop).await else {
                    break 'making;
                };
                let Some(receipt) = offer(&cx, &stop, &batch).await else {
                    break 'making;
                };
                waiting.push_back(receipt);
                settle(&cx, &mut waiting, IN_FLIGHT_MAX).await;
            }
        }
        settle(&cx, &mut waiting, 0).await;
        stop.stopped().await;
    }
}

/// Emits a batch until it is admitted, and returns its receipt; `None` on a stop.
async fn offer(cx: &InputCx, stop: &Stop, batch: &Batch) -> Option<Receipt> {
    loop {
        let (due, receipt) = Obligation::new();
        let mut offered = batch.clone();
        offered.due = due;
        match unless_stopped(stop, cx.emit.emit(offered)).await? {
            Ok(()) => return Some(receipt),
            Err(error) => {
                tracing::warn!(input = %cx.id, %error, "a batch was refused; it is offered again");
            }
        }
        unless_stopped(stop, tokio::time::sleep(REFUSED_WAIT)).await?;
    }
}

/// What `work` gives; `None` when the stop comes first.
async fn unless_stopped<T>(stop: &Stop, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.stopped() => None,
        done = work => Some(done),
    }
}

/// Waits until at most `most` receipts are open, oldest first.
async fn settle(cx: &InputCx, waiting: &mut VecDeque<Receipt>, most: usize) {
    while waiting.len() > most || waiting.front().is_some_and(Receipt::is_settled) {
        let Some(receipt) = waiting.pop_front() else {
            return;
        };
        if let Err(error) = receipt.await {
            tracing::warn!(input = %cx.id, %error, "a batch of demo records is lost");
        }
    }
}

impl Input for Sample {
    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(async move {
            (*self).run(cx, stop).await;
            Ok(())
        })
    }
}
