//! `record_transformer` against what Fluentd makes of the same records.

use proptest::prelude::*;
use sdk::{
    event::{Applied, Entries},
    testing::{apply, records},
};
use serde_json::json;

use super::{model::reform, *};

fn run(params: Value, input: &[Value]) -> Applied {
    apply(
        build(params, &BuildCx::detached("test")).unwrap(),
        "one.two.three",
        input,
    )
}

/// Compares as text, so that the order of the keys counts.
#[track_caller]
fn check(params: Value, input: &Value, expected: &Value) {
    let applied = run(params, std::slice::from_ref(input));
    assert_eq!(applied.failure, None);
    let got = records(&applied.batch.events).remove(0);
    assert_eq!(got.to_string(), expected.to_string());
}

#[test]
fn values_keep_their_types() {
    let params = json!({ "record": {
        "text": "x", "int": 1, "float": 1.5, "yes": true, "list": [1, "a", null], "table": { "a": { "b": 1 } },
    } });
    let expected = json!({
        "old": 0,
        "text": "x", "int": 1, "float": 1.5, "yes": true, "list": [1, "a", null], "table": { "a": { "b": 1 } },
    });
    check(params, &json!({ "old": 0 }), &expected);
}

#[test]
fn placeholders_are_filled_in() {
    let input = json!({ "a": { "b.c": "deep" }, "n": 1.0, "m": "text" });
    let params = json!({ "record": {
        "tag": "${tag}", "part": "${tag_parts[1]}", "last": "${tag_parts[-1]}",
        "prefix": "${tag_prefix[1]}", "suffix": "${tag_suffix[1]}",
        "field": "<${record[\"a\"][\"b.c\"]}>", "host": "on ${hostname}", "when": "${time}", "number": "n=${record.n}",
    } });
    let expected = json!({
        "a": { "b.c": "deep" }, "n": 1.0, "m": "text",
        "tag": "one.two.three", "part": "two", "last": "three", "prefix": "one.two", "suffix": "two.three",
        "field": "<deep>", "host": "on localhost", "when": "1970-01-01T00:00:00.000000000Z", "number": "n=1.0",
    });
    check(params, &input, &expected);
}

#[test]
fn one_placeholder_keeps_the_type_unless_told_otherwise() {
    let input = json!({ "n": 7, "list": [1, { "x": null }], "s": "text" });
    let record = json!({ "n2": "${record.n}", "list2": "${record.list}", "s2": "${record.s}", "none": "${record.x}" });
    let typed = json!({
        "n": 7, "list": [1, { "x": null }], "s": "text",
        "n2": 7, "list2": [1, { "x": null }], "s2": "text", "none": null,
    });
    check(json!({ "record": record }), &input, &typed);
    let text = json!({ "n": 7, "n2": "7", "none": "" });
    let record = json!({ "n2": "${record.n}", "none": "${record.x}" });
    check(
        json!({ "record": record, "auto_typecast": false }),
        &json!({ "n": 7 }),
        &text,
    );
}

#[test]
fn a_default_stands_for_a_missing_field_only() {
    let record =
        json!({ "a": "${record.a:-none}", "b": "${record.b:-none}", "c": "<${record.c:-none}>" });
    let expected = json!({ "a": 1, "b": "none", "c": "<none>" });
    check(json!({ "record": record }), &json!({ "a": 1 }), &expected);
}

#[test]
fn every_value_is_read_from_the_record_as_it_came() {
    let record = json!({ "a": "${record.b}", "b": "${record.a}", "c": "${record.a}${record.b}" });
    let expected = json!({ "a": 2, "b": 1, "c": "12" });
    check(
        json!({ "record": record }),
        &json!({ "a": 1, "b": 2 }),
        &expected,
    );
    let renewed = json!({ "record": { "c": "${record.a}" }, "renew_record": true });
    check(renewed, &json!({ "a": 1, "b": 2 }), &json!({ "c": 1 }));
}

#[test]
fn keys_are_kept_set_and_removed_in_the_order_of_fluentd() {
    let params = json!({
        "renew_record": true, "keep_keys": ["c", "a", "none"], "record": { "n": "${record.b}", "a": "new", "gone": 1 },
        "remove_keys": ["gone", "c"],
    });
    check(
        params,
        &json!({ "a": 1, "b": 2, "c": 3 }),
        &json!({ "a": "new", "n": 2 }),
    );
}

#[test]
fn a_key_that_exists_keeps_its_place() {
    let params = json!({ "record": { "b": "x", "d": 4 }, "remove_keys": "a" });
    check(
        params,
        &json!({ "a": 1, "b": 2, "c": 3 }),
        &json!({ "b": "x", "c": 3, "d": 4 }),
    );
}

#[test]
fn a_table_replaces_and_a_path_reaches_below() {
    let input = json!({ "k": { "pod": "p", "ns": "n" } });
    let table = json!({ "record": { "k": { "cluster": "c", "copy": "${record.k.pod}" } } });
    check(
        table,
        &input,
        &json!({ "k": { "cluster": "c", "copy": "p" } }),
    );
    let path = json!({
        "record": { "$.k.cluster": "${record.k.pod}", "$['new']['a.b']": 1 }, "remove_keys": ["$.k.ns", "$.x.y"],
    });
    check(
        path,
        &input,
        &json!({ "k": { "pod": "p", "cluster": "p" }, "new": { "a.b": 1 } }),
    );
}

