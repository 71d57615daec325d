//! JSON compared with `serde_json`, `jiff` and the table of what JSON has no word for.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    event::Time,
    msgpack::{DEPTH_MAX, write},
};

const DOCUMENT: Names = Names::Document {
    reserved: &["_id", "_index"],
};

fn text(encoded: &[u8]) -> String {
    let mut out = b"before ".to_vec();
    write_value(&mut out, RawValue::parse(encoded).unwrap());
    String::from_utf8(out)
        .unwrap()
        .strip_prefix("before ")
        .unwrap()
        .to_owned()
}

fn of_json(value: &serde_json::Value) -> Vec<u8> {
    let mut out = Vec::new();
    write::json(&mut out, value);
    out
}

fn of_rmpv(value: &rmpv::Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

fn record(names: Names, lead: &Lead, encoded: &[u8], clash: &Clash) -> Result<String, Unwritable> {
    let mut out = b"before ".to_vec();
    let record = RawValue::parse(encoded).unwrap();
    let done = Writer::new(names).record(&mut out, lead, record, &mut |_, _| clash.clone());
    let out = String::from_utf8(out).unwrap();
    let out = out.strip_prefix("before ").unwrap();
    done.map(|()| out.to_owned())
        .inspect_err(|_| assert_eq!(out, ""))
}

#[test]
fn what_json_has_no_word_for() {
    let check = |encoded: &[u8], expected: &str| assert_eq!(text(encoded), expected);
    let of = |value: rmpv::Value| of_rmpv(&value);
    check(&of(f64::NAN.into()), "null");
    check(&of(f64::INFINITY.into()), "null");
    check(&of(rmpv::Value::F32(f32::NEG_INFINITY)), "null");
    check(&of(rmpv::Value::F32(0.1)), "0.1");
    check(&of((0.1_f64 + 0.2).into()), "0.30000000000000004");
    check(&of(1.0_f64.into()), "1.0");
    check(&of((-0.0_f64).into()), "-0.0");
    check(&of(1.0e300_f64.into()), "1e+300");
    check(&of(u64::MAX.into()), "18446744073709551615");
    check(&of(i64::MIN.into()), "-9223372036854775808");
    check(
        &of(rmpv::Value::Binary(b"text \xc3\xa9".into())),
        r#""text é""#,
    );
    check(
        &of(rmpv::Value::Binary(vec![0xff, 0x00, 0x01])),
        r#""/wAB""#,
    );
    check(
        &of(rmpv::Value::Ext(7, vec![1, 2])),
        r#"{"ext":7,"data":"AQI="}"#,
    );
    check(
        &of(rmpv::Value::Ext(-1, vec![0; 4])),
        r#"{"ext":-1,"data":"AAAAAA=="}"#,
    );
    check(
        &of(rmpv::Value::Ext(0, vec![1])),
        r#"{"ext":0,"data":"AQ=="}"#,
    );
    let event_time = [0xd7, 0, 0x65, 0x53, 0xf1, 0, 0, 0, 0, 42];
    check(&event_time, r#""2023-11-14T22:13:20.000000042Z""#);
}

#[test]
fn text_is_valid_utf8_and_stays_on_one_line() {
    let check = |bytes: &[u8], expected: &str| {
        let mut encoded = Vec::new();
        write::str_bytes(&mut encoded, bytes);
        assert_eq!(text(&encoded), expected);
    };
    check(b"", r#""""#);
    check(
        b"a\"b\\c/\n\r\t\x08\x0c\x00\x1f\x7f",
        "\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\\u0000\\u001f\x7f\"",
    );
    check("한글 🦀 \u{2028}".as_bytes(), "\"한글 🦀 \u{2028}\"");
    check(b"ok \xff\xfe end", "\"ok \u{fffd}\u{fffd} end\"");
    // One U+FFFD per maximal part of a sequence, as `String::from_utf8_lossy`.
    check(b"\xe2\x82 \xf0\x9f\xa6\"", "\"\u{fffd} \u{fffd}\\\"\"");
}

#[test]
fn keys_are_text_and_unique() {
    let check = |pairs: Vec<(rmpv::Value, i64)>, expected: &str| {
        let pairs = pairs.into_iter().map(|(key, value)| (key, value.into()));
        assert_eq!(text(&of_rmpv(&rmpv::Value::Map(pairs.collect()))), expected);
    };
    let binary = |bytes: &[u8]| rmpv::Value::Binary(bytes.to_vec());
    check(
        vec![("a".into(), 1), ("b".into(), 2), ("a".into(), 3)],
        r#"{"b":2,"a":3}"#,
    );
    check(vec![("1".into(), 1), (1.into(), 2)], r#"{"1":2}"#);
    check(vec![("a".into(), 1), (binary(b"a"), 2)], r#"{"a":2}"#);
    check(
        vec![
            (rmpv::Value::Nil, 1),
            (true.into(), 2),
            ((-5).into(), 3),
            (1.5.into(), 4),
            (f64::NAN.into(), 5),
        ],
        r#"{"null":1,"true":2,"-5":3,"1.5":4,"NaN":5}"#,
    );
    check(
        vec![
            (binary(&[0xff]), 1),
            (rmpv::Value::Array(vec![1.into()]), 2),
        ],
        r#"{"/w==":1,"kQE=":2}"#,
    );
    check(
        vec![("".into(), 1), ("q\"\n".into(), 2)],
        r#"{"":1,"q\"\n":2}"#,
    );
}

#[test]
fn of_many_equal_keys_the_last_one_stays() {
    let mut encoded = Vec::new();
    write::map(&mut encoded, 2_000);
    for number in 0..2_000_i64 {
        write::str(&mut encoded, &format!("k{}", number % 1_000));
        write::int(&mut encoded, number);
    }
    let value: serde_json::Value = serde_json::from_str(&text(&encoded)).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), 1_000);
    assert!((0..1_000).all(|n| object[&format!("k{n}")] == n + 1_000));
}

#[test]
fn equal_keys_deep_down_cost_no_more_than_the_walk() {
    // Were each level written twice, this would be 2 to the power of 60 writes.
    let mut value = json!(1);
    let mut expected = json!(1);
    for _ in 0..60 {
        value = json!({ "x": value, "a": 1 });
        expected = json!({ "x": expected, "a": 2 });
    }
    let mut pairs = of_json(&value);
    // {"x": .., "a": 1} -> {"x": .., "a": 1, "a": 2} on every level: the tail of each level is its "a".
    let (head, tail) = (&[0x82, 0xa1, b'x'], &[0xa1, b'a', 1]);
    let count = pairs.windows(3).filter(|at| at == head).count();
    assert_eq!(count, 60);
    pairs = [&[0x83, 0xa1, b'x'][..]]
        .repeat(60)
        .concat()
        .into_iter()
        .chain([1])
        .chain([&tail[..], &[0xa1, b'a', 2]].concat().repeat(60))
        .collect();
    assert_eq!(text(&pairs), expected.to_string());
}

#[test]
fn the_deepest_value_is_written() {
    let mut encoded = vec![0x91; DEPTH_MAX];
    encoded.push(0x07);
    let expected = format!("{}7{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert_eq!(text(&encoded), expected);
    let encoded = [[0x81, 0xa1, b'k'].repeat(DEPTH_MAX), vec![0xc0]].concat();
    let expected = format!(
        "{}null{}",
        r#"{"k":"#.repeat(DEPTH_MAX),
        "}".repeat(DEPTH_MAX)
    );
    assert_eq!(text(&encoded), expected);
}

#[test]
fn names_of_documents_are_those_an_index_takes() {
    let check = |key: &str, expected: &str| {
        let encoded = of_json(&json!({ "in": { key: 1 } }));
        let expected = format!(r#"{{"in":{{"{expected}":1}}}}"#);
        assert_eq!(
            record(DOCUMENT, &Lead::new(), &encoded, &Clash::Lead),
            Ok(expected)
        );
    };
    let cases = [
        ("", "_"),
        (" ", "_"),
        (".", "_"),
        ("..", "__"),
        (".a", "_a"),
        ("a.", "a_"),
        ("a..b", "a__b"),
        (".kubernetes.io/name-is-long", "_kubernetes.io/name-is-long"),
        ("a.b.c", "a.b.c"),
        ("a. .b", "a._.b"),
        ("_id", "_id"),
        ("a b", "a b"),
        (
            "app.kubernetes.io/name-is-long",
            "app.kubernetes.io/name-is-long",
        ),
    ];
    for (key, expected) in cases {
        check(key, expected);
    }
    let top = |key: &str| {
        record(
            DOCUMENT,
            &Lead::new(),
            &of_json(&json!({ key: 1 })),
            &Clash::Lead,
        )
    };
    assert_eq!(top("_id"), Ok(r#"{"_id_":1}"#.into()));
    assert_eq!(top("_idx"), Ok(r#"{"_idx":1}"#.into()));
    let container = rmpv::Value::Map(vec![(rmpv::Value::Map(vec![]), 1.into())]);
    let refused = record(DOCUMENT, &Lead::new(), &of_rmpv(&container), &Clash::Lead);
    assert_eq!(refused, Err(Unwritable::ContainerKey));
}

#[test]
fn leading_fields_come_first_and_clashes_are_decided() {
    let mut lead = Lead::new().time("@timestamp").string("tag", "a\"b");
    lead.set_time(Time { secs: 1, nanos: 2 });
    let lead_text = r#""@timestamp":"1970-01-01T00:00:01.000000002Z","tag":"a\"b""#;
    let check = |record_of: serde_json::Value, clash: Clash, expected: &str| {
        let written = record(Names::Any, &lead, &of_json(&record_of), &clash);
        assert_eq!(written, Ok(expected.replace("LEAD", lead_text)));
    };
    check(json!({}), Clash::Lead, "{LEAD}");
    check(json!({ "a": 1 }), Clash::Lead, r#"{LEAD,"a":1}"#);
    check(json!({ "a": 1, "tag": 2 }), Clash::Lead, r#"{LEAD,"a":1}"#);
    check(
        json!({ "tag": 2, "a": 1 }),
        Clash::Record,
        r#"{"@timestamp":"1970-01-01T00:00:01.000000002Z","tag":2,"a":1}"#,
    );
    check(
        json!({ "@timestamp": "x", "tag": 3 }),
        Clash::Record,
        r#"{"@timestamp":"x","tag":3}"#,
    );
    let renamed = || Clash::Rename("old".into());
    check(json!({ "tag": 2 }), renamed(), r#"{LEAD,"old":2}"#);
    check(
        json!({ "tag": 2, "old": 1 }),
        renamed(),
        r#"{LEAD,"old":1}"#,
    );
}

#[test]
fn the_time_of_a_lead_follows_every_second() {
    let mut lead = Lead::new().string("a", "b").time("t").string("c", "d");
    let far = 300_000_000_000;
    for (secs, nanos, expected) in [
        (0, 5, "1970-01-01T00:00:00.000000005Z"),
        (0, 999_999_999, "1970-01-01T00:00:00.999999999Z"),
        (1, 7, "1970-01-01T00:00:01.000000007Z"),
        (far, 1, "+011476-08-15T05:20:00.000000001Z"),
        (far, 2, "+011476-08-15T05:20:00.000000002Z"),
        (-1, 0, "1969-12-31T23:59:59.000000000Z"),
    ] {
        lead.set_time(Time { secs, nanos });
        let expected = format!(r#"{{"a":"b","t":"{expected}","c":"d","x":null}}"#);
        let encoded = of_json(&json!({ "x": null }));
        assert_eq!(
            record(Names::Any, &lead, &encoded, &Clash::Lead),
            Ok(expected)
        );
        let clash = of_json(&json!({ "c": 1 }));
        let written = record(Names::Any, &lead, &clash, &Clash::Record).unwrap();
        assert!(written.ends_with(r#"Z","c":1}"#), "{written}");
    }
}

#[test]
fn the_time_of_a_lead_has_as_many_digits_as_asked_for() {
    let mut out = Vec::new();
    let mut check = |digits: u8, time: Time, expected: &str| {
        let mut lead = Lead::new().time_to("t", digits).string("a", "b");
        // From another time of another length, and the same second again.
        for (time, expected) in [
            (
                Time {
                    secs: i64::MAX / 2,
                    nanos: 0,
                },
                None,
            ),
            (time, Some(expected)),
            (time, Some(expected)),
        ] {
            lead.set_time(time);
            let record = RawValue::parse(&[0x80]).unwrap();
            out.clear();
            let clash = &mut |_: &str, _: RawValue<'_>| Clash::Lead;
            Writer::default()
                .record(&mut out, &lead, record, clash)
                .unwrap();
            if let Some(expected) = expected {
                let text = format!(r#"{{"t":"{expected}","a":"b"}}"#);
                assert_eq!(String::from_utf8_lossy(&out), text);
            }
        }
    };
    let time = Time {
        secs: 1_764_000_000,
        nanos: 987_654_321,
    };
    check(0, time, "2025-11-24T16:00:00Z");
    check(1, time, "2025-11-24T16:00:00.9Z");
    check(3, time, "2025-11-24T16:00:00.987Z");
    check(8, time, "2025-11-24T16:00:00.98765432Z");
    check(9, time, "2025-11-24T16:00:00.987654321Z");
    check(200, time, "2025-11-24T16:00:00.987654321Z");
    // As long as a usual text with nine digits, and yet not one.
    let late = Time {
        secs: 376_200_000_000,
        nanos: 123_456_789,
    };
    check(6, late, "+013891-04-21T16:00:00.123456Z");
}

#[test]
fn every_second_of_64_bits_has_a_text() {
    for secs in [
        i64::MIN,
        i64::MIN + 1,
        -62_167_219_201,
        253_402_300_800,
        i64::MAX,
    ] {
        let mut out = Vec::new();
        write_time(
            &mut out,
            Time {
                secs,
                nanos: 999_999_999,
            },
        );
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.starts_with(['-', '+']) && out.ends_with(".999999999Z"),
            "{out}"
        );
    }
}

/// Any tree that JSON can hold, with strings that need care.
fn tree() -> impl Strategy<Value = serde_json::Value> {
    let text = || prop_oneof![".{0,40}", "[ -~]{0,70}", "[\"\\\\\u{0}-\u{1f}a-c]{0,30}"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
        "[a-z\u{80}-\u{800}]{1500,5000}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 128, 80, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..10).prop_map(Into::into),
            prop::collection::vec((text(), inner.clone()), 0..20)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            prop::collection::vec(("[a-d]{0,4}", inner), 60..80)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Any MessagePack, with keys that repeat.
fn packed() -> impl Strategy<Value = rmpv::Value> {
    let leaf = prop_oneof![
        Just(rmpv::Value::Nil),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f32>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[ab]{0,2}".prop_map(Into::into),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(rmpv::Value::Binary),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(kind, data)| rmpv::Value::Ext(kind, data)),
    ];
    leaf.prop_recursive(5, 64, 12, |inner| {
        let key = prop_oneof![
            3 => "[ab]{0,2}".prop_map(Into::into),
            1 => inner.clone(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(rmpv::Value::Array),
            prop::collection::vec((key, inner), 0..12).prop_map(rmpv::Value::Map),
        ]
    })
}

/// The same rules, by decoding; floats as text, because reading one back is not exact.
fn expected(value: &rmpv::Value) -> serde_json::Value {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    match value {
        rmpv::Value::Nil => json!(null),
        rmpv::Value::Boolean(value) => json!(value),
        rmpv::Value::Integer(number) => number
            .as_i64()
            .map_or_else(|| json!(number.as_u64()), |number| json!(number)),
        rmpv::Value::F32(number) => serde_json::from_str(&json!(number).to_string())
            .map(|_: serde_json::Value| {
                serde_json::from_str(&serde_json::to_string(number).unwrap()).unwrap()
            })
            .unwrap(),
        rmpv::Value::F64(number) => {
            serde_json::from_str(&serde_json::to_string(number).unwrap()).unwrap()
        }
        rmpv::Value::String(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        rmpv::Value::Binary(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json!(STANDARD.encode(bytes)),
        },
        rmpv::Value::Ext(0, data) if data.len() == 8 => {
            let half = |from: usize| u32::from_be_bytes(data[from..from + 4].try_into().unwrap());
            let nanos = i32::try_from(half(4).min(999_999_999)).unwrap();
            json!(format!(
                "{:.9}",
                Timestamp::new(half(0).into(), nanos).unwrap()
            ))
        }
        rmpv::Value::Ext(kind, data) => json!({ "ext": kind, "data": STANDARD.encode(data) }),
        rmpv::Value::Array(items) => items.iter().map(expected).collect(),
        rmpv::Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| (expected_key(key), expected(value)))
            .collect(),
    }
}

fn expected_key(key: &rmpv::Value) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    match key {
        rmpv::Value::Ext(0, data) if data.len() == 8 => expected(key).as_str().unwrap().to_owned(),
        rmpv::Value::Ext(..) | rmpv::Value::Array(_) | rmpv::Value::Map(_) => {
            STANDARD.encode(of_rmpv(key))
        }
        rmpv::Value::F64(number) if number.is_nan() => "NaN".into(),
        rmpv::Value::F32(number) if number.is_nan() => "NaN".into(),
        rmpv::Value::F64(number) if number.is_infinite() => number.to_string(),
        rmpv::Value::F32(number) if number.is_infinite() => number.to_string(),
        rmpv::Value::F32(number) => serde_json::to_string(number).unwrap(),
        rmpv::Value::F64(number) => serde_json::to_string(number).unwrap(),
        other => match expected(other) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

/// How often a name stands in one object somewhere in the text; `serde_json` keeps the last.
fn names_written(text: &str) -> usize {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Node {
        Object(Pairs),
        Array(Vec<Node>),
        Other(serde::de::IgnoredAny),
    }
    struct Pairs(Vec<Node>);
    impl<'de> serde::Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Pairs;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some((_, node)) = map.next_entry::<String, Node>()? {
                        pairs.push(node);
                    }
                    Ok(Pairs(pairs))
                }
            }
            from.deserialize_map(Visit)
        }
    }
    fn count(node: &Node) -> usize {
        match node {
            Node::Object(Pairs(nodes)) => nodes.len() + nodes.iter().map(count).sum::<usize>(),
            Node::Array(nodes) => nodes.iter().map(count).sum(),
            Node::Other(_) => 0,
        }
    }
    count(&serde_json::from_str(text).unwrap())
}

fn names_expected(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Object(pairs) => {
            pairs.len() + pairs.values().map(names_expected).sum::<usize>()
        }
        serde_json::Value::Array(items) => items.iter().map(names_expected).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn what_json_can_say_is_written_as_serde_json_does(value in tree()) {
        prop_assert_eq!(text(&of_json(&value)), serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn any_value_becomes_the_expected_tree(value in packed()) {
        let written = text(&of_rmpv(&value));
        let expected = expected(&value);
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), expected.clone());
        prop_assert_eq!(names_written(&written), names_expected(&expected));
    }

    #[test]
    fn what_is_escaped_may_stand_anywhere(contents in "[a!#\\[\\]\"\\\\\n\t\u{0}\u{1f}\u{20}\u{7f}\u{e9}]{0,80}") {
        let written = text(&of_json(&serde_json::json!(contents)));
        prop_assert_eq!(written, serde_json::to_string(&contents).unwrap());
    }

    #[test]
    fn any_bytes_become_the_text_that_std_makes_of_them(bytes: Vec<u8>) {
        let mut out = Vec::new();
        write_text(&mut out, &bytes);
        let lossy = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&lossy).unwrap());
    }

    #[test]
    fn one_writer_serves_any_records(values in prop::collection::vec(packed(), 1..6)) {
        let mut writer = Writer::default();
        let lead = Lead::new().string("a", "lead");
        for value in values {
            let mut out = Vec::new();
            let encoded = of_rmpv(&value);
            let raw = RawValue::parse(&encoded).unwrap();
            let done = writer.record(&mut out, &lead, raw, &mut |_, _| Clash::Lead);
            let mut expected = expected(&value);
            let Some(object) = expected.as_object_mut().filter(|_| value.is_map()) else {
                prop_assert!(done.is_err() && out.is_empty());
                continue;
            };
            object.insert("a".into(), "lead".into());
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), expected);
        }
    }

    #[test]
    fn times_are_those_of_the_library(secs in -62_167_219_200_i64..=253_402_207_200, nanos in 0_u32..1_000_000_000) {
        let mut out = Vec::new();
        write_time(&mut out, Time { secs, nanos });
        // Beyond the year 0 the library counts the nanoseconds backwards.
        let stamp = Timestamp::from_nanosecond(i128::from(secs) * 1_000_000_000 + i128::from(nanos)).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{stamp:.9}"));
    }
}
