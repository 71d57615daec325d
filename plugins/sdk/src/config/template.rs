//! Text with placeholders that are filled in per event: `logs-${tag}-%Y.%m.%d`.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    event::{FieldPath, Fields, RawEvent, Tag, Time},
    json,
    msgpack::{RawValue, Token, write_text},
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
/// `${record.a.b}` and `${record["a"]["b"]}` (a list or table is its JSON), `${time}`, `${hostname}`; `:-text` before
/// the brace gives what stands for a missing value. `%Y`, `%m` and so on are filled in by [`Template::render_time`] only.
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

    /// When it is exactly one placeholder of a record field: that field, and what stands for a missing value.
    pub fn as_field_or_default(&self) -> Option<(&FieldPath, Option<&str>)> {
        match self.segments.as_slice() {
            [
                Segment::Placeholder {
                    source: Source::Record(path),
                    default,
                },
            ] => Some((path, default.as_deref())),
            _ => None,
        }
    }

    /// The fields of the record that it reads, in order.
    pub fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Placeholder {
                source: Source::Record(path),
                ..
            } => Some(path),
            _ => None,
        })
    }

    /// Fills in the placeholders; `%` stays as it is. A missing value without a default becomes nothing.
    pub fn render(&self, event: &impl EventView, hostname: &str, out: &mut String) {
        self.fill(event, hostname, out);
    }

    /// The same, as bytes at the end of `out`; they are UTF-8.
    pub fn render_bytes(&self, event: &impl EventView, hostname: &str, out: &mut Vec<u8>) {
        self.fill(event, hostname, &mut Utf8(out));
    }

    fn fill(&self, event: &impl EventView, hostname: &str, out: &mut impl Text) {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => push(text, out),
                Segment::Placeholder { source, default } => {
                    let before = out.len();
                    source.render(event, hostname, out);
                    if out.len() == before {
                        push(default.as_deref().unwrap_or_default(), out);
                    }
                }
            }
        }
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
        let mut value = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) if text.contains('%') => {
                    strftime(text, event.time(), zone, out);
                }
                Segment::Literal(text) => out.push_str(text),
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

/// Where a template is written: text whose length tells whether a placeholder was empty.
trait Text: fmt::Write {
    fn len(&self) -> usize;
}

impl Text for String {
    fn len(&self) -> usize {
        String::len(self)
    }
}

struct Utf8<'a>(&'a mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Text for Utf8<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Writing to memory cannot fail, so there is no error to hand on.
fn push(text: &str, out: &mut impl fmt::Write) {
    let _infallible = out.write_str(text);
}

/// Formats `time` by a strftime pattern; a pattern that cannot be formatted is written as it is.
fn strftime(pattern: &str, time: Time, zone: &TimeZone, out: &mut impl fmt::Write) {
    let formatted = Timestamp::new(time.secs, i32::try_from(time.nanos).unwrap_or(0))
        .ok()
        .and_then(|stamp| {
            jiff::fmt::strtime::format(pattern, &stamp.to_zoned_datetime(zone.clone())).ok()
        });
    push(formatted.as_deref().unwrap_or(pattern), out);
}

impl Source {
    fn render(&self, event: &impl EventView, hostname: &str, out: &mut impl fmt::Write) {
        let tag = event.tag().as_str();
        match self {
            Self::Tag => push(tag, out),
            Self::TagPart(n) => push(
                resolve(*n, tag)
                    .and_then(|n| tag.split('.').nth(n))
                    .unwrap_or_default(),
                out,
            ),
            Self::TagPrefix(n) => {
                let end = resolve(*n, tag).map(|n| tag.match_indices('.').nth(n));
                let end = end.map_or(0, |dot| dot.map_or(tag.len(), |(at, _)| at));
                push(tag.get(..end).unwrap_or_default(), out);
            }
            Self::TagSuffix(n) => {
                let start = resolve(*n, tag).map(|n| n.checked_sub(1));
                let start = start.map(|before| before.and_then(|n| tag.match_indices('.').nth(n)));
                let start = start.map_or(tag.len(), |dot| dot.map_or(0, |(at, _)| at + 1));
                push(tag.get(start..).unwrap_or_default(), out);
            }
            Self::Record(path) => match event.field(path) {
                Some(value) if matches!(value.token(), Token::Array(_) | Token::Map(_)) => {
                    let mut text = Vec::new();
                    json::write_value(&mut text, value);
                    push(&String::from_utf8_lossy(&text), out);
                }
                Some(value) => {
                    let _infallible = write_text(value, out);
                }
                None => {}
            },
            Self::Time => {
                let mut text = Vec::new();
                json::write_time(&mut text, event.time());
                push(std::str::from_utf8(&text).unwrap_or_default(), out);
            }
            Self::Hostname => push(hostname, out),
        }
    }
}

