//! Filter `throttle`: takes events out of groups that are too loud.

mod bucket;
mod counts;
#[cfg(test)]
mod tests;

use std::time::Instant;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, Interval, OneOrMany},
    event::{Batch, FieldPath, RawEvent, Tag},
    msgpack::RawValue,
    plugin::{Build, BuildCx, Descriptor, Stability},
    stateful::{Outbox, StatefulFilter},
};
use serde::Deserialize;

use crate::lines::Streams;
use bucket::{Bucket, Limit};
use counts::{Counts, Warning};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "throttle",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes events out of groups that are too loud",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Stateful(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fields by which events are grouped; each group has its own limit. A name with dots, such as
    /// `kubernetes.container_name`, goes down into tables, as in Fluentd; a path such as `$.a['b.c']` says it
    /// exactly. Events without these fields are one group. With an empty list, all events are one group.
    #[serde(default = "default_group_key")]
    pub group_key: OneOrMany<String>,
    /// How long a period is.
    #[serde(default = "default_group_bucket_period_s")]
    pub group_bucket_period_s: Interval,
    /// How many events of a group may pass in each period.
    #[serde(default = "default_group_bucket_limit")]
    pub group_bucket_limit: u64,
    /// Take out what is over the limit. If false, it is only counted and logged.
    #[serde(default = "default_group_drop_logs")]
    pub group_drop_logs: bool,
    /// A group over its limit passes again in a later period when it sends no more than this many events per second.
    /// -1: it passes again in the next period. The default is the limit divided by the period.
    pub group_reset_rate_s: Option<f64>,
    /// How long the log is silent about groups over their limit before it says so again.
    #[serde(default = "default_group_warning_delay_s")]
    pub group_warning_delay_s: Interval,
    /// How many events of a group may pass per second, in the place of a limit by period.
    pub rate: Option<f64>,
    /// How many of them may pass at once after a silence. The default is `rate`, and 1 at least.
    pub burst: Option<f64>,
    /// Most groups that are counted. With more, the one that was silent longest is forgotten.
    #[serde(default = "default_max_groups")]
    pub max_groups: usize,
    /// Most groups that have a metric of their own. What is over the limit in others is counted under `(other)`.
    #[serde(default = "default_max_metric_groups")]
    pub max_metric_groups: usize,
}

fn default_group_key() -> OneOrMany<String> {
    OneOrMany(vec!["kubernetes.container_name".into()])
}

fn default_group_bucket_period_s() -> Interval {
    Interval::secs(60)
}

fn default_group_bucket_limit() -> u64 {
    6000
}

fn default_group_drop_logs() -> bool {
    true
}

fn default_group_warning_delay_s() -> Interval {
    Interval::secs(10)
}

fn default_max_groups() -> usize {
    10_000
}

fn default_max_metric_groups() -> usize {
    100
}

