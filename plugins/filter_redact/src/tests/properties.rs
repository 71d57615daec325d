//! What holds for every record.

use proptest::prelude::*;
use sdk::{
    event::Entries,
    msgpack::{RawValue, write},
    testing::{events, to_json},
};

use super::*;
use crate::{
    detectors::DETECTORS,
    finds::finds,
    scan::{Place, What},
    text::Text,
    walk::{Outcome, Walk},
};

/// Pieces of values, near-values and the like.
const PIECES: [&str; 52] = [
    "alice@example.com",
    "a@b",
    "@",
    "://",
    "u:p@h",
    "4111111111111111",
    "4111 1111 1111 1111",
    "41",
    "1",
    "0",
    "-",
    " ",
    ".",
    "010-1234-5678",
    "01012345678",
    "+82 10 1234 5678",
    "(415) 555-0132",
    "900101-1234568",
    "123-45-67891",
    "11-12-345678-90",
    "219-09-9998",
    "DE89370400440532013000",
    "GB29 NWBK 6016 1331 9268 19",
    "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    "eyJ",
    "Bearer abcdef123456",
    "Basic dTpw",
    "Authorization: ",
    "Token abcdef",
    "password=",
    "\"token\": \"",
    "\\\"secret\\\":\\\"",
    "hunter2",
    "'",
    "\"",
    "\\",
    "\\n",
    "&",
    ",",
    ";",
    "=",
    ": ",
    "AKIAFAKE234567ABCDEF",
    "ghp_",
    "sk_live_",
    "FAKE1234567890abcdef",
    "-----BEGIN PRIVATE KEY-----",
    "\n",
    "[REDACTED:email]",
    "x",
    "\u{d55c}\u{ae00}",
    "2026-01-02 03:04:05",
];

fn line() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..12)
        .prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => line().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => prop::sample::select(vec![48_u64, 57, 32, 45, 4_111_111_111_111_111]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let name = prop::sample::select(vec![
            "log", "password", "apiKey", "x-token", "a", "b", "tokens", "cookie",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    value().prop_map(|value| json!({ "r": value }))
}

fn params() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["mask", "hash", "tokenize", "drop"]);
    let detect = prop::sample::select(vec!["default", "all"]);
    (action, detect, 0_u8..6).prop_map(|(action, detect, keep)| {
        json!({ "action": action, "detect": detect, "keep_last": keep, "key": "not a real key at all" })
    })
}

/// Runs the walk over a record with every place that could be one.
fn exhaustive(redact: &Redact, record: &[u8]) -> Option<Vec<u8>> {
    let all = u32::MAX;
    let mut places = Vec::new();
    for (at, byte) in record.iter().enumerate() {
        places.push(Place {
            at,
            what: What::Word(all),
        });
        if *byte == b'@' {
            places.push(Place { at, what: What::At });
        }
        if *byte == b':' {
            places.push(Place {
                at,
                what: What::Colon,
            });
        }
        places.push(Place {
            at,
            what: What::Number,
        });
        places.push(Place {
            at,
            what: What::Integer,
        });
    }
    places.retain(|place| match place.what {
        What::Word(_) => redact.scan.words_at(record, place.at) != 0,
        _ => true,
    });
    for place in &mut places {
        if let What::Word(set) = &mut place.what {
            *set = redact.scan.words_at(record, place.at);
        }
    }
    let mut out = Vec::new();
    match Walk::new(redact, RawValue::parse(record).unwrap(), &places).run(&mut out) {
        Outcome::Changed => Some(out),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_was_redacted_stays_as_it_is(record in record(), params in params()) {
        let filter = filter(params);
        let once = apply(Arc::clone(&filter), "app", &[record]);
        let first = records(&once.batch.events);
        let twice = apply(filter, "app", &first);
        prop_assert_eq!(records(&twice.batch.events), first);
    }

    #[test]
    fn what_comes_out_is_whole_and_what_has_no_find_is_the_same_bytes(record in record(), params in params()) {
        let input = events(std::slice::from_ref(&record));
        let applied = apply(filter(params), "app", std::slice::from_ref(&record));
        let out = &applied.batch.events;
        let mut entries = Entries::new(out);
        let event = entries.next().unwrap().unwrap();
        prop_assert!(entries.next().is_none());
        prop_assert_eq!(RawValue::parse(event.entry).map(|_| ()), Ok(()));
        if to_json(event.record) == record {
            prop_assert_eq!(out, &input);
        }
    }

    /// The first pass may point at too many places, but never at too few.
    #[test]
    fn the_first_pass_hides_nothing(record in record()) {
        let redact = redact(json!({}));
        let mut bytes = Vec::new();
        write::json(&mut bytes, &record);
        let mut places = Vec::new();
        redact.scan.record(&bytes, &mut places);
        let mut out = Vec::new();
        let value = RawValue::parse(&bytes).unwrap();
        let found = Walk::new(&redact, value, &places).run(&mut out) == Outcome::Changed;
        prop_assert_eq!(found.then_some(out), exhaustive(&redact, &bytes));
    }

    #[test]
    fn finds_are_in_order_and_inside(line in line()) {
        let places: Vec<_> = [What::Number, What::At].iter().flat_map(|what| {
            (0..line.len()).map(|at| Place { at, what: *what })
        }).collect();
        let found = finds(Text(line.as_bytes()), 0, &places, u32::MAX, &[]);
        let mut last = 0;
        for find in found {
            prop_assert!(find.range.start >= last && find.range.end <= line.len() && find.by < DETECTORS.len());
            last = find.range.end;
        }
    }
}
