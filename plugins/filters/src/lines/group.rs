//! Events that are held as the lines of one, and the event that they become.

use std::{collections::HashSet, sync::Arc};

use sdk::{
    event::Time,
    msgpack::{RawValue, Token, write, write_text},
    stateful::{Held, Outbox},
};

/// How the lines of a group become one event.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Stands between two lines.
    pub(crate) separator: String,
    /// Leaves the separator out behind a line that ends with it.
    pub(crate) ends_once: bool,
    /// Whether the event has the time of its first line, and not that of its last.
    pub(crate) first_time: bool,
    /// Fields that only told how to join, and are taken out.
    pub(crate) remove: Vec<String>,
    /// The field with the place of a line among the others, where they may come out of order.
    pub(crate) ordinal: Option<String>,
}

/// The lines of one stream so far.
#[derive(Debug)]
pub(crate) struct Group {
    key: Arc<str>,
    parts: Vec<Held>,
    bytes: usize,
}

impl Group {
    /// A group of lines that stand in the field `key`.
    pub(crate) fn new(key: &Arc<str>) -> Self {
        Self {
            key: Arc::clone(key),
            parts: Vec::new(),
            bytes: 0,
        }
    }

    /// The field in which the lines stand.
    pub(crate) fn key(&self) -> &Arc<str> {
        &self.key
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, held: Held) {
        self.bytes += held.entry.len();
        self.parts.push(held);
    }

    /// The lines leave, each as it came, to the `ERROR` label.
    pub(crate) fn fail(self, reason: &str, out: &mut Outbox) {
        for part in self.parts {
            out.fail_held(part, reason);
        }
    }

    /// The lines leave as one event.
    pub(crate) fn leave(mut self, shape: &Shape, out: &mut Outbox) {
        if let Some(ordinal) = &shape.ordinal {
            self.parts.sort_by_key(|part| ordinal_of(part, ordinal));
        }
        let Some(first) = self.parts.first() else {
            return;
        };
        let tag = first.tag.clone();
        if self.parts.len() == 1 && !shape.removes_from(first) {
            self.parts.into_iter().for_each(|part| out.release(part));
            return;
        }
        let time = self.time(shape);
        let record = self.record(shape);
        out.merge(self.parts, &tag, time, &record);
    }

    fn time(&self, shape: &Shape) -> Time {
        let part = if shape.first_time {
            self.parts.first()
        } else {
            self.parts.last()
        };
        let event = part.and_then(Held::event);
        event.map_or_else(Time::default, |event| event.time)
    }

    /// The fields of the first line, with all lines in the place of its own; then what only later lines have.
    fn record(&self, shape: &Shape) -> Vec<u8> {
        let lines = self.text(shape);
        let mut seen: HashSet<&[u8]> = HashSet::new();
        seen.extend(shape.remove.iter().map(String::as_bytes));
        let (mut pairs, mut count) = (Vec::with_capacity(self.bytes), 0_u32);
        let records = self.parts.iter().filter_map(Held::event);
        for record in records.map(|event| event.record) {
            for (name, value) in record.pairs().into_iter().flatten() {
                if !seen.insert(name_of(name)) {
                    continue;
                }
                count += 1;
                pairs.extend_from_slice(name.bytes());
                if name_of(name) == self.key.as_bytes() {
                    write::str_bytes(&mut pairs, &lines);
                } else {
                    // Of equal names the last one is what a reader sees.
                    let value = record.get(name_of(name)).unwrap_or(value);
                    pairs.extend_from_slice(value.bytes());
                }
            }
        }
        let mut out = Vec::with_capacity(pairs.len() + 5);
        write::map(&mut out, count);
        out.append(&mut pairs);
        out
    }

    fn text(&self, shape: &Shape) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.bytes);
        let mut last: Option<&[u8]> = None;
        for event in self.parts.iter().filter_map(Held::event) {
            let separator = shape.separator.as_bytes();
            if last.is_some_and(|line| !(shape.ends_once && line.ends_with(separator))) {
                text.extend_from_slice(separator);
            }
            let line = line(&event.record, &self.key).unwrap_or_default();
            text.extend_from_slice(line);
            last = Some(line);
        }
        text
    }
}

impl Shape {
    fn removes_from(&self, held: &Held) -> bool {
        held.event()
            .is_some_and(|event| self.removed(event.record) > 0)
    }

    /// Writes the record without the fields to be taken out. `false`, and nothing is written, when it has none.
    pub(super) fn strip(&self, record: RawValue<'_>, out: &mut Vec<u8>) -> bool {
        let (removed, all) = (self.removed(record), record.pairs());
        if removed == 0 {
            return false;
        }
        let count = all.clone().into_iter().flatten().count() - removed;
        write::map(out, u32::try_from(count).unwrap_or(u32::MAX));
        for (name, value) in all.into_iter().flatten() {
            if !self.removes(name) {
                out.extend_from_slice(name.bytes());
                out.extend_from_slice(value.bytes());
            }
        }
        true
    }

    fn removed(&self, record: RawValue<'_>) -> usize {
        if self.remove.is_empty() {
            return 0;
        }
        let pairs = record.pairs().into_iter().flatten();
        pairs.filter(|(name, _)| self.removes(*name)).count()
    }

    fn removes(&self, name: RawValue<'_>) -> bool {
        let name = name_of(name);
        self.remove.iter().any(|field| field.as_bytes() == name)
    }
}

/// The line in a record: the text of the field `key`.
pub(crate) fn line<'a>(record: &RawValue<'a>, key: &str) -> Option<&'a [u8]> {
    record.get(key.as_bytes())?.as_bytes()
}

/// The text of a field that is text, a number or truth.
pub(crate) fn scalar(record: RawValue<'_>, key: &str) -> Option<String> {
    let value = record.get(key.as_bytes())?;
    if matches!(value.token(), Token::Array(_) | Token::Map(_)) {
        return None;
    }
    let mut text = String::new();
    write_text(value, &mut text).ok()?;
    Some(text)
}

fn name_of(name: RawValue<'_>) -> &[u8] {
    name.as_bytes().unwrap_or(name.bytes())
}

fn ordinal_of(held: &Held, field: &str) -> u64 {
    let text = held.event().and_then(|event| scalar(event.record, field));
    text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}
