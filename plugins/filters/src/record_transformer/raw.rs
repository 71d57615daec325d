//! Any MessagePack that a sender may write, against a model on encoded pairs.

use std::sync::Arc;

use proptest::prelude::*;
use sdk::{
    event::{Batch, Chain, Entries, Tag, Time, write_event},
    filter::Filter,
    msgpack::{RawValue, write},
    obligation::Obligation,
    plugin::BuildCx,
};
use serde_json::json;

type Pair = (Vec<u8>, Vec<u8>);

fn encode(with: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    with(&mut out);
    out
}

/// Keys of every type, some of them twice as likely to meet another of the same name.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        encode(|out| write::str(out, "a")),
        encode(|out| write::str(out, "b")),
        encode(|out| write::bin(out, b"b")),
        // A long form of the same text.
        vec![0xd9, 1, b'a'],
        vec![0xda, 0, 1, b'b'],
        encode(|out| write::str(out, "")),
        encode(|out| write::str_bytes(out, b"\xff")),
        encode(|out| write::int(out, -1)),
        encode(write::nil),
        encode(|out| write::array(out, 0)),
    ])
}

/// Values of every type, also in long forms and with extensions.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| encode(|out| write::int(out, number))),
        any::<u8>().prop_map(|number| vec![0xcf, 0, 0, 0, 0, 0, 0, 0, number]),
        any::<f64>().prop_map(|number| encode(|out| write::f64(out, number))),
        any::<f32>().prop_map(|number| [&[0xca], &number.to_be_bytes()[..]].concat()),
        prop::collection::vec(any::<u8>(), 0..300)
            .prop_map(|bytes| encode(|out| write::str_bytes(out, &bytes))),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| encode(|out| write::bin(out, &bytes))),
        prop::sample::select(vec![
            vec![0xc0],
            vec![0xc2],
            vec![0xd4, 9, 1],
            vec![0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2]
        ]),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
            let head = encode(|out| write::array(out, u32::try_from(items.len()).unwrap()));
            [head, items.concat()].concat()
        });
        let table =
            prop::collection::vec((key(), inner), 0..4).prop_map(|pairs| encode_map(&pairs));
        prop_oneof![list, table]
    })
}

fn encode_map(pairs: &[Pair]) -> Vec<u8> {
    let mut out = encode(|out| write::map(out, u32::try_from(pairs.len()).unwrap()));
    for (key, value) in pairs {
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    out
}

fn named(key: &[u8], name: &str) -> bool {
    RawValue::parse(key).unwrap().as_bytes() == Some(name.as_bytes())
}

/// Sets `b` to 7 and `c` to what `b` was, and removes `a`.
fn expected(pairs: &[Pair]) -> Vec<Pair> {
    let old_b = pairs
        .iter()
        .rfind(|(key, _)| named(key, "b"))
        .map(|(_, value)| value.clone());
    let mut seen_b = false;
    let mut new: Vec<Pair> = Vec::new();
    for (key, value) in pairs {
        if named(key, "b") {
            if !seen_b {
                new.push((key.clone(), vec![7]));
            }
            seen_b = true;
        } else if !named(key, "a") {
            new.push((key.clone(), value.clone()));
        }
    }
    if !seen_b {
        new.push((encode(|out| write::str(out, "b")), vec![7]));
    }
    new.push((
        encode(|out| write::str(out, "c")),
        old_b.unwrap_or(vec![0xc0]),
    ));
    new
}

fn filter() -> Arc<dyn Filter> {
    let params = json!({ "record": { "b": 7, "c": "${record.b}" }, "remove_keys": ["a"] });
    super::build(params, &BuildCx::detached("test")).unwrap()
}

proptest! {
    #[test]
    fn what_is_not_edited_stays_byte_for_byte(
        records in prop::collection::vec(prop::collection::vec((key(), value()), 0..20), 1..4),
    ) {
        let mut events = Vec::new();
        for (secs, pairs) in (0_i64..).zip(&records) {
            write_event(&mut events, Time::from_secs(secs), &encode_map(pairs));
        }
        let count = u32::try_from(records.len()).unwrap();
        let batch = Batch::new(Tag::new("app"), events.into(), count, Obligation::nobody());
        let applied = Chain::new(vec![filter()]).apply(batch);
        prop_assert_eq!(applied.batch.count, count);
        let made: Vec<_> = Entries::new(&applied.batch.events).map(|event| event.unwrap()).collect();
        prop_assert_eq!(made.len(), records.len());
        for (event, pairs) in made.iter().zip(&records) {
            prop_assert_eq!(event.record.bytes(), encode_map(&expected(pairs)));
        }
    }
}
