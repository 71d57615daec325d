//! Text with placeholders that are filled in per event: `logs-${tag}-%Y.%m.%d`.

use std::{fmt::Write as _, str::FromStr};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    event::{FieldPath, Fields, RawEvent, Tag, Time},
    msgpack::{RawValue, Token},
};

/// What a template reads from an event.
pub trait EventView {
    /// The tag.
    fn tag(&self) -> &Tag;
    /// The time.
    fn time(&self) -> Time;
    /// A field.
    fn field(&self, path: &FieldPath) -> Option<RawValue<'_>>;
}

impl EventView for Fields<'_> {
    fn tag(&self) -> &Tag {
        Fields::tag(self)
    }
    fn time(&self) -> Time {
        Fields::time(self)
    }
    fn field(&self, path: &FieldPath) -> Option<RawValue<'_>> {
        self.get(path)
    }
}

impl EventView for (&Tag, RawEvent<'_>) {
    fn tag(&self) -> &Tag {
        self.0
    }
    fn time(&self) -> Time {
        self.1.time
    }
    fn field(&self, path: &FieldPath) -> Option<RawValue<'_>> {
        path.find(self.1.record)
    }
}

/// Compiled text with placeholders.
///
/// `${tag}`, `${tag_parts[N]}`, `${tag_prefix[N]}`, `${tag_suffix[N]}` (N may be negative, from the end),
/// `${record.a.b}` and `${record["a"]["b"]}`, `${time}`, `${hostname}`; `:-text` before the brace gives what
/// stands for a missing value. `%Y`, `%m` and so on are filled in by [`Template::render_time`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Placeholder {
        source: Source,
        default: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Tag,
    TagPart(isize),
    TagPrefix(isize),
    TagSuffix(isize),
    Record(FieldPath),
    Time,
    Hostname,
}

/// Why text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("`${{` is never closed")]
    Unclosed,
    /// Nothing of that name.
    #[error(
        "there is no placeholder `${{{0}}}`; use tag, tag_parts[N], tag_prefix[N], tag_suffix[N], record.KEY, time or hostname"
    )]
    Unknown(String),
    /// The path behind `record` is wrong.
    #[error("`${{{0}}}`: {1}")]
    Path(String, crate::event::PathError),
}

impl Template {
    /// The literal text before the first placeholder or, where `%` counts, the first `%`.
    pub fn literal_prefix(&self) -> &str {
        match self.segments.first() {
            Some(Segment::Literal(text)) => text.split('%').next().unwrap_or_default(),
            _ => "",
        }
    }

    /// Whether it has no placeholder of a record, so that one rendering serves a whole frame.
    pub fn reads_records(&self) -> bool {
        self.segments.iter().any(|segment| {
            matches!(
                segment,
                Segment::Placeholder {
                    source: Source::Record(_) | Source::Time,
                    ..
                }
            )
        })
    }

    /// Whether it contains `%`, so that [`Self::render_time`] depends on the event's time.
    pub fn reads_time(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::Literal(text) if text.contains('%')))
    }

    /// When it is exactly one placeholder of a record field: that field, whose type can then be kept.
    pub fn as_field(&self) -> Option<&FieldPath> {
        match self.segments.as_slice() {
            [
                Segment::Placeholder {
                    source: Source::Record(path),
                    default: None,
                },
            ] => Some(path),
            _ => None,
        }
    }

    /// Fills in the placeholders; `%` stays as it is. A missing value without a default becomes nothing.
    pub fn render(&self, event: &impl EventView, hostname: &str, out: &mut String) {
        self.render_with(
            event,
            hostname,
            out,
            |text, out| out.push_str(text),
            |value, out| out.push_str(value),
        );
    }

    /// Fills in the placeholders and `%Y` and so on, in `zone`. `clean` writes each filled-in value,
    /// so that it can be confined to what the target allows.
    pub fn render_time(
        &self,
        event: &impl EventView,
        hostname: &str,
        zone: &TimeZone,
        out: &mut String,
        clean: impl Fn(&str, &mut String),
    ) {
        let literal = |text: &str, out: &mut String| {
            if text.contains('%') {
                strftime(text, event.time(), zone, out);
            } else {
                out.push_str(text);
            }
        };
        self.render_with(event, hostname, out, literal, clean);
    }

    fn render_with(
        &self,
        event: &impl EventView,
        hostname: &str,
        out: &mut String,
        literal: impl Fn(&str, &mut String),
        clean: impl Fn(&str, &mut String),
    ) {
        let mut value = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => literal(text, out),
                Segment::Placeholder { source, default } => {
                    value.clear();
                    source.render(event, hostname, &mut value);
                    let filled = if value.is_empty() {
                        default.as_deref().unwrap_or_default()
                    } else {
                        &value
                    };
                    clean(filled, out);
                }
            }
        }
    }
}

