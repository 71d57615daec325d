//! The records: encoded once, with room for a counter.

use sdk::msgpack::{DEPTH_MAX, RawValue, write};
use serde_json::{Map, Value};

/// Longest encoding of a counter: a marker and eight bytes.
const COUNTER_BYTES: u64 = 9;
/// Longest encoding of what stands before a record: the entry, its time and the head of the map.
const HEAD_BYTES: u64 = 16;

/// Records that take turns.
#[derive(Debug)]
pub(crate) struct Samples {
    /// The pairs of each record without the head of the map, and their number.
    records: Vec<(Vec<u8>, u32)>,
    turn: usize,
    /// The encoded key of the counter, and its next value.
    counter: Option<(Vec<u8>, u64)>,
}

/// Why samples cannot be records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SampleError {
    #[error("there is no record in the list")]
    Empty,
    #[error("record {0} is nested deeper than {DEPTH_MAX} levels")]
    TooDeep(usize),
}

impl SampleError {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Empty => "write at least one record, or leave `sample` out",
            Self::TooDeep(_) => "make it flatter",
        }
    }
}

impl Samples {
    /// Encodes `samples`; a field of the name `counter_key` gives way to the counter.
    pub(crate) fn new(
        samples: &[Map<String, Value>],
        counter_key: Option<&str>,
    ) -> Result<Self, SampleError> {
        if samples.is_empty() {
            return Err(SampleError::Empty);
        }
        let mut records = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let fields = sample
                .iter()
                .filter(|(key, _)| Some(key.as_str()) != counter_key);
            let (mut pairs, mut count) = (Vec::new(), 0);
            for (key, value) in fields {
                write::str(&mut pairs, key);
                write::json(&mut pairs, value);
                count += 1;
            }
            let mut whole = Vec::new();
            write::map(&mut whole, count);
            whole.extend_from_slice(&pairs);
            RawValue::parse(&whole).map_err(|_| SampleError::TooDeep(index))?;
            records.push((pairs, count));
        }
        let counter = counter_key.map(|key| {
            let mut encoded = Vec::new();
            write::str(&mut encoded, key);
            (encoded, 0)
        });
        Ok(Self {
            records,
            turn: 0,
            counter,
        })
    }

    /// An upper limit of the bytes of one entry.
    pub(crate) fn largest_bytes(&self) -> u64 {
        let pairs = self.records.iter().map(|(pairs, _)| pairs.len()).max();
        let counter = self
            .counter
            .as_ref()
            .map_or(0, |(key, _)| key.len() as u64 + COUNTER_BYTES);
        HEAD_BYTES + pairs.unwrap_or_default() as u64 + counter
    }

    /// Appends the next record.
    pub(crate) fn write_next(&mut self, out: &mut Vec<u8>) {
        let turn = self.turn % self.records.len().max(1);
        self.turn = turn + 1;
        let Some((pairs, count)) = self.records.get(turn) else {
            return;
        };
        write::map(out, count + u32::from(self.counter.is_some()));
        out.extend_from_slice(pairs);
        if let Some((key, value)) = &mut self.counter {
            out.extend_from_slice(key);
            write::uint(out, *value);
            *value += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use sdk::testing::to_json;
    use serde_json::json;

    use super::*;

    fn maps(samples: &Value) -> Vec<Map<String, Value>> {
        serde_json::from_value(samples.clone()).unwrap()
    }

    #[test]
    fn records_take_turns_and_are_counted() {
        let samples = maps(&json!([{ "a": [1, { "b": null }], "n": "gone" }, {}]));
        let mut samples = Samples::new(&samples, Some("n")).unwrap();
        let mut next = || {
            let mut out = Vec::new();
            samples.write_next(&mut out);
            to_json(RawValue::parse(&out).unwrap())
        };
        assert_eq!(next(), json!({ "a": [1, { "b": null }], "n": 0 }));
        assert_eq!(next(), json!({ "n": 1 }));
        assert_eq!(next(), json!({ "a": [1, { "b": null }], "n": 2 }));
    }

    #[test]
    fn a_record_that_no_batch_can_hold_is_refused() {
        let mut deep = json!(1);
        for _ in 0..DEPTH_MAX {
            deep = json!([deep]);
        }
        let error = Samples::new(&maps(&json!([{}, { "a": deep }])), None).unwrap_err();
        assert!(matches!(error, SampleError::TooDeep(1)), "{error}");
        assert!(matches!(Samples::new(&[], None), Err(SampleError::Empty)));
    }
}