#[test]
fn keys_may_have_placeholders() {
    let record = json!({ "${tag_parts[0]}_${record.a}": "${record.a}", "t": { "${record.a}": [{ "x": "${tag}" }] } });
    let expected = json!({ "a": "k", "one_k": "k", "t": { "k": [{ "x": "one.two.three" }] } });
    check(json!({ "record": record }), &json!({ "a": "k" }), &expected);
}

#[test]
fn the_time_comes_from_a_field_of_the_new_record_before_it_is_removed() {
    let params =
        json!({ "record": { "t": "${record.when}" }, "renew_time_key": "t", "remove_keys": ["t"] });
    let input = [
        json!({ "when": 5 }),
        json!({ "when": "7.25" }),
        json!({ "when": "soon" }),
        json!({}),
    ];
    let applied = run(params, &input);
    let times: Vec<_> = Entries::new(&applied.batch.events)
        .map(|event| event.unwrap().time)
        .collect();
    // The test kit puts the events at the seconds 0, 1, 2 and 3.
    let expected =
        [(5, 0), (7, 250_000_000), (2, 0), (3, 0)].map(|(secs, nanos)| Time { secs, nanos });
    assert_eq!(times, expected);
    assert_eq!(records(&applied.batch.events), input);
}

#[test]
fn a_record_that_becomes_too_deep_goes_to_the_error_label_unchanged() {
    let nest = |levels| (0..levels).fold(json!(1), |value, _| json!([value]));
    let params = json!({ "record": { "t": { "u": "${record.a}" } } });
    let applied = run(
        params,
        &[json!({ "a": nest(62) }), json!({ "a": nest(63) })],
    );
    assert_eq!(applied.batch.count, 1);
    assert_eq!(
        records(&applied.batch.events),
        [json!({ "a": nest(62), "t": { "u": nest(62) } })]
    );
    assert_eq!(
        records(&applied.failed.unwrap().events),
        [json!({ "a": nest(63) })]
    );
    assert!(applied.failure.unwrap().contains("64 levels"));
}

#[track_caller]
fn refused(params: Value, path: &str, help: &str) {
    let errors = build(params, &BuildCx::detached("test")).err().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, [path]);
    let given = errors[0].help.as_deref().unwrap();
    assert!(given.contains(help), "{given}");
}

#[test]
fn mistakes_are_refused_at_their_place() {
    refused(json!({}), "", "[filter.record]");
    refused(
        json!({ "record": { "a": "x" }, "enable_ruby": true }),
        "/enable_ruby",
        "${record[\"a\"][\"b\"]}",
    );
    refused(
        json!({ "record": { "a": "x" }, "keep_keys": ["b"] }),
        "/keep_keys",
        "renew_record = true",
    );
    refused(
        json!({ "record": { "a/b": ["x", "${host}"] } }),
        "/record/a~1b/1",
        "${record[\"host\"]}",
    );
    refused(
        json!({ "record": { "a": "${record.a.upcase()}" } }),
        "/record/a",
        "Ruby",
    );
    refused(
        json!({ "record": { "a": { "b": "${tag" } } }),
        "/record/a/b",
        "close it",
    );
    refused(json!({ "record": { "$.a.": 1 } }), "/record/$.a.", "$.a.b");
    refused(
        json!({ "record": { "$.a[0]": 1 } }),
        "/record/$.a[0]",
        "whole list",
    );
    refused(
        json!({ "remove_keys": ["a", "$.a[0]"] }),
        "/remove_keys/1",
        "whole list",
    );
    let deep = (0..64).fold(json!(1), |value, _| json!([value]));
    refused(json!({ "record": { "a": deep } }), "/record/a", "flatter");
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ]
}

fn field() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

/// Values of the `record` table. Only scalars stand inside text, because there the model would have to print tables.
fn assigned() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec![
        "plain",
        "",
        "${tag}",
        "${record.a}",
        "${record.b}",
        "${record.d}",
        "<${record.c}>",
        "${record.c}${tag}",
    ]);
    let leaf = prop_oneof![
        scalar().prop_filter("no placeholder by chance", |value| {
            !value.as_str().is_some_and(|text| text.contains("${"))
        }),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    (
        prop::collection::btree_map("[abd]", field(), 0..4),
        prop::option::of(scalar()),
    )
        .prop_map(|(fields, c)| {
            fields
                .into_iter()
                .chain(c.map(|c| ("c".to_owned(), c)))
                .collect()
        })
}

proptest! {
    #[test]
    fn makes_what_the_model_makes(
        input in prop::collection::vec(record(), 1..4),
        set in prop::collection::btree_map("[abcdn]|x_\\$\\{record\\.c\\}", assigned(), 1..4),
        remove in prop::collection::vec("[abn]", 0..2),
        keep in prop::collection::vec("[abcd]", 0..3),
        renew in any::<bool>(),
        typed in any::<bool>(),
    ) {
        // Without types, a field that is a list or a table would have to be printed.
        prop_assume!(typed || input.iter().all(|record| record.values().all(|value| !value.is_array() && !value.is_object())));
        let mut params = json!({ "record": set, "remove_keys": remove, "renew_record": renew, "auto_typecast": typed });
        if renew {
            params["keep_keys"] = json!(keep);
        }
        let expected: Vec<Value> = input.iter().map(|record| reform(&params, "one.two.three", record).into()).collect();
        let input: Vec<Value> = input.into_iter().map(Value::from).collect();
        let applied = run(params, &input);
        prop_assert_eq!(records(&applied.batch.events), expected);
    }
}
