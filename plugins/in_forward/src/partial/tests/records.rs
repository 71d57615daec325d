//! What a part is, and what becomes of several.

use sdk::{
    event::{Time, write_event},
    msgpack::{RawValue, write},
    testing,
};
use serde_json::{Value, json};

use super::kit::*;
use crate::partial::fields::{Fields, Form, join, may_hold_parts, read};

fn read_json(record: &Value) -> Option<(Vec<u8>, u32, bool)> {
    let mut bytes = Vec::new();
    write::json(&mut bytes, record);
    let Fields {
        id,
        ordinal,
        is_last,
    } = read(RawValue::parse(&bytes).unwrap())?;
    Some((id.to_vec(), ordinal, is_last))
}

#[test]
fn reads_the_fields_of_docker() {
    assert_eq!(
        read_json(&record("ab", 12, true, "x")),
        Some((b"ab".to_vec(), 12, true))
    );
    assert!(may_hold_parts(&entry(&record("ab", 12, true, "x"))));
    assert!(!may_hold_parts(&entry(&line("x"))));
}

#[test]
fn what_cannot_be_joined_is_no_part() {
    for (field, value) in [
        ("partial_message", json!("false")),
        ("partial_message", json!(true)),
        ("partial_id", json!("")),
        ("partial_id", json!("i".repeat(257))),
        ("partial_id", json!(7)),
        ("partial_ordinal", json!("0")),
        ("partial_ordinal", json!("-1")),
        ("partial_ordinal", json!("65537")),
        ("partial_ordinal", json!("99999999999999999999")),
        ("partial_ordinal", json!("one")),
        ("partial_last", json!("yes")),
        ("log", json!({ "nested": 1 })),
    ] {
        let mut record = record("id", 1, false, "x");
        record[field] = value.clone();
        assert_eq!(read_json(&record), None, "{field} = {value}");
        record.as_object_mut().unwrap().remove(field);
        assert_eq!(read_json(&record), None, "without {field}");
    }
    // Docker before 19.03 says no more than this.
    assert_eq!(
        read_json(&json!({ "log": "x", "partial_message": "true" })),
        None
    );
    assert_eq!(read_json(&json!([1])), None);
}

#[test]
fn a_whole_line_is_a_record_without_the_fields_of_parts() {
    let entries: Vec<_> = (1..=3)
        .map(|n| entry(&record("id", n, n == 3, &format!("<{n}>"))))
        .collect();
    let slices = || entries.iter().map(|entry| &entry[..]);
    let mut out = b"before".to_vec();
    assert!(join(&slices(), Form::Whole, &mut out));
    assert_eq!(testing::records(&out[6..]), [line("<1><2><3>")]);
    out.clear();
    assert!(join(&slices().take(2), Form::Stretch, &mut out));
    assert_eq!(testing::records(&out), [record("id", 1, false, "<1><2>")]);
    out.clear();
    assert!(join(&slices().skip(1), Form::Stretch, &mut out));
    assert_eq!(testing::records(&out), [record("id", 2, true, "<2><3>")]);
}

#[test]
fn time_type_and_bytes_are_those_of_the_first_part() {
    let raw = |secs, log: &[u8], is_bin: bool| {
        let mut map = Vec::new();
        write::map(&mut map, 1);
        write::str(&mut map, "log");
        if is_bin {
            write::bin(&mut map, log);
        } else {
            write::str_bytes(&mut map, log);
        }
        let mut out = Vec::new();
        write_event(&mut out, Time { secs, nanos: 5 }, &map);
        out
    };
    for is_bin in [true, false] {
        // A character that Docker cut in two, and so many bytes that every length needs another header.
        for len in [1, 40, 300, 70_000] {
            let filler = vec![b'x'; len];
            let (first, second) = (
                raw(9, &[&filler[..], b"\xc3"].concat(), is_bin),
                raw(10, b"\xa9", !is_bin),
            );
            let mut out = Vec::new();
            let entries = [&first[..], &second[..]];
            assert!(join(&entries.into_iter(), Form::Whole, &mut out));
            assert_eq!(out, raw(9, &[&filler[..], b"\xc3\xa9"].concat(), is_bin));
        }
    }
}

#[test]
fn what_is_no_part_after_all_leaves_nothing_behind() {
    let (good, bad) = (
        entry(&record("id", 1, false, "a")),
        entry(&json!({ "partial_last": "true" })),
    );
    for entries in [vec![&good[..], &bad[..]], vec![&bad[..], &good[..]], vec![]] {
        let mut out = b"before".to_vec();
        if entries.first() == Some(&&bad[..]) {
            continue;
        }
        assert!(!join(&entries.into_iter(), Form::Whole, &mut out));
        assert_eq!(out, b"before");
    }
}