/// Formats `time` by a strftime pattern; a pattern that cannot be formatted is written as it is.
fn strftime(pattern: &str, time: Time, zone: &TimeZone, out: &mut String) {
    let formatted = Timestamp::new(time.secs, i32::try_from(time.nanos).unwrap_or(0))
        .ok()
        .and_then(|stamp| {
            jiff::fmt::strtime::format(pattern, &stamp.to_zoned_datetime(zone.clone())).ok()
        });
    out.push_str(formatted.as_deref().unwrap_or(pattern));
}

impl Source {
    fn render(&self, event: &impl EventView, hostname: &str, out: &mut String) {
        let tag = event.tag().as_str();
        match self {
            Self::Tag => out.push_str(tag),
            Self::TagPart(n) => out.push_str(
                resolve(*n, tag)
                    .and_then(|n| tag.split('.').nth(n))
                    .unwrap_or_default(),
            ),
            Self::TagPrefix(n) => {
                let end = resolve(*n, tag)
                    .and_then(|n| tag.match_indices('.').nth(n))
                    .map_or(tag.len(), |(at, _)| at);
                out.push_str(tag.get(..end).unwrap_or_default());
            }
            Self::TagSuffix(n) => {
                let start = resolve(*n, tag)
                    .and_then(|n| n.checked_sub(1))
                    .and_then(|n| tag.match_indices('.').nth(n));
                out.push_str(
                    tag.get(start.map_or(0, |(at, _)| at + 1)..)
                        .unwrap_or_default(),
                );
            }
            Self::Record(path) => {
                if let Some(value) = event.field(path) {
                    write_text(value, out);
                }
            }
            Self::Time => strftime("%Y-%m-%dT%H:%M:%S%.fZ", event.time(), &TimeZone::UTC, out),
            Self::Hostname => out.push_str(hostname),
        }
    }
}

/// The index of a part of the tag; a negative one counts from the end.
fn resolve(index: isize, tag: &str) -> Option<usize> {
    usize::try_from(index)
        .ok()
        .or_else(|| tag.split('.').count().checked_sub(index.unsigned_abs()))
}

/// A scalar as text; a container or extension as nothing.
fn write_text(value: RawValue<'_>, out: &mut String) {
    // Writing to a String cannot fail.
    let _infallible = match value.token() {
        Token::Str(bytes) | Token::Bin(bytes) => {
            out.push_str(&String::from_utf8_lossy(bytes));
            Ok(())
        }
        Token::Int(number) => write!(out, "{number}"),
        Token::UInt(number) => write!(out, "{number}"),
        Token::F32(number) => write!(out, "{number}"),
        Token::F64(number) => write!(out, "{number}"),
        Token::Bool(truth) => write!(out, "{truth}"),
        Token::Nil | Token::Ext(..) | Token::Array(_) | Token::Map(_) => Ok(()),
    };
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once("${") {
            let (inner, behind) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
            if !literal.is_empty() {
                segments.push(Segment::Literal(literal.to_owned()));
            }
            let (name, default) = inner
                .split_once(":-")
                .map_or((inner, None), |(name, default)| (name, Some(default)));
            segments.push(Segment::Placeholder {
                source: source(name)?,
                default: default.map(str::to_owned),
            });
            rest = behind;
        }
        if !rest.is_empty() {
            segments.push(Segment::Literal(rest.to_owned()));
        }
        Ok(Self { segments })
    }
}

fn source(name: &str) -> Result<Source, TemplateError> {
    let unknown = || TemplateError::Unknown(name.to_owned());
    if let Some(path) = name
        .strip_prefix("record")
        .filter(|path| path.starts_with(['.', '[']))
    {
        let path = format!("${path}")
            .parse()
            .map_err(|error| TemplateError::Path(name.to_owned(), error))?;
        return Ok(Source::Record(path));
    }
    if let Some((what, index)) = name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        let index = index.parse().map_err(|_| unknown())?;
        return match what {
            "tag_parts" => Ok(Source::TagPart(index)),
            "tag_prefix" => Ok(Source::TagPrefix(index)),
            "tag_suffix" => Ok(Source::TagSuffix(index)),
            _ => Err(unknown()),
        };
    }
    match name {
        "tag" => Ok(Source::Tag),
        "time" => Ok(Source::Time),
        "hostname" => Ok(Source::Hostname),
        _ => Err(unknown()),
    }
}

super::format::text_value!(Template, "Template", "weir-template");
