//! Filter `stdout`: prints events on standard output and passes them on.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors, Zone},
    event::{Edit, Time},
    filter::Filter,
    json::{Clash, Lead, Writer, write_text as write_json_text},
    metrics::Counter,
    msgpack::{RawValue, Token, write_text},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "stdout",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Prints events on standard output and passes them on",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `stdout` writes time, tag and the record as JSON; `json` writes one JSON object with `time` and `tag`; `hash`
    /// writes time, tag and the record as Ruby shows it.
    #[serde(default)]
    pub format: Format,
    /// The zone of the time in front of a line. The format `json` always has UTC.
    #[serde(default = "default_timezone")]
    pub timezone: Zone,
}

/// How an event is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `2026-01-02 03:04:05.000000000 +0000 tag: {"a":1}`
    #[default]
    Stdout,
    /// `{"time":"...","tag":"...","a":1}`
    Json,
    /// `2026-01-02 03:04:05.000000000 +0000 tag: {"a"=>1}`
    Hash,
}

fn default_timezone() -> Zone {
    Zone::LOCAL
}

/// Where the lines go: standard output, or memory in tests.
type Stream = Arc<Mutex<dyn Write + Send>>;

struct Stdout {
    format: Format,
    timezone: Zone,
    stream: Stream,
    unwritten: Counter,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let stream = Arc::new(Mutex::new(io::stdout()));
    Ok(Arc::new(Stdout::new(config::parse(params)?, stream, cx)))
}

impl Stdout {
    fn new(config: Config, stream: Stream, cx: &BuildCx) -> Self {
        let help = "Events that could not be printed; they went on all the same";
        Self {
            format: config.format,
            timezone: config.timezone,
            stream,
            unwritten: cx.metrics.counter("filter_unprinted_records", help, &[]),
        }
    }

    fn line(&self, tag: &str, time: Time, record: RawValue<'_>) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let lead = match self.format {
            Format::Json => {
                let mut lead = Lead::new().time("time").string("tag", tag);
                lead.set_time(time);
                lead
            }
            Format::Stdout | Format::Hash => {
                write_time(&mut line, time, self.timezone.get());
                // A tag comes from the sender; it must not end the line.
                let clean = tag.replace(char::is_control, "_");
                line.extend_from_slice(format!(" {clean}: ").as_bytes());
                Lead::new()
            }
        };
        if self.format == Format::Hash {
            write_ruby(&mut line, record);
        } else {
            let mut clash = |name: &str, _: RawValue<'_>| Clash::Rename(format!("{name}_"));
            let written = Writer::default().record(&mut line, &lead, record, &mut clash);
            written.ok()?;
        }
        line.push(b'\n');
        Some(line)
    }

    fn print(&self, line: &[u8]) -> io::Result<()> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(line)?;
        stream.flush()
    }
}

impl Filter for Stdout {
    fn filter(&self, edit: &mut Edit<'_>) {
        let (tag, time) = (edit.tag().clone(), edit.time());
        let line = self.line(tag.as_str(), time, edit.record());
        if line.is_none_or(|line| self.print(&line).is_err()) {
            self.unwritten.inc();
        }
    }
}

/// Appends `2026-01-02 03:04:05.000000000 +0000`; a time beyond the year 9999 as its seconds.
fn write_time(out: &mut Vec<u8>, time: Time, zone: TimeZone) {
    let zoned = Timestamp::from_second(time.secs)
        .ok()
        .map(|stamp| stamp.to_zoned_datetime(zone));
    let text = |pattern| strtime::format(pattern, zoned.as_ref()?).ok();
    let second = text("%Y-%m-%d %H:%M:%S").unwrap_or_else(|| time.secs.to_string());
    let offset = text("%z").unwrap_or_else(|| "+0000".into());
    out.extend_from_slice(format!("{second}.{:09} {offset}", time.nanos).as_bytes());
}

/// Appends a value as Ruby shows it.
fn write_ruby(out: &mut Vec<u8>, value: RawValue<'_>) {
    match value.token() {
        Token::Nil => out.extend_from_slice(b"nil"),
        Token::Str(text) | Token::Bin(text) => write_json_text(out, text),
        Token::Array(_) => {
            out.push(b'[');
            for (at, item) in value.items().into_iter().flatten().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                write_ruby(out, item);
            }
            out.push(b']');
        }
        Token::Map(_) => {
            out.push(b'{');
            for (at, (name, value)) in value.pairs().into_iter().flatten().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                write_ruby(out, name);
                out.extend_from_slice(b"=>");
                write_ruby(out, value);
            }
            out.push(b'}');
        }
        _ => {
            let mut text = String::new();
            // Writing to memory cannot fail.
            let _infallible = write_text(value, &mut text);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use sdk::testing::{apply, records};
    use serde_json::{Value, json};

    use super::*;

    /// What is printed of these records; they all go on as they are.
    fn printed(params: Value, input: &[Value]) -> String {
        let text = Arc::new(Mutex::new(Vec::new()));
        let stream: Stream = Arc::clone(&text) as Stream;
        let config = config::parse(params).unwrap();
        let filter = Stdout::new(config, stream, &BuildCx::detached("test"));
        let applied = apply(Arc::new(filter), "app\nx", input);
        assert_eq!(records(&applied.batch.events), input);
        let text = text.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_line_has_time_tag_and_record() {
        let input = [json!({ "a": 1, "b": "x\ny" }), json!({})];
        let lines = "1970-01-01 09:00:00.000000000 +0900 app_x: {\"a\":1,\"b\":\"x\\ny\"}\n\
                     1970-01-01 09:00:01.000000000 +0900 app_x: {}\n";
        assert_eq!(printed(json!({ "timezone": "+09:00" }), &input), lines);
    }

    #[test]
    fn other_formats_are_one_object_or_what_ruby_shows() {
        let input = [json!({ "a": [1, null, 1.0], "tag": { "b": true } })];
        let json = "{\"time\":\"1970-01-01T00:00:00.000000000Z\",\"tag\":\"app\\nx\",\"a\":[1,null,1.0],\"tag_\":{\"b\":true}}\n";
        assert_eq!(printed(json!({ "format": "json" }), &input), json);
        let hash = "1970-01-01 00:00:00.000000000 +0000 app_x: {\"a\"=>[1, nil, 1.0], \"tag\"=>{\"b\"=>true}}\n";
        let params = json!({ "format": "hash", "timezone": "UTC" });
        assert_eq!(printed(params, &input), hash);
    }

    /// A closed standard output.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_that_cannot_be_printed_goes_on_and_is_counted() {
        let cx = BuildCx::detached("test");
        let stream: Stream = Arc::new(Mutex::new(Broken));
        let filter = Stdout::new(config::parse(json!({})).unwrap(), stream, &cx);
        let applied = apply(Arc::new(filter), "app", &[json!({ "a": 1 })]);
        assert_eq!(applied.batch.count, 1);
        assert!(
            cx.metrics
                .encode()
                .contains("weir_filter_unprinted_records_total 1")
        );
    }
}
