//! Filter `correlation`: reads the ids of traces and requests from headers and text, and writes them in one set of fields.

mod carriers;
mod ids;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany, Pattern},
    event::{Edit, FieldPath},
    filter::Filter,
    msgpack::{RawValue, Token, write},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use carriers::CARRIERS;
use ids::{HexId, Ids};
use text::Search;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "correlation",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads trace and request ids from headers and text into one set of fields",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The carriers that are read: `traceparent`, `b3`, `x-b3-traceid` (with its companions), `uber-trace-id`,
    /// `x-amzn-trace-id`, `x-cloud-trace-context`, `x-datadog-trace-id`, `trace_id`, `x-correlation-id`,
    /// `x-request-id`, `cid`; all of them by default. The order does not matter.
    #[serde(default)]
    pub from: OneOrMany<String>,
    /// Fields that hold headers. The top level of the record is always looked at.
    #[serde(default = "default_headers")]
    pub headers: OneOrMany<FieldPath>,
    /// Fields in whose text ids are searched, when the fields of the record have none.
    #[serde(default = "default_search_in")]
    pub search_in: OneOrMany<FieldPath>,
    /// Patterns of your own for that text, tried first, with groups named `trace_id`, `span_id`, `parent_id` or
    /// `correlation_id`.
    #[serde(default)]
    pub pattern: OneOrMany<Pattern>,
    /// Write `trace = { id = "..." }`, or the key `trace.id`.
    #[serde(default)]
    pub layout: Layout,
    /// Replace ids that stand in these fields already.
    #[serde(default)]
    pub overwrite: bool,
    /// Without another correlation id the id of the trace is one, so that one field finds every line of a request.
    #[serde(default = "default_correlate_by_trace")]
    pub correlate_by_trace: bool,
}

/// How the fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// A table in a table.
    #[default]
    Nested,
    /// One key with a dot in it.
    Dotted,
}

fn paths(paths: &[&str]) -> OneOrMany<FieldPath> {
    OneOrMany(paths.iter().filter_map(|path| path.parse().ok()).collect())
}

fn default_headers() -> OneOrMany<FieldPath> {
    paths(&[
        "headers",
        "request_headers",
        "http_headers",
        "$.request.headers",
        "$.http.headers",
        "$.http.request.headers",
        "mdc",
        "contextMap",
        "dd",
    ])
}

fn default_search_in() -> OneOrMany<FieldPath> {
    paths(&["log", "message", "msg"])
}

fn default_correlate_by_trace() -> bool {
    true
}

/// The compiled parameters.
#[derive(Debug)]
struct Correlation {
    families: Vec<String>,
    headers: Vec<FieldPath>,
    search_in: Vec<FieldPath>,
    patterns: Vec<Pattern>,
    search: Search,
    places: Places,
    overwrite: bool,
    correlate_by_trace: bool,
}

/// Where the ids are written.
#[derive(Debug)]
struct Places {
    trace: Option<FieldPath>,
    span: Option<FieldPath>,
    parent: Option<FieldPath>,
    sampled: Option<FieldPath>,
    correlation: Option<FieldPath>,
}

