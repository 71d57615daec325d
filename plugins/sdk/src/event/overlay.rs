//! Pending edits of one event, and writing them out.

use std::ops::Range;

use crate::{
    event::Time,
    msgpack::{RawValue, Reader, Token, write},
};

/// Pending changes to one record. Kept between events so that its memory is reused.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    ops: Vec<Op>,
    arena: Vec<u8>,
    pub(super) scratch: Vec<u8>,
    spans: Vec<(Range<usize>, Option<usize>)>,
    renewed: bool,
    pub(super) time: Option<Time>,
    /// A whole record in the place of the one that came; empty when there is none.
    pub(super) base: Vec<u8>,
    /// The same for Fluent Bit's metadata.
    pub(super) metadata_new: Vec<u8>,
}

#[derive(Debug)]
struct Op {
    key: Range<usize>,
    /// `None` removes the key.
    value: Option<Range<usize>>,
    /// The key stands in the record already, so the value takes that place.
    in_place: bool,
}

/// What edits say of a top-level key.
pub(super) enum Edited<'a> {
    /// Nothing: the record tells.
    Untouched,
    /// It is not there any more.
    Gone,
    /// It has this value.
    Value(RawValue<'a>),
}

impl Overlay {
    pub(super) fn clear(&mut self) {
        self.ops.clear();
        self.arena.clear();
        self.renewed = false;
        self.time = None;
        self.base.clear();
        self.metadata_new.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        let record_stays = self.ops.is_empty() && !self.renewed && self.base.is_empty();
        record_stays && self.time.is_none() && self.metadata_new.is_empty()
    }

    /// The record that the edits belong to: `came`, unless another took its place.
    #[inline]
    pub(super) fn base<'s>(&'s self, came: RawValue<'s>) -> RawValue<'s> {
        if self.base.is_empty() {
            came
        } else {
            RawValue::from_checked(&self.base)
        }
    }

    pub(super) fn metadata<'s>(&'s self, came: RawValue<'s>) -> RawValue<'s> {
        if self.metadata_new.is_empty() {
            came
        } else {
            RawValue::from_checked(&self.metadata_new)
        }
    }

    /// Works the edits of fields into a new base.
    pub(super) fn settle(&mut self, came: RawValue<'_>) {
        if self.ops.is_empty() && !self.renewed {
            return;
        }
        let mut new = Vec::with_capacity(came.bytes().len() + self.arena.len());
        self.write_record(came, &mut new);
        self.ops.clear();
        self.arena.clear();
        self.renewed = false;
        self.base = new;
    }

    /// Starts the record anew, without a field.
    pub(super) fn renew(&mut self) {
        self.ops.clear();
        self.arena.clear();
        self.base.clear();
        self.renewed = true;
    }

    /// What the edits say of a top-level key.
    #[inline]
    pub(super) fn edited(&self, key: &[u8]) -> Edited<'_> {
        let untouched = if self.renewed {
            Edited::Gone
        } else {
            Edited::Untouched
        };
        if self.ops.is_empty() {
            return untouched;
        }
        let Some(op) = self.find(key) else {
            return untouched;
        };
        let value = op.value.clone().and_then(|range| self.arena.get(range));
        value.map_or(Edited::Gone, |value| {
            Edited::Value(RawValue::from_checked(value))
        })
    }

    fn key(&self, op: &Op) -> &[u8] {
        self.arena.get(op.key.clone()).unwrap_or_default()
    }

    fn find(&self, key: &[u8]) -> Option<&Op> {
        self.ops.iter().find(|op| self.key(op) == key)
    }

    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let value = value.map(|value| self.keep(value));
        if let Some(index) = self.ops.iter().position(|op| self.key(op) == key) {
            if let Some(op) = self.ops.get_mut(index) {
                op.value = value;
            }
            return;
        }
        let key = self.keep(key);
        self.ops.push(Op {
            key,
            value,
            in_place: false,
        });
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    /// Writes the record with the edits: replaced values in their old places, new keys at the end.
    pub(super) fn write_record(&mut self, came: RawValue<'_>, out: &mut Vec<u8>) {
        let base = std::mem::take(&mut self.base);
        let record = if base.is_empty() {
            came
        } else {
            RawValue::from_checked(&base)
        };
        self.write_edited(record, out);
        self.base = base;
    }

    fn write_edited(&mut self, record: RawValue<'_>, out: &mut Vec<u8>) {
        let kept = if self.renewed { 0 } else { self.plan(record) };
        let added = self
            .ops
            .iter()
            .filter(|op| op.value.is_some() && !op.in_place)
            .count();
        write::map(out, kept + u32::try_from(added).unwrap_or(u32::MAX));
        for (span, op) in &self.spans {
            out.extend_from_slice(record.bytes().get(span.clone()).unwrap_or_default());
            let value = op
                .and_then(|index| self.ops.get(index))
                .and_then(|op| op.value.clone());
            out.extend_from_slice(
                value
                    .and_then(|range| self.arena.get(range))
                    .unwrap_or_default(),
            );
        }
        for op in self.ops.iter().filter(|op| !op.in_place) {
            let Some(value) = op.value.clone() else {
                continue;
            };
            write::str_bytes(out, self.key(op));
            out.extend_from_slice(self.arena.get(value).unwrap_or_default());
        }
        self.spans.clear();
    }

    /// Splits the record into spans to copy, each with the edit whose value follows it.
    /// Returns how many pairs they make.
    fn plan(&mut self, record: RawValue<'_>) -> u32 {
        self.spans.clear();
        let mut reader = Reader::new(record.bytes());
        let Ok(Token::Map(left)) = reader.token() else {
            return 0;
        };
        let mut kept = 0;
        let mut from = reader.position();
        for _ in 0..left {
            let start = reader.position();
            let Ok(key) = reader.value() else { break };
            let behind_key = reader.position();
            if reader.skip().is_err() {
                break;
            }
            let op = key
                .as_bytes()
                .and_then(|key| self.ops.iter().position(|op| self.key(op) == key));
            let Some(index) = op else {
                kept += 1;
                continue;
            };
            let Some(op) = self.ops.get_mut(index) else {
                break;
            };
            let replaced = op.value.is_some() && !op.in_place;
            op.in_place = true;
            kept += u32::from(replaced);
            let end = if replaced { behind_key } else { start };
            self.spans.push((from..end, replaced.then_some(index)));
            from = reader.position();
        }
        self.spans.push((from..reader.position(), None));
        kept
    }
}