struct Throttle {
    keys: Vec<FieldPath>,
    limit: Limit,
    drops: bool,
    groups: Streams<Bucket>,
    max_groups: usize,
    start: Option<Instant>,
    group: Vec<u8>,
    everyone: Tag,
    counts: Counts,
    warning: Warning,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn StatefulFilter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = mistakes(&config);
    let keys = keys(&config.group_key.0, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let limit = limit(&config);
    Ok(Box::new(Throttle {
        keys,
        limit,
        drops: config.group_drop_logs,
        groups: Streams::new(),
        max_groups: config.max_groups,
        start: None,
        group: Vec::new(),
        everyone: Tag::new(""),
        counts: Counts::new(cx.metrics.clone(), config.max_metric_groups),
        warning: Warning::new(config.group_warning_delay_s.0),
    }))
}

fn keys(names: &[String], errors: &mut ConfigErrors) -> Vec<FieldPath> {
    let mut keys = Vec::new();
    let names = names.iter().enumerate();
    let each = names.flat_map(|(at, names)| names.split(',').map(move |name| (at, name.trim())));
    for (at, name) in each {
        let path = if name.starts_with('$') {
            name.parse().map_err(|error| format!("{name:?}: {error}"))
        } else {
            let path = name.split('.').all(|key| !key.is_empty());
            let path = path.then(|| FieldPath::keys(name.split('.'))).flatten();
            path.ok_or_else(|| format!("{name:?} is not the name of a field"))
        };
        match path {
            Ok(path) => keys.push(path),
            Err(message) => errors.push(
                ConfigError::at(format!("/group_key/{at}"), message)
                    .help("write a name such as \"kubernetes.container_name\""),
            ),
        }
    }
    keys
}

fn mistakes(config: &Config) -> ConfigErrors {
    let mut errors = Vec::new();
    let mut wrong = |path: &str, message: &str, help: &str| {
        errors.push(ConfigError::at(path, message).help(help));
    };
    if config.group_bucket_period_s.0.is_zero() {
        wrong(
            "/group_bucket_period_s",
            "a period cannot be 0",
            "write 1 or more seconds",
        );
    }
    if config.group_bucket_limit == 0 {
        wrong(
            "/group_bucket_limit",
            "0 would let nothing pass",
            "write 1 or more",
        );
    }
    if config.max_groups == 0 {
        wrong("/max_groups", "0 would count no group", "write 1 or more");
    }
    if config
        .rate
        .is_some_and(|rate| rate <= 0.0 || !rate.is_finite())
    {
        wrong(
            "/rate",
            "a rate must be more than 0",
            "write events per second, such as 100",
        );
    }
    match config.burst {
        Some(_) if config.rate.is_none() => {
            wrong("/burst", "`burst` belongs to `rate`", "write `rate` too");
        }
        Some(burst) if burst < 1.0 || !burst.is_finite() => {
            wrong(
                "/burst",
                "less than 1 would let nothing pass",
                "write 1 or more",
            );
        }
        _ => {}
    }
    let reset = config.group_reset_rate_s.unwrap_or(-1.0);
    if reset > per_second(config) {
        wrong(
            "/group_reset_rate_s",
            "a group could be over its limit and below this rate at once",
            "write at most group_bucket_limit divided by group_bucket_period_s",
        );
    } else if reset < 0.0 && reset.total_cmp(&-1.0).is_ne() {
        wrong(
            "/group_reset_rate_s",
            "a rate cannot be negative",
            "write -1 to use none",
        );
    }
    errors
}

/// The rate that limit and period come to.
fn per_second(config: &Config) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate of more than 2^53 events is no limit"
    )]
    let events = config.group_bucket_limit as f64;
    events / config.group_bucket_period_s.0.as_secs_f64()
}

fn limit(config: &Config) -> Limit {
    if let Some(per_second) = config.rate {
        let burst = config.burst.unwrap_or(per_second).max(1.0);
        return Limit::Rate { per_second, burst };
    }
    let reset_rate = config
        .group_reset_rate_s
        .unwrap_or_else(|| per_second(config));
    Limit::Period {
        period: config.group_bucket_period_s.0,
        events: config.group_bucket_limit,
        reset_rate: (reset_rate >= 0.0).then_some(reset_rate),
    }
}

impl Throttle {
    fn passes(&mut self, event: &RawEvent<'_>, start: Instant, now: Instant) -> bool {
        self.group.clear();
        for key in &self.keys {
            let value = key.find(event.record).map_or(&[0xc0][..], RawValue::bytes);
            self.group.extend_from_slice(value);
        }
        self.groups.select(&self.everyone, &self.group);
        let limit = self.limit;
        let bucket = self.groups.touch(now, || limit.bucket(start, now));
        let passes = limit.take(bucket, start, now);
        if self.groups.len() > self.max_groups {
            self.groups.pop_oldest();
        }
        passes
    }
}

impl StatefulFilter for Throttle {
    fn filter(&mut self, batch: &Batch, now: Instant, out: &mut Outbox) {
        let start = *self.start.get_or_insert(now);
        let mut over = 0_u64;
        for (index, event) in (0..).zip(batch.entries().map_while(Result::ok)) {
            if self.passes(&event, start, now) {
                out.pass(batch, index, &event);
                continue;
            }
            over += 1;
            self.counts.count(&self.keys, &self.group, event.record);
            if self.drops {
                out.drop_event();
            } else {
                out.pass(batch, index, &event);
            }
        }
        if over > 0 {
            self.warning.warn(now, over, self.drops);
        }
    }
}