const GROUPS: [&str; 4] = ["trace_id", "span_id", "parent_id", "correlation_id"];

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    for (index, name) in config.from.0.iter().enumerate() {
        if !CARRIERS
            .iter()
            .any(|one| one.family == name.to_ascii_lowercase())
        {
            let message = format!("there is no carrier `{name}`");
            let help = "write one of traceparent, b3, x-b3-traceid, uber-trace-id, x-amzn-trace-id, \
                        x-cloud-trace-context, x-datadog-trace-id, trace_id, x-correlation-id, x-request-id, cid";
            errors.push(ConfigError::at(format!("/from/{index}"), message).help(help));
        }
    }
    for (index, pattern) in config.pattern.0.iter().enumerate() {
        let mut names = pattern.regex().capture_names().flatten();
        if !names.any(|name| GROUPS.contains(&name)) {
            let help = "name the group of an id, as in (?<trace_id>[0-9a-f]{32})";
            errors.push(
                ConfigError::at(format!("/pattern/{index}"), "the pattern names no id").help(help),
            );
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let families: Vec<_> = config
        .from
        .0
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let search = Search::new(|family| wants(&families, family));
    Ok(Arc::new(Correlation {
        search,
        headers: config.headers.0,
        search_in: config.search_in.0,
        patterns: config.pattern.0,
        places: Places::new(config.layout),
        overwrite: config.overwrite,
        correlate_by_trace: config.correlate_by_trace,
        families,
    }))
}

fn wants(families: &[String], family: &str) -> bool {
    families.is_empty() || families.iter().any(|one| one == family)
}

impl Places {
    fn new(layout: Layout) -> Self {
        let place = |head: &str, key: &str| match layout {
            Layout::Nested => FieldPath::keys([head, key]),
            Layout::Dotted => Some(FieldPath::key(&format!("{head}.{key}"))),
        };
        Self {
            trace: place("trace", "id"),
            span: place("span", "id"),
            parent: place("parent", "id"),
            sampled: place("trace", "sampled"),
            correlation: Some(FieldPath::key("correlation_id")),
        }
    }
}

impl Correlation {
    /// Reads the fields of a map that are carriers.
    fn read_map(&self, map: RawValue<'_>, ids: &mut Ids) {
        for (name, value) in map.pairs().into_iter().flatten() {
            let carrier = name.as_bytes().and_then(carriers::of_name);
            let Some(carrier) = carrier.filter(|one| wants(&self.families, one.family)) else {
                continue;
            };
            // Some write each header as a list of its values.
            let value = value.item(0).unwrap_or(value);
            match value.token() {
                Token::Str(text) | Token::Bin(text) => carrier.read(text, ids),
                Token::Int(number) => carrier.read(number.to_string().as_bytes(), ids),
                Token::UInt(number) => carrier.read(number.to_string().as_bytes(), ids),
                Token::Bool(truth) => carrier.read(truth.to_string().as_bytes(), ids),
                _ => {}
            }
        }
    }

    fn read_text(&self, text: &[u8], ids: &mut Ids) {
        for pattern in &self.patterns {
            if let Some(found) = pattern.regex().captures(text) {
                let group = |name: &str| found.name(name).map(|group| group.as_bytes());
                let mut own = Ids {
                    trace: group("trace_id").and_then(HexId::trace),
                    span: group("span_id").and_then(HexId::span),
                    parent: group("parent_id").and_then(HexId::span),
                    ..Ids::default()
                };
                own.take_correlation(group("correlation_id").unwrap_or_default());
                ids.take(own);
            }
        }
        self.search.read(text, ids);
    }

    fn read(&self, edit: &mut Edit<'_>) -> Ids {
        let mut ids = Ids::default();
        let record = edit.record();
        self.read_map(record, &mut ids);
        for path in &self.headers {
            if let Some(map) = path.find(record) {
                self.read_map(map, &mut ids);
            }
        }
        for path in &self.search_in {
            if ids.are_complete() {
                break;
            }
            if let Some(text) = path.find(record).and_then(RawValue::as_bytes) {
                self.read_text(text, &mut ids);
            }
        }
        if self.correlate_by_trace && ids.correlation.is_none() {
            ids.correlation = ids.trace.map(|id| id.as_str().to_owned());
        }
        ids
    }

    /// Sets a field, unless something stands there, or above it, that must stay.
    fn set(&self, edit: &mut Edit<'_>, path: Option<&FieldPath>, value: impl FnOnce(&mut Vec<u8>)) {
        let Some(path) = path else { return };
        let stands = edit.get(path).is_some_and(|old| old.token() != Token::Nil);
        let above = edit.get(&FieldPath::key(path.head()));
        let is_in_the_way =
            !path.is_top_level() && above.is_some_and(|above| above.pairs().is_none());
        if (!stands || self.overwrite) && !is_in_the_way {
            edit.set_path(path, |_, out| value(out));
        }
    }
}

impl Filter for Correlation {
    fn filter(&self, edit: &mut Edit<'_>) {
        let ids = self.read(edit);
        let places = &self.places;
        let hex = [
            (&places.trace, ids.trace),
            (&places.span, ids.span),
            (&places.parent, ids.parent),
        ];
        for (path, id) in hex {
            if let Some(id) = id {
                self.set(edit, path.as_ref(), |out| write::str(out, id.as_str()));
            }
        }
        if let Some(sampled) = ids.sampled {
            self.set(edit, places.sampled.as_ref(), |out| {
                write::bool(out, sampled);
            });
        }
        if let Some(id) = ids.correlation {
            self.set(edit, places.correlation.as_ref(), |out| {
                write::str(out, &id);
            });
        }
    }
}