/// The index of a part of the tag; a negative one counts from the end. `None` when there is no such part.
fn resolve(index: isize, tag: &str) -> Option<usize> {
    let count = tag.split('.').count();
    let index = usize::try_from(index)
        .ok()
        .or_else(|| count.checked_sub(index.unsigned_abs()));
    index.filter(|index| *index < count)
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

/// Whether something outside quotes looks like Ruby, which would silently name a field that never is there.
fn is_expression(path: &str) -> bool {
    let mut quote = None;
    path.chars().any(|letter| {
        if quote.is_none() && matches!(letter, '"' | '\'') {
            quote = Some(letter);
        } else if quote == Some(letter) {
            quote = None;
        }
        quote.is_none() && (letter.is_whitespace() || "()|&?+*=<>!,;".contains(letter))
    })
}

fn source(name: &str) -> Result<Source, TemplateError> {
    let unknown = || TemplateError::Unknown(name.to_owned());
    if let Some(path) = name
        .strip_prefix("record")
        .filter(|path| path.starts_with(['.', '[']))
    {
        if is_expression(path) {
            return Err(unknown());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Entries, testing::events};

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let events = events(&[serde_json::json!({ "a": { "b": 1.5 }, "s": "x", "n": null })]);
        let event = Entries::new(&events).next().unwrap().unwrap();
        let (tag, template): (_, Template) = (Tag::new("one.two.three"), template.parse().unwrap());
        let (mut text, mut bytes, mut timed) = (String::new(), Vec::new(), String::new());
        template.render(&(&tag, event), "host", &mut text);
        template.render_bytes(&(&tag, event), "host", &mut bytes);
        template.render_time(
            &(&tag, event),
            "host",
            &TimeZone::UTC,
            &mut timed,
            |value, out| {
                out.push_str(value);
            },
        );
        assert_eq!(text, expected);
        assert_eq!(bytes, expected.as_bytes());
        assert_eq!(timed, expected);
    }

    #[test]
    fn every_placeholder_is_filled_in() {
        check("<${tag}>", "<one.two.three>");
        check("${tag_parts[0]} ${tag_parts[-1]}", "one three");
        check(
            "${tag_prefix[0]} ${tag_prefix[1]} ${tag_prefix[-1]}",
            "one one.two one.two.three",
        );
        check(
            "${tag_suffix[0]} ${tag_suffix[1]} ${tag_suffix[-1]}",
            "one.two.three two.three three",
        );
        check(
            "${record[\"a\"][\"b\"]} ${record.s}@${hostname}",
            "1.5 x@host",
        );
        check("${record.a}", "{\"b\":1.5}");
        check("${time}", "1970-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn what_is_missing_is_nothing_or_the_default() {
        check("<${record.none}${record.n}>", "<>");
        check("${record.none:-d}${record.s:-d}", "dx");
        check(
            "<${tag_parts[3]}${tag_prefix[3]}${tag_suffix[3]}${tag_suffix[-4]}>",
            "<>",
        );
    }

    #[test]
    fn mistakes_are_named() {
        let complaint = |text: &str| text.parse::<Template>().unwrap_err().to_string();
        assert_eq!(complaint("${tag"), "`${` is never closed");
        assert!(complaint("${tags}").starts_with("there is no placeholder `${tags}`"));
        for ruby in [
            "record.a.upcase()",
            "record.a || 1",
            "record[\"a\"].to_s + 'b'",
        ] {
            let text = format!("${{{ruby}}}");
            assert!(
                complaint(&text).starts_with("there is no placeholder"),
                "{text}"
            );
        }
        assert!("${record['a (b)'].c-d}".parse::<Template>().is_ok());
        assert!(complaint("${record[0]}").contains("must begin with a key"));
    }
}
