//! Records on their way into batches, one batch for each tag.

use sdk::{
    event::{Tag, Time, write_event},
    msgpack::{Reader, Token, write},
};

/// Events by their tags, in the order in which the tags came up.
#[derive(Debug, Default)]
pub struct Gather {
    groups: Vec<Group>,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) tag: Tag,
    pub(crate) events: Vec<u8>,
    pub(crate) count: u32,
}

impl Gather {
    /// Adds an event; `record` is an encoded map.
    pub fn add(&mut self, tag: &Tag, time: Time, record: &[u8]) {
        let known = self.groups.iter().position(|group| group.tag == *tag);
        let index = known.unwrap_or_else(|| {
            self.groups.push(Group {
                tag: tag.clone(),
                events: Vec::new(),
                count: 0,
            });
            self.groups.len() - 1
        });
        if let Some(group) = self.groups.get_mut(index) {
            let before = group.events.len();
            write_event(&mut group.events, time, record);
            group.count += 1;
            self.bytes += group.events.len() - before;
        }
    }

    /// How much was gathered, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn take(&mut self) -> Vec<Group> {
        self.bytes = 0;
        std::mem::take(&mut self.groups)
    }
}

/// Sets fields of an encoded record, each a key and a text. A field that is there already goes away first.
pub fn set_fields(record: &mut Vec<u8>, fields: &[(&str, &str)]) {
    if fields.is_empty() {
        return;
    }
    let mut out = Vec::with_capacity(record.len() + 32 * fields.len());
    let mut reader = Reader::new(record);
    let Ok(Token::Map(pairs)) = reader.token() else {
        return;
    };
    let start = reader.position();
    let mut kept = Vec::with_capacity(record.len());
    let mut count = 0_u32;
    for _ in 0..pairs {
        let from = reader.position();
        let (Ok(key), Ok(())) = (reader.value(), reader.skip()) else {
            return;
        };
        let is_set = |(name, _): &(&str, &str)| key.as_bytes() == Some(name.as_bytes());
        if !fields.iter().any(is_set) {
            kept.extend_from_slice(record.get(from..reader.position()).unwrap_or_default());
            count += 1;
        }
    }
    debug_assert!(start <= record.len(), "the header is part of the record");
    let added = u32::try_from(fields.len()).unwrap_or(u32::MAX);
    write::map(&mut out, count.saturating_add(added));
    out.extend_from_slice(&kept);
    for (key, value) in fields {
        write::str(&mut out, key);
        write::str(&mut out, value);
    }
    *record = out;
}

/// Takes a field out of an encoded record and returns it when it is a number.
pub fn take_number(record: &mut Vec<u8>, name: &str) -> Option<u64> {
    let mut reader = Reader::new(record);
    let Ok(Token::Map(pairs)) = reader.token() else {
        return None;
    };
    let start = reader.position();
    let mut found = None;
    for _ in 0..pairs {
        let from = reader.position();
        let key = reader.value().ok()?;
        let value = reader.value().ok()?;
        if key.as_bytes() == Some(name.as_bytes()) {
            let number = match value.token() {
                Token::Int(number) => u64::try_from(number).ok(),
                _ => None,
            };
            found = Some((from..reader.position(), number));
        }
    }
    let (range, number) = found?;
    let mut out = Vec::with_capacity(record.len());
    write::map(&mut out, pairs - 1);
    out.extend_from_slice(record.get(start..range.start).unwrap_or_default());
    out.extend_from_slice(record.get(range.end..).unwrap_or_default());
    *record = out;
    number
}

#[cfg(test)]
mod tests {
    use sdk::{msgpack::RawValue, testing::to_json};
    use serde_json::{Value, json};

    use super::*;

    fn encode(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        write::json(&mut out, value);
        out
    }

    fn decode(record: &[u8]) -> Value {
        to_json(RawValue::parse(record).unwrap())
    }

    #[test]
    fn fields_are_set_and_replaced() {
        let mut record = encode(&json!({ "a": 1, "host": "old", "b": [2] }));
        set_fields(&mut record, &[("host", "new"), ("c", "x")]);
        assert_eq!(
            decode(&record),
            json!({ "a": 1, "b": [2], "host": "new", "c": "x" })
        );
        set_fields(&mut record, &[]);
        assert_eq!(decode(&record)["host"], "new");
    }

    #[test]
    fn a_number_is_taken_out() {
        let mut record = encode(&json!({ "pri": 34, "a": 1 }));
        assert_eq!(take_number(&mut record, "pri"), Some(34));
        assert_eq!(decode(&record), json!({ "a": 1 }));
        assert_eq!(take_number(&mut record, "pri"), None);
        assert_eq!(decode(&record), json!({ "a": 1 }));
    }

    #[test]
    fn events_stand_by_their_tags() {
        let mut gather = Gather::default();
        for (tag, number) in [("a", 1), ("b", 2), ("a", 3)] {
            gather.add(
                &Tag::new(tag),
                Time::from_secs(0),
                &encode(&json!({ "n": number })),
            );
        }
        assert!(gather.bytes() > 0);
        let groups = gather.take();
        let seen: Vec<_> = groups
            .iter()
            .map(|group| {
                (
                    group.tag.as_str(),
                    group.count,
                    sdk::testing::records(&group.events),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("a", 2, vec![json!({ "n": 1 }), json!({ "n": 3 })]),
                ("b", 1, vec![json!({ "n": 2 })]),
            ]
        );
        assert_eq!(gather.bytes(), 0);
    }
}
