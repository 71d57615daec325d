//! From JSON to MessagePack without a tree of values.

use std::fmt;

use sdk::msgpack::{DEPTH_MAX, write};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Reads every value of `text`, one behind the other with any white space between, and hands the MessagePack of each
/// record to `take`. A value is a record, or an array of records.
///
/// # Errors
/// What is wrong and where, never what stands there.
pub(crate) fn records(
    text: &[u8],
    take: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let mut values = serde_json::Deserializer::from_slice(text);
    let mut count = 0_u64;
    let mut scratch = Vec::new();
    loop {
        // `end` skips white space, and complains unless that was all.
        if values.end().is_ok() {
            return Ok(());
        }
        let top = Top {
            out: &mut scratch,
            count: &mut count,
            take,
        };
        if let Err(error) = top.deserialize(&mut values) {
            return Err(format!("record {}: {error}", count + 1));
        }
    }
}

/// A record, or an array of them.
struct Top<'a> {
    out: &'a mut Vec<u8>,
    count: &'a mut u64,
    take: &'a mut dyn FnMut(&[u8]) -> Result<(), String>,
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.out.clear();
        let whole = Whole {
            out: self.out,
            depth: 0,
        };
        whole.visit_map(map)?;
        (self.take)(self.out).map_err(A::Error::custom)?;
        *self.count += 1;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items
            .next_element_seed(Item {
                out: &mut *self.out,
                count: &mut *self.count,
                take: &mut *self.take,
            })?
            .is_some()
        {}
        Ok(())
    }

    // The text of a wrong value must not be in the message, as it would be by default.
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Err(no_record())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Err(no_record())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Err(no_record())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(no_record())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(no_record())
    }
    /// Fluentd passes over `null`.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

fn no_record<E: Error>() -> E {
    E::custom("a record must be an object")
}

/// A record in an array; no array in it.
struct Item<'a> {
    out: &'a mut Vec<u8>,
    count: &'a mut u64,
    take: &'a mut dyn FnMut(&[u8]) -> Result<(), String>,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.out.clear();
        let whole = Whole {
            out: &mut *self.out,
            depth: 0,
        };
        whole.deserialize(from)?;
        if self.out.first().is_none_or(|first| *first != MAP_32) {
            return Err(no_record());
        }
        (self.take)(self.out).map_err(D::Error::custom)?;
        *self.count += 1;
        Ok(())
    }
}

/// The header of a map whose size is written afterwards.
const MAP_32: u8 = 0xdf;
/// The same for an array.
const ARRAY_32: u8 = 0xdd;

/// Any value.
struct Whole<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl Whole<'_> {
    /// Writes a header with a size that is not known yet; returns where it stands.
    fn open<E: Error>(&mut self, header: u8) -> Result<usize, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!(
                "nested deeper than {DEPTH_MAX} levels"
            )));
        }
        self.out.push(header);
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        Ok(at)
    }

    fn close<E: Error>(&mut self, at: usize, count: usize) -> Result<(), E> {
        let count = u32::try_from(count).map_err(|_| E::custom("too many items"))?;
        if let Some(slot) = self.out.get_mut(at..at + 4) {
            slot.copy_from_slice(&count.to_be_bytes());
        }
        Ok(())
    }

    fn inner(&mut self) -> Whole<'_> {
        Whole {
            out: &mut *self.out,
            depth: self.depth + 1,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        write::bool(self.out, value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        write::int(self.out, value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        write::uint(self.out, value);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        write::f64(self.out, value);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        write::str(self.out, value);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        write::nil(self.out);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let at = self.open(ARRAY_32)?;
        let mut count = 0;
        while items.next_element_seed(self.inner())?.is_some() {
            count += 1;
        }
        self.close(at, count)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut pairs: A) -> Result<(), A::Error> {
        let at = self.open(MAP_32)?;
        let mut count = 0;
        while pairs.next_key_seed(self.inner())?.is_some() {
            pairs.next_value_seed(self.inner())?;
            count += 1;
        }
        self.close(at, count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sdk::{msgpack::RawValue, testing::to_json};
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Result<Vec<Value>, String> {
        let mut seen = Vec::new();
        records(text.as_bytes(), &mut |record| {
            seen.push(to_json(RawValue::parse(record).unwrap()));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn objects_arrays_and_lines_are_read_in_order() {
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read(" {\"a\": 1} "), Ok(vec![json!({ "a": 1 })]));
        let three = vec![
            json!({ "a": [1, { "b": null }] }),
            json!({}),
            json!({ "c": -1.5 }),
        ];
        assert_eq!(
            read(r#"[{"a":[1,{"b":null}]},{},{"c":-1.5}]"#),
            Ok(three.clone())
        );
        assert_eq!(
            read("{\"a\":[1,{\"b\":null}]}\n{}\r\n\n{\"c\":-1.5}\n"),
            Ok(three)
        );
        assert_eq!(read("null"), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_its_content() {
        for (text, said) in [
            (
                "{\"a\": 1}\n{\"secret\"",
                "record 2: EOF while parsing an object at line 2 column 9",
            ),
            (
                "[{}, \"secret\"]",
                "record 2: a record must be an object at line 1 column 14",
            ),
            (
                "\"secret\"",
                "record 1: a record must be an object at line 1 column 8",
            ),
            ("{} secret", "record 2: expected value at line 1 column 4"),
        ] {
            assert_eq!(read(text), Err(said.to_owned()), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert!(read(&deep).unwrap_err().contains("deeper than 64"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1.0e9..1.0e9).prop_map(Value::from),
            "\\PC{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,9}", inner, 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_object_reads_back_equal(value in any_json()) {
            let record = json!({ "value": value });
            prop_assert_eq!(read(&record.to_string()), Ok(vec![record]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(records(&bytes, &mut |_| Ok(())));
        }
    }
}
