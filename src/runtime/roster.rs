//! The list of components with what each did so far, for those who report on them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use sdk::{
    metrics::{Counter, Metrics},
    monitor::{Component, Delivering, Figures, Monitor, Passed, Process},
    plugin::Kind,
};
use serde_json::Value;

use crate::{
    buffer::{Buffer, DeadLetter},
    config::{Config, PluginSpec},
    output::{OutputMetrics, OutputNode},
    pipeline::Parts,
    telemetry::ledger::{Account, DropReason},
};

/// What stands in the place of a secret, as in Fluentd.
const HIDDEN: &str = "xxxxxx";
/// Keys whose values are hidden whatever the schema says.
const SECRET_WORDS: [&str; 6] = [
    "password",
    "secret",
    "token",
    "shared_key",
    "api_key",
    "authorization",
];

/// Everything that runs. Cheap to clone; empty until the graph is built.
#[derive(Debug, Clone, Default)]
pub struct Roster(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    process: Process,
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Member {
    id: Arc<str>,
    kind: Kind,
    plugin: &'static str,
    params: Value,
    meters: Meters,
}

#[derive(Debug, Clone)]
enum Meters {
    Input {
        batches: Counter,
        records: Counter,
        bytes: Counter,
    },
    Filter {
        records_in: Counter,
        records_out: Counter,
    },
    Output(Box<OutputMeters>),
}

#[derive(Debug, Clone)]
struct OutputMeters {
    buffer: Buffer,
    account: Account,
    metrics: OutputMetrics,
    dead_letter: Option<Arc<DeadLetter>>,
}

impl Roster {
    /// Says who runs the process, and with which file.
    pub fn describe(&self, process: Process) {
        self.lock().process = process;
    }

    /// Takes in a graph that was built; it replaces the one before.
    pub(super) fn fill(&self, config: &Config, parts: &Parts, outputs: &[Arc<OutputNode>]) {
        let mut members: Vec<Member> = Vec::new();
        for source in &config.sources {
            let metrics = parts.metrics_of("source", &source.plugin);
            members.push(Member::of(&source.plugin, Meters::input(&metrics)));
        }
        for filter in config.labels.iter().flat_map(|label| &label.filters) {
            let metrics = parts.metrics_of("filter", &filter.plugin);
            members.push(Member::of(&filter.plugin, Meters::filter(&metrics)));
        }
        let specs = config.outputs();
        for node in outputs {
            if let Some(spec) = specs.iter().find(|spec| spec.id == node.id) {
                let meters = OutputMeters {
                    buffer: node.buffer.clone(),
                    account: node.account.clone(),
                    metrics: node.metrics.clone(),
                    dead_letter: node.means().dead_letter.clone(),
                };
                members.push(Member::of(spec, Meters::Output(Box::new(meters))));
            }
        }
        let mut state = self.lock();
        state.process.hostname = parts.hostname.to_string();
        state.members = members;
    }

    /// Nobody runs any more.
    pub(super) fn clear(&self) {
        self.lock().members.clear();
    }

    /// Looks at what is measured on demand: the dead letters.
    pub(super) fn measure(&self) {
        let members = self.lock().members.clone();
        for member in members {
            if let Meters::Output(meters) = member.meters
                && let Some(dead_letter) = meters.dead_letter
                && let Err(error) = dead_letter.measure()
            {
                tracing::debug!(%error, "a dead letter could not be measured");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for Roster {
    fn process(&self) -> Process {
        self.lock().process.clone()
    }

    fn components(&self) -> Vec<Component> {
        let members = self.lock().members.clone();
        let component = |member: Member| Component {
            figures: member.meters.read(),
            id: member.id,
            kind: member.kind,
            plugin: member.plugin,
            params: member.params,
        };
        members.into_iter().map(component).collect()
    }
}

impl Member {
    fn of(spec: &PluginSpec, meters: Meters) -> Self {
        let mut secrets = BTreeSet::new();
        secret_keys(&(spec.descriptor.schema)(), &mut secrets);
        let mut params = spec.params.clone();
        hide(&mut params, &secrets);
        Self {
            id: Arc::clone(&spec.id),
            kind: spec.descriptor.kind(),
            plugin: spec.descriptor.name,
            params,
            meters,
        }
    }
}

impl Meters {
    /// The counters that the source has already: the same name and labels give the same counter.
    fn input(metrics: &Metrics) -> Self {
        let counter = |name| metrics.counter(name, "", &[]);
        Self::Input {
            batches: counter("received_batches"),
            records: counter("received_records"),
            bytes: counter("received_bytes"),
        }
    }

    fn filter(metrics: &Metrics) -> Self {
        let counter = |name| metrics.counter(name, "", &[]);
        Self::Filter {
            records_in: counter("filter_records_in"),
            records_out: counter("filter_records_out"),
        }
    }

    fn read(&self) -> Figures {
        match self {
            Self::Input {
                batches,
                records,
                bytes,
            } => Figures::Input(Passed {
                batches: batches.get(),
                records: records.get(),
                bytes: bytes.get(),
            }),
            Self::Filter {
                records_in,
                records_out,
            } => {
                let seen = Passed {
                    records: records_in.get(),
                    ..Passed::default()
                };
                Figures::Filter(seen, records_out.get())
            }
            Self::Output(meters) => Figures::Output(Box::new(meters.read())),
        }
    }
}

impl OutputMeters {
    fn read(&self) -> Delivering {
        let (status, metrics) = (self.buffer.status(), &self.metrics);
        let now = sdk::event::Time::now().secs;
        let oldest = status.oldest_age.map(|age| {
            u64::try_from(now)
                .unwrap_or_default()
                .saturating_sub(age.as_secs())
        });
        Delivering {
            accepted: Passed {
                batches: metrics.accepted_batches.get(),
                records: self.account.received_so_far(),
                bytes: metrics.accepted_bytes.get(),
            },
            sent_records: self.account.delivered_so_far(),
            writes: metrics.writes.get(),
            rollbacks: metrics.retries.get(),
            slow_flushes: metrics.slow_flushes.get(),
            secondary_writes: metrics.secondary_writes.get(),
            flush_time_ms: metrics.flush_time_ms.get(),
            errors: metrics.failures(),
            failures_in_a_row: u64::try_from(metrics.consecutive_failures.get()).unwrap_or(0),
            retry_wait_seconds: metrics.retry_wait_seconds.get(),
            overflow_drops: self.account.dropped_so_far(DropReason::Overflow),
            stage_chunks: status.stage.chunks,
            stage_bytes: status.stage.bytes,
            queue_chunks: status.queue.chunks,
            queue_bytes: status.queue.bytes,
            total_bytes: status.bytes,
            limit_bytes: status.limit_bytes,
            oldest_secs: oldest,
            newest_secs: status.newest_ms.map(|ms| ms / 1000),
        }
    }
}

/// The keys whose values a schema calls secret, at any depth.
fn secret_keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if matches!(key.as_str(), "properties" | "$defs" | "definitions") {
                    for (name, inner) in value.as_object().into_iter().flatten() {
                        if is_secret(inner) {
                            found.insert(name.clone());
                        }
                    }
                }
                secret_keys(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secret_keys(item, found)),
        _ => {}
    }
}

/// Whether a schema is that of a secret, or of a choice or list of secrets.
fn is_secret(schema: &Value) -> bool {
    if schema.get("format").and_then(Value::as_str) == Some("weir-secret") {
        return true;
    }
    let inner = ["anyOf", "oneOf", "allOf"].into_iter();
    let choices = inner
        .filter_map(|key| schema.get(key)?.as_array())
        .flatten();
    choices.chain(schema.get("items")).any(is_secret)
}

/// Hides the values of these keys, of keys that sound secret, and the account in a URL.
fn hide(value: &mut Value, secrets: &BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                let lower = key.to_ascii_lowercase();
                let sounds_secret = SECRET_WORDS.iter().any(|word| lower.contains(word));
                if secrets.contains(key) || (sounds_secret && value.is_string()) {
                    *value = HIDDEN.into();
                } else {
                    hide(value, secrets);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::String(text) => {
            if let Some((scheme, rest)) = text.split_once("://")
                && let Some((_, host)) = rest.rsplit_once('@')
            {
                *text = format!("{scheme}://{HIDDEN}@{host}");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_by_schema_by_name_and_in_addresses() {
        let schema = json!({
            "properties": {
                "user": { "type": "string" },
                "phrase": { "anyOf": [{ "type": "string", "format": "weir-secret" }, { "type": "null" }] },
                "server": { "$ref": "#/$defs/Server" },
            },
            "$defs": { "Server": { "properties": { "key": { "format": "weir-secret" } } } },
        });
        let mut secrets = BTreeSet::new();
        secret_keys(&schema, &mut secrets);
        let mut params = json!({
            "user": "u", "phrase": "p", "hosts": ["http://a:b@es:9200", "http://es:9200"],
            "server": [{ "key": "k", "host": "h" }], "headers": { "Authorization": "Basic x" },
        });
        hide(&mut params, &secrets);
        let expected = json!({
            "user": "u", "phrase": HIDDEN, "hosts": ["http://xxxxxx@es:9200", "http://es:9200"],
            "server": [{ "key": HIDDEN, "host": "h" }], "headers": { "Authorization": HIDDEN },
        });
        assert_eq!(params, expected);
    }
}
