//! `chunk_keys`: what the records of a chunk have in common.
//!
//! The key of a frame is that of its first record. Batches are parted before they are stored (`parting.rs`), so that all
//! records of a frame have it; frames that were stored under other settings go with their first record. So nothing of it
//! is on disk, and a buffer can be read with any keys: they say which records go together, never where one goes.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use sdk::{
    event::{Entries, FieldPath, RawEvent, Tag, Time},
    msgpack::{RawValue, write_text},
    output::Frame,
};

/// What the records of a chunk have in common, as bytes.
pub(super) type Key = Arc<[u8]>;

/// Which records may be in one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkKeys {
    /// Those with one tag.
    pub tag: bool,
    /// Those of one slot of time.
    pub time: Option<TimeKey>,
    /// Those with the same values in these fields. A missing field is a value of its own.
    pub fields: Vec<FieldPath>,
}

/// The slots of time: Fluentd's `timekey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeKey {
    /// `timekey`: length of a slot in seconds; never 0.
    pub slot_secs: u32,
    /// `timekey_wait`: how long after the end of its slot a chunk is due. `None`: the slots only divide.
    pub wait: Option<Duration>,
    /// `timekey_zone`: where a day begins at midnight.
    pub zone: TimeZone,
}

/// In which order chunks leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChunkOrder {
    /// As they are due; one that fails is overtaken.
    #[default]
    None,
    /// Those of one key one after the other; one that fails holds up its key.
    PerChunkKey,
    /// All one after the other; one that fails holds up the output.
    Strict,
}

impl TimeKey {
    /// Where the slot of a time begins, in seconds since 1970.
    pub(super) fn slot(&self, time: Time) -> i64 {
        let timestamp = Timestamp::from_second(time.secs).ok();
        let offset = timestamp.map_or(0, |at| i64::from(self.zone.to_offset(at).seconds()));
        time.secs - (time.secs + offset).rem_euclid(i64::from(self.slot_secs.max(1)))
    }

    /// When a chunk of this slot that was begun at `stored_ms` is due, in milliseconds since 1970; `None`: like any
    /// other. A record from a slot after the next one waits no longer than one of now.
    fn due_ms(&self, slot: i64, stored_ms: u64) -> Option<u64> {
        let wait = u64::try_from(self.wait?.as_millis()).unwrap_or(u64::MAX);
        let slot_ms = u64::from(self.slot_secs) * 1_000;
        let begins = u64::try_from(slot).map_or(0, |secs| secs.saturating_mul(1_000));
        let is_near = begins <= stored_ms.saturating_add(slot_ms);
        let begins = if is_near { begins } else { stored_ms };
        Some(begins.saturating_add(slot_ms).saturating_add(wait))
    }
}

impl ChunkKeys {
    /// Whether records are told apart at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether records of one batch may have different keys.
    pub(super) fn look_inside(&self) -> bool {
        self.time.is_some() || !self.fields.is_empty()
    }

    /// The key of a frame.
    pub(super) fn key(&self, frame: &Frame) -> Key {
        let mut text = String::new();
        self.write_key(&frame.tag, first_event(frame).as_ref(), &mut text);
        text.into_bytes().into()
    }

    /// When a chunk that begins with this frame is due, in milliseconds since 1970; `None`: like any other.
    pub(super) fn due_ms(&self, frame: &Frame, stored_ms: u64) -> Option<u64> {
        let key = self.time.as_ref()?;
        key.due_ms(key.slot(first_event(frame)?.time), stored_ms)
    }

    /// Writes the key of an event. What varies in length stands behind its length.
    pub(super) fn write_key(&self, tag: &Tag, event: Option<&RawEvent<'_>>, out: &mut String) {
        if self.tag {
            put(tag.as_str(), out);
        }
        let Some(event) = event else { return };
        if let Some(key) = &self.time {
            put(&key.slot(event.time).to_string(), out);
        }
        for path in &self.fields {
            match path.find(event.record) {
                Some(value) => put(&text_of(value), out),
                None => out.push('-'),
            }
        }
    }
}

fn first_event(frame: &Frame) -> Option<RawEvent<'_>> {
    Entries::new(&frame.events).next()?.ok()
}

fn text_of(value: RawValue<'_>) -> String {
    let mut text = String::new();
    // A string takes whatever is written.
    write_text(value, &mut text).ok();
    text
}

fn put(value: &str, out: &mut String) {
    write!(out, "{}:{value}", value.len()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(zone: TimeZone, wait: Option<Duration>) -> TimeKey {
        TimeKey {
            slot_secs: 86_400,
            wait,
            zone,
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone() {
        let seoul = day(TimeZone::get("Asia/Seoul").unwrap(), None);
        let utc = day(TimeZone::UTC, None);
        // 2026-01-01T16:00:00Z is the 2nd of January in Seoul, which began at 15:00.
        let time = Time::from_secs(1_767_283_200);
        assert_eq!(utc.slot(time), 1_767_225_600);
        assert_eq!(seoul.slot(time), 1_767_279_600);
        assert_eq!(utc.slot(Time::from_secs(-1)), -86_400);
        assert_eq!(utc.slot(Time::from_secs(i64::MIN / 2)) % 86_400, 0);
    }

    #[test]
    fn a_chunk_waits_for_the_end_of_its_slot_unless_that_is_far_off() {
        let key = day(TimeZone::UTC, Some(Duration::from_mins(10)));
        let stored_ms = 100 * 86_400_000 + 5;
        let wait = 600_000;
        assert_eq!(
            key.due_ms(100 * 86_400, stored_ms),
            Some(101 * 86_400_000 + wait)
        );
        assert_eq!(
            key.due_ms(3 * 86_400, stored_ms),
            Some(4 * 86_400_000 + wait)
        );
        let next = key.due_ms(101 * 86_400, stored_ms);
        assert_eq!(next, Some(102 * 86_400_000 + wait));
        let in_future = key.due_ms(5_000 * 86_400, stored_ms);
        assert_eq!(in_future, Some(stored_ms + 86_400_000 + wait));
        assert_eq!(day(TimeZone::UTC, None).due_ms(0, stored_ms), None);
    }
}
