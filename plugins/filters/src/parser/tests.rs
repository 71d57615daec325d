//! `parser` against what Fluentd makes of the same events.

use proptest::prelude::*;
use sdk::{
    event::{Applied, Batch, Chain, Entries, Tag, write_event},
    msgpack::write,
    obligation::Obligation,
    testing::{apply, records},
};
use serde_json::{Value, json};

use super::*;

static PARSERS: &[&Descriptor] = &[
    &parsers::json::PLUGIN,
    &parsers::ltsv::PLUGIN,
    &parsers::none::PLUGIN,
    &parsers::regexp::PLUGIN,
];

fn try_filter(params: Value) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let cx = BuildCx {
        plugins: PARSERS,
        ..BuildCx::detached("test")
    };
    build(params, &cx)
}

fn filter(params: Value) -> Arc<dyn Filter> {
    try_filter(params).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// `more` beside a JSON parser for the field `log`.
fn json_of_log(more: &Value) -> Value {
    let mut params = json!({ "key_name": "log", "parse": { "type": "json" } });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    params
}

fn times(events: &[u8]) -> Vec<Time> {
    Entries::new(events)
        .map(|event| event.unwrap().time)
        .collect()
}

#[track_caller]
fn check(more: &Value, input: Value, expected: Value) {
    let applied = apply(filter(json_of_log(more)), "app", &[input]);
    assert_eq!(records(&applied.batch.events), [expected], "{more}");
}

#[test]
fn the_record_is_made_anew_or_kept() {
    let input = || json!({ "log": r#"{"a":1,"log":"inner","b":{"c":2}}"#, "host": "h", "a": 0 });
    check(
        &json!({}),
        input(),
        json!({ "a": 1, "log": "inner", "b": { "c": 2 } }),
    );
    check(
        &json!({ "reserve_data": true }),
        input(),
        json!({ "log": "inner", "host": "h", "a": 1, "b": { "c": 2 } }),
    );
    let plain = || json!({ "log": r#"{"a":1}"#, "host": "h" });
    check(
        &json!({ "reserve_data": true, "remove_key_name_field": true }),
        plain(),
        json!({ "host": "h", "a": 1 }),
    );
    check(
        &json!({ "remove_key_name_field": true }),
        plain(),
        json!({ "a": 1 }),
    );
    check(
        &json!({ "inject_key_prefix": "app." }),
        plain(),
        json!({ "app.a": 1 }),
    );
    check(
        &json!({ "hash_value_field": "parsed" }),
        plain(),
        json!({ "parsed": { "a": 1 } }),
    );
    check(
        &json!({ "hash_value_field": "parsed", "inject_key_prefix": "x_", "reserve_data": true }),
        plain(),
        json!({ "log": r#"{"a":1}"#, "host": "h", "parsed": { "x_a": 1 } }),
    );
}

#[test]
fn a_nested_field_is_found_and_removed() {
    let params = json!({
        "key_name": "$.k.log", "reserve_data": true, "remove_key_name_field": true, "parse": { "type": "ltsv" },
    });
    let input = [json!({ "k": { "log": "a:1\tb:2", "pod": "p" } })];
    let applied = apply(filter(params), "app", &input);
    assert_eq!(
        records(&applied.batch.events),
        [json!({ "k": { "pod": "p" }, "a": "1", "b": "2" })]
    );
    let index = json!({
        "key_name": "$.k[0]", "reserve_data": true, "remove_key_name_field": true,
        "parse": { "type": "json", "time_format": "%K" },
    });
    let paths: Vec<_> = try_filter(index)
        .err()
        .unwrap()
        .into_iter()
        .map(|error| error.path)
        .collect();
    assert_eq!(paths, ["/key_name", "/parse/time_format"]);
}

#[test]
fn the_time_is_that_of_the_text_unless_it_is_reserved() {
    let input = [
        json!({}),
        json!({ "log": r#"{"time":1700000000.5,"a":1}"# }),
        json!({ "log": r#"{"a":1}"# }),
    ];
    let run = |more: Value| apply(filter(json_of_log(&more)), "app", &input);
    let expected = [
        Time {
            secs: 1_700_000_000,
            nanos: 500_000_000,
        },
        Time::from_secs(2),
    ];
    assert_eq!(times(&run(json!({})).batch.events), expected);
    let reserved = run(json!({ "reserve_time": true }));
    assert_eq!(
        times(&reserved.batch.events),
        [Time::from_secs(1), Time::from_secs(2)]
    );
}

#[track_caller]
fn outcome(more: &Value, kept: usize, failed: usize, dropped: u32) -> Applied {
    let input = [
        json!({ "log": "{\"a\":1}" }),
        json!({ "log": "secret words" }),
        json!({ "other": 1 }),
        json!({ "log": null }),
        json!({ "log": {} }),
    ];
    let applied = apply(filter(json_of_log(more)), "app", &input);
    assert_eq!(applied.batch.count as usize, kept, "{more}");
    assert_eq!(
        applied
            .failed
            .as_ref()
            .map_or(0, |batch| batch.count as usize),
        failed,
        "{more}"
    );
    assert_eq!(applied.counts[0].dropped, dropped, "{more}");
    applied
}

#[test]
fn what_cannot_be_parsed_goes_where_the_configuration_says() {
    let applied = outcome(&json!({}), 1, 4, 0);
    let failed = applied.failed.unwrap();
    assert_eq!(records(&failed.events)[0], json!({ "log": "secret words" }));
    let reason = applied.failure.unwrap();
    assert!(
        reason.contains("log") && !reason.contains("secret"),
        "{reason}"
    );
    outcome(&json!({ "emit_invalid_record_to_error": false }), 1, 0, 4);
    let kept = outcome(&json!({ "reserve_data": true }), 5, 0, 0);
    assert_eq!(
        records(&kept.batch.events)[1],
        json!({ "log": "secret words" })
    );
    outcome(
        &json!({ "reserve_data": true, "on_error": "dead_letter" }),
        1,
        4,
        0,
    );
    outcome(&json!({ "on_error": "keep" }), 5, 0, 0);
    outcome(
        &json!({ "on_error": "drop", "reserve_data": true }),
        1,
        0,
        4,
    );
}

#[test]
fn numbers_are_parsed_as_their_text() {
    let params = json!({ "key_name": "n", "parse": { "type": "none" } });
    let applied = apply(
        filter(params),
        "app",
        &[json!({ "n": 12 }), json!({ "n": true })],
    );
    assert_eq!(
        records(&applied.batch.events),
        [json!({ "message": "12" }), json!({ "message": "true" })]
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_replaced_when_that_is_asked_for() {
    let (mut record, mut events) = (Vec::new(), Vec::new());
    write::map(&mut record, 1);
    write::str(&mut record, "log");
    write::str_bytes(&mut record, b"{\"a\":\"x\xff\"}");
    write_event(&mut events, Time::from_secs(0), &record);
    for (replace, expected) in [(true, &b"x?"[..]), (false, b"x\xff")] {
        let batch = Batch::new(
            Tag::new("a"),
            events.clone().into(),
            1,
            Obligation::nobody(),
        );
        let params = json_of_log(&json!({ "replace_invalid_sequence": replace }));
        let applied = Chain::new(vec![filter(params)]).apply(batch);
        let event = Entries::new(&applied.batch.events).next().unwrap().unwrap();
        assert_eq!(event.record.get(b"a").unwrap().as_bytes(), Some(expected));
    }
}

#[test]
fn a_record_never_becomes_nested_too_deep() {
    let deepest = format!(
        "{{\"a\":{}{}}}",
        "[".repeat(DEPTH_MAX - 1),
        "]".repeat(DEPTH_MAX - 1)
    );
    let run = |more: Value| {
        apply(
            filter(json_of_log(&more)),
            "app",
            &[json!({ "log": deepest })],
        )
    };
    assert_eq!(run(json!({})).batch.count, 1);
    assert_eq!(
        run(json!({ "hash_value_field": "h" })).batch.count,
        1,
        "an empty array has no level of its own"
    );
    let deepest = format!(
        "{{\"a\":{}1{}}}",
        "[".repeat(DEPTH_MAX - 1),
        "]".repeat(DEPTH_MAX - 1)
    );
    let run = |more: Value| {
        apply(
            filter(json_of_log(&more)),
            "app",
            &[json!({ "log": deepest })],
        )
    };
    assert_eq!(run(json!({})).batch.count, 1);
    assert_eq!(
        run(json!({ "hash_value_field": "h" }))
            .failed
            .unwrap()
            .count,
        1
    );
}

proptest! {
    #[test]
    fn merging_is_that_of_a_hash(
        record in prop::collection::btree_map("[a-d]", 0_i64..9, 0..4),
        parsed in prop::collection::btree_map("[a-f]", 10_i64..19, 0..6),
        remove: bool,
    ) {
        let mut input = json!(record);
        input["log"] = json!(parsed).to_string().into();
        let mut expected = input.clone();
        if remove {
            expected.as_object_mut().unwrap().shift_remove("log");
        }
        for (key, value) in &parsed {
            expected[key] = json!(value);
        }
        let params = json_of_log(&json!({ "reserve_data": true, "remove_key_name_field": remove }));
        let applied = apply(filter(params), "app", &[input]);
        prop_assert_eq!(records(&applied.batch.events), [expected]);
    }
}
