//! Filter `detect_exceptions`: joins the lines of a stack trace in one event.

mod machine;
mod rules;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, Interval, OneOrMany, Size},
    event::{Batch, FieldPath, RawEvent, Tag},
    msgpack::RawValue,
    plugin::{Build, BuildCx, Descriptor, Stability},
    stateful::{Held, Outbox, StatefulFilter},
};
use serde::Deserialize;

pub use rules::Language;

use crate::lines::{Limits, Lines, Shape, line};
use machine::{Machine, State, Status};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "detect_exceptions",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Joins the lines of a stack trace in one event",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Stateful(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The field with the line. If empty, it is `message`, or `log` in a record without `message`.
    #[serde(default)]
    pub message: String,
    /// The languages whose stack traces are joined.
    #[serde(default = "default_languages")]
    pub languages: OneOrMany<Language>,
    /// How long a stream may be silent before what is held of it leaves.
    #[serde(default = "default_multiline_flush_interval")]
    pub multiline_flush_interval: Interval,
    /// Most lines of one event. With more, the trace leaves as several events. 0 is no limit.
    #[serde(default = "default_max_lines")]
    pub max_lines: usize,
    /// Most bytes of one event. With more, the trace leaves as several events. 0 is no limit.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: Size,
    /// The field that tells streams apart, such as `stream`. Only lines of one tag and one stream are joined.
    pub stream: Option<FieldPath>,
    /// What stands between two lines. The default is a line feed, unless the line ends with one.
    pub join_separator: Option<String>,
    /// These first parts of the tag are removed, as in `raw` for `raw.app`.
    pub remove_tag_prefix: Option<String>,
    /// Most streams that hold lines. With more, the one that was silent longest lets go.
    #[serde(default = "default_max_streams")]
    pub max_streams: usize,
    /// Most bytes that are held. With more, the streams that were silent longest let go.
    #[serde(default = "default_max_total_bytes")]
    pub max_total_bytes: Size,
}

fn default_languages() -> OneOrMany<Language> {
    OneOrMany(vec![Language::All])
}

fn default_multiline_flush_interval() -> Interval {
    Interval::secs(1)
}

fn default_max_lines() -> usize {
    1000
}

fn default_max_bytes() -> Size {
    Size::mib(1)
}

fn default_max_streams() -> usize {
    10_000
}

fn default_max_total_bytes() -> Size {
    Size::mib(64)
}

/// The traces that are held, and the rules by which they are known.
#[derive(Debug)]
struct DetectExceptions {
    machine: Machine,
    /// The fields in which a line may stand; the first that a record has counts.
    keys: Vec<Arc<str>>,
    stream: Option<FieldPath>,
    remove_tag_prefix: Option<String>,
    lines: Lines<State>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn StatefulFilter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    if config.max_streams == 0 || config.max_total_bytes.0 == 0 {
        let path = if config.max_streams == 0 {
            "/max_streams"
        } else {
            "/max_total_bytes"
        };
        let error = ConfigError::at(path, "0 would let nothing be joined");
        return Err(vec![error.help("write 1 or more")]);
    }
    let machine = Machine::new(&config.languages.0)
        .map_err(|error| vec![ConfigError::at("/languages", error.to_string())])?;
    let no_limit = |limit: usize| if limit == 0 { usize::MAX } else { limit };
    let limits = Limits {
        lines: no_limit(config.max_lines),
        bytes: no_limit(config.max_bytes.as_usize()),
        streams: config.max_streams,
        total_bytes: config.max_total_bytes.as_usize(),
        idle: Some(config.multiline_flush_interval.0),
    };
    let shape = Shape {
        ends_once: config.join_separator.is_none(),
        separator: config.join_separator.unwrap_or_else(|| "\n".to_owned()),
        first_time: true,
        ..Shape::default()
    };
    let keys = match config.message.as_str() {
        "" => vec!["message".into(), "log".into()],
        key => vec![key.into()],
    };
    Ok(Box::new(DetectExceptions {
        machine,
        keys,
        stream: config.stream,
        remove_tag_prefix: config.remove_tag_prefix,
        lines: Lines::new(limits, shape, &cx.metrics),
    }))
}

impl DetectExceptions {
    /// The tag under which events go on.
    fn tag(&self, tag: &Tag) -> Tag {
        let prefix = self.remove_tag_prefix.as_deref().unwrap_or_default();
        let rest = tag.as_str().strip_prefix(prefix);
        match rest.and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) if !prefix.is_empty() => Tag::new(rest),
            _ => tag.clone(),
        }
    }

    fn one(
        &mut self,
        batch: &Batch,
        index: u32,
        event: &RawEvent<'_>,
        tag: &Tag,
        now: Instant,
        out: &mut Outbox,
    ) {
        let stream = self.stream.as_ref().and_then(|key| key.find(event.record));
        let identity = stream.map(RawValue::bytes).unwrap_or_default();
        self.lines.select(&batch.tag, identity);
        let text = |key: &Arc<str>| Some((Arc::clone(key), line(&event.record, key)?));
        let Some((key, text)) = self.keys.iter().find_map(text) else {
            self.lines.flush(out);
            return self.lines.pass(batch, index, event, tag, out);
        };
        let pending = self.lines.pending();
        let state = pending.and_then(|(state, held_in, _)| (*held_in == key).then_some(*state));
        let status = self.machine.step(state, text);
        if matches!(status, Status::Outside | Status::First(_)) {
            self.lines.flush(out);
        }
        match status {
            Status::Outside => self.lines.pass(batch, index, event, tag, out),
            Status::First(state) | Status::Inside(state) | Status::Last(state) => {
                let mut held = Held::new(batch, index, event);
                held.tag = tag.clone();
                self.lines.hold(held, &key, state, now, out);
            }
        }
        if matches!(status, Status::Last(_)) {
            self.lines.flush(out);
        }
    }
}

impl StatefulFilter for DetectExceptions {
    fn filter(&mut self, batch: &Batch, now: Instant, out: &mut Outbox) {
        let tag = self.tag(&batch.tag);
        for (index, event) in (0..).zip(batch.entries().map_while(Result::ok)) {
            self.one(batch, index, &event, &tag, now, out);
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
