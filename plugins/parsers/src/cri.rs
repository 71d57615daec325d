//! Parser `cri`: the lines of containerd and CRI-O, `TIME STREAM TAG TEXT`.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors, ParserTable},
    event::Time,
    msgpack::{DEPTH_MAX, RawValue, Reader, Token, write},
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Fields,
    rules::{Column, Common, Defaults, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "cri",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads the lines of containerd and CRI-O",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The field for the text that the container wrote. Kubernetes configurations often have `log`.
    #[serde(default = "default_message_key")]
    pub message_key: String,
    /// The field for `stdout` or `stderr`.
    #[serde(default = "default_stream_key")]
    pub stream_key: String,
    /// The field for the tags, such as `F` (the line is whole) and `P` (it goes on in the next one).
    #[serde(default = "default_logtag_key")]
    pub logtag_key: String,
    /// With `parse`: put the stream and the tags in the record too.
    #[serde(default = "yes")]
    pub merge_cri_fields: bool,
    /// A parser for the text that the container wrote: its fields take the place of the message. A text that it
    /// cannot read makes the line unreadable. If it finds no time, that of the line counts.
    pub parse: Option<ParserTable>,
    /// Those of every parser. `time_key` is `time`, and `keep_time_key` is true unless `parse` is there.
    #[serde(flatten)]
    pub common: Common,
}

fn default_message_key() -> String {
    "message".into()
}

fn default_stream_key() -> String {
    "stream".into()
}

fn default_logtag_key() -> String {
    "logtag".into()
}

fn yes() -> bool {
    true
}

struct Cri {
    rules: Rules,
    stream: Column,
    logtag: Column,
    message: Column,
    time: Column,
    inner: Option<Arc<dyn Parser>>,
    merge_cri_fields: bool,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let defaults = Defaults {
        time_key: Some("time"),
        keep_time_key: config.parse.is_none(),
        ..Defaults::NONE
    };
    let mut errors = Vec::new();
    let inner = config.parse.map(|table| cx.parser("/parse", &table));
    let inner = inner.transpose().map_err(|found| errors.extend(found));
    let rules = Rules::compile(&config.common, &defaults, cx).map_err(|found| errors.extend(found));
    let (Ok(inner), Ok(rules)) = (inner, rules) else {
        return Err(errors);
    };
    let column = |name: &str| Column {
        is_time: false,
        ..rules.column(name)
    };
    let time_key = config.common.time_key.as_deref().unwrap_or("time");
    Ok(Arc::new(Cri {
        stream: column(&config.stream_key),
        logtag: column(&config.logtag_key),
        message: column(&config.message_key),
        time: column(time_key),
        rules,
        inner,
        merge_cri_fields: config.merge_cri_fields,
    }))
}

/// The four parts of a line.
struct Line<'t> {
    time: &'t [u8],
    stream: &'t [u8],
    logtag: &'t [u8],
    text: &'t [u8],
}

impl<'t> Line<'t> {
    #[inline]
    fn split(line: &'t [u8]) -> Option<Self> {
        let (time, rest) = split_at_blank(line)?;
        let (stream, rest) = split_at_blank(rest)?;
        let (logtag, text) = split_at_blank(rest)?;
        Some(Self {
            time,
            stream,
            logtag,
            text,
        })
    }
}

#[inline]
fn split_at_blank(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b' ', text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

impl Parser for Cri {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let line = Line::split(text).ok_or_else(|| {
            ParseError::new("a line of a container is a time, a stream, its tags and a text, with blanks between them")
        })?;
        let time = self.rules.time_of_text(line.time)?;
        match &self.inner {
            None => self.write(&line, record)?,
            Some(inner) => {
                let start = record.len();
                let own = inner.parse(line.text, record)?;
                if self.merge_cri_fields || self.rules.keeps_time_key() {
                    self.merge(&line, start, record)?;
                }
                return Ok(own.or(Some(time)));
            }
        }
        Ok(Some(time))
    }
}

impl Cri {
    fn write(&self, line: &Line<'_>, record: &mut Vec<u8>) -> Result<(), ParseError> {
        let mut fields = Fields::begin(&self.rules, record);
        fields.column(&self.stream, line.stream)?;
        fields.column(&self.logtag, line.logtag)?;
        fields.column(&self.message, line.text)?;
        if self.rules.keeps_time_key() {
            fields.column(&self.time, line.time)?;
        }
        fields.end();
        Ok(())
    }

    /// Adds fields to the record that stands from `start` on. One that it has already is left out of it first.
    fn merge(&self, line: &Line<'_>, start: usize, record: &mut Vec<u8>) -> Result<(), ParseError> {
        let inner = record.split_off(start);
        let mut reader = Reader::new(&inner);
        let Ok(Token::Map(pairs)) = reader.token() else {
            return Err(ParseError::new("the inner parser made no record"));
        };
        let mut added = Vec::with_capacity(3);
        if self.merge_cri_fields {
            added.extend([(&self.stream, line.stream), (&self.logtag, line.logtag)]);
        }
        if self.rules.keeps_time_key() {
            added.push((&self.time, line.time));
        }
        let mut count = u32::try_from(added.len()).unwrap_or(u32::MAX);
        let mut kept = Vec::with_capacity(inner.len());
        for _ in 0..pairs {
            let (Ok(key), Ok(value)) = (reader.value(), reader.value()) else {
                break;
            };
            if !added.iter().any(|(column, _)| *column.key == *key.bytes()) {
                kept.extend_from_slice(key.bytes());
                kept.extend_from_slice(value.bytes());
                count += 1;
            }
        }
        write::map(record, count);
        record.extend_from_slice(&kept);
        for (column, text) in added {
            record.extend_from_slice(&column.key);
            self.rules.write_text(record, text, column.convert);
        }
        debug_assert!(
            record
                .get(start..)
                .is_some_and(|written| RawValue::parse(written).is_ok()),
            "the merged record is one value of at most {DEPTH_MAX} levels"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{check, refused};

    #[test]
    fn real_lines_are_read() {
        let cri = || json!({ "type": "cri" });
        check(
            cri(),
            "2020-10-10T00:10:00.333333333Z stdout F Hello Fluentd",
            "2020-10-10T00:10:00.333333333Z",
            json!({ "stream": "stdout", "logtag": "F", "message": "Hello Fluentd", "time": "2020-10-10T00:10:00.333333333Z" }),
        );
        let log = || json!({ "type": "cri", "message_key": "log", "keep_time_key": false });
        check(
            log(),
            "2024-01-02T03:04:05.1+09:00 stderr P half a",
            "2024-01-01T18:04:05.1Z",
            json!({ "stream": "stderr", "logtag": "P", "log": "half a" }),
        );
        check(
            log(),
            "2024-01-02T03:04:05Z stdout F ",
            "2024-01-02T03:04:05Z",
            json!({ "stream": "stdout", "logtag": "F", "log": "" }),
        );
        check(
            log(),
            "2024-01-02T03:04:05Z stdout F   two  blanks ",
            "2024-01-02T03:04:05Z",
            json!({ "stream": "stdout", "logtag": "F", "log": "  two  blanks " }),
        );
        check(
            log(),
            "2024-01-02T03:04:05Z stdout P:x a\ttab",
            "2024-01-02T03:04:05Z",
            json!({ "stream": "stdout", "logtag": "P:x", "log": "a\ttab" }),
        );
    }

    #[test]
    fn the_text_can_be_parsed_too() {
        let line =
            r#"2024-01-02T03:04:05.000000006Z stdout F {"level":"info","stream":"mine","n":1}"#;
        check(
            json!({ "type": "cri", "parse": { "type": "json" } }),
            line,
            "2024-01-02T03:04:05.000000006Z",
            json!({ "level": "info", "n": 1, "stream": "stdout", "logtag": "F" }),
        );
        check(
            json!({ "type": "cri", "merge_cri_fields": false, "parse": { "type": "json" } }),
            line,
            "2024-01-02T03:04:05.000000006Z",
            json!({ "level": "info", "stream": "mine", "n": 1 }),
        );
        check(
            json!({ "type": "cri", "keep_time_key": true, "parse": { "type": "json" } }),
            r#"2024-01-02T03:04:05Z stdout F {"time":7}"#,
            "1970-01-01T00:00:07Z",
            json!({ "stream": "stdout", "logtag": "F", "time": "2024-01-02T03:04:05Z" }),
        );
    }

    #[test]
    fn other_lines_are_refused() {
        let cri = || json!({ "type": "cri" });
        assert!(refused(cri(), "2024-01-02T03:04:05Z stdout F").contains("blanks"));
        assert!(refused(cri(), "").contains("blanks"));
        assert!(refused(cri(), "yesterday stdout F x").contains("time_format"));
        let inner = json!({ "type": "cri", "parse": { "type": "json" } });
        assert!(refused(inner, "2024-01-02T03:04:05Z stdout F text").contains("JSON"));
    }
}
