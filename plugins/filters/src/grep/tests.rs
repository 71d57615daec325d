//! `grep` against what Fluentd keeps.

use proptest::prelude::*;
use sdk::{
    event::{Batch, Chain, Tag, Time, write_event},
    msgpack::write,
    obligation::Obligation,
    testing::{apply, records},
};
use serde_json::{Value, json};

use super::*;

fn filter(params: Value) -> Arc<dyn Filter> {
    build(params, &BuildCx::detached("test")).unwrap()
}

/// Which of `input` are kept, by their index.
#[track_caller]
fn check(params: Value, input: &[Value], kept: &[usize]) {
    let applied = apply(filter(params), "app", input);
    let expected: Vec<_> = kept.iter().map(|index| input[*index].clone()).collect();
    assert_eq!(records(&applied.batch.events), expected);
    assert_eq!(applied.counts[0].dropped as usize, input.len() - kept.len());
}

fn rule(key: &str, pattern: &str) -> Value {
    json!({ "key": key, "pattern": pattern })
}

#[test]
fn every_regexp_must_match() {
    let input = [
        json!({ "level": "error", "app": "web" }),
        json!({ "level": "error", "app": "db" }),
        json!({ "level": "info", "app": "web" }),
    ];
    check(json!({ "regexp": rule("level", "err") }), &input, &[0, 1]);
    let both = [rule("level", "err"), rule("app", "^web$")];
    check(json!({ "regexp": both }), &input, &[0]);
}

#[test]
fn any_exclude_drops() {
    let input = [
        json!({ "level": "error", "app": "web" }),
        json!({ "level": "debug", "app": "web" }),
        json!({ "level": "error", "app": "istio-proxy" }),
    ];
    let params = json!({ "exclude": [rule("level", "/DEBUG/i"), rule("app", "^istio")] });
    check(params, &input, &[0]);
}

/// Fluentd compares `nil.to_s`, the empty text.
#[test]
fn a_missing_field_and_nil_are_the_empty_text() {
    let input = [
        json!({ "a": "x" }),
        json!({ "a": null }),
        json!({}),
        json!({ "a": "" }),
    ];
    check(json!({ "regexp": rule("a", "x") }), &input, &[0]);
    check(json!({ "regexp": rule("a", "^$") }), &input, &[1, 2, 3]);
    check(json!({ "exclude": rule("a", "x") }), &input, &[1, 2, 3]);
    check(json!({ "exclude": rule("a", "^$") }), &input, &[0]);
}

#[test]
fn groups_are_pooled_as_fluentd_does() {
    let input = [
        json!({ "a": "1", "b": "1" }),
        json!({ "a": "1", "b": "0" }),
        json!({ "a": "0", "b": "1" }),
        json!({ "a": "0", "b": "0" }),
    ];
    let both = [rule("a", "1"), rule("b", "1")];
    check(json!({ "and": { "regexp": both } }), &input, &[0]);
    check(json!({ "or": { "regexp": both } }), &input, &[0, 1, 2]);
    check(json!({ "and": { "exclude": both } }), &input, &[1, 2, 3]);
    check(json!({ "or": { "exclude": both } }), &input, &[3]);
    let two = [
        json!({ "regexp": [rule("a", "1")] }),
        json!({ "regexp": [rule("b", "1")] }),
    ];
    check(json!({ "or": two }), &input, &[0, 1, 2]);
    let mixed = json!({ "regexp": rule("a", "1"), "or": [{ "exclude": both }] });
    check(mixed, &input, &[]);
}

#[test]
fn scalars_are_compared_as_ruby_writes_them() {
    let cases = [
        (json!(200), "^200$"),
        (json!(-1), "^-1$"),
        (json!(u64::MAX), "^18446744073709551615$"),
        (json!(1.0), r"^1\.0$"),
        (json!(1e20), r"^1\.0e\+20$"),
        (
            json!(-1.234_567_890_123_456_8e-300),
            r"^-1\.2345678901234568e-300$",
        ),
        (json!(true), "^true$"),
        (json!([1, "a"]), r#"^\[1,"a"\]$"#),
        (json!({ "b": {} }), r#"^\{"b":\{\}\}$"#),
    ];
    for (value, pattern) in cases {
        check(
            json!({ "regexp": rule("a", pattern) }),
            &[json!({ "a": value })],
            &[0],
        );
    }
}

#[test]
fn nested_fields_are_found() {
    let input = [
        json!({ "k": { "a.b": ["x", "y"] }, "a.b": "top" }),
        json!({ "k": { "a.b": ["y", "x"] }, "a": { "b": "top" } }),
    ];
    check(
        json!({ "regexp": rule("$.k['a.b'][0]", "x") }),
        &input,
        &[0],
    );
    check(
        json!({ "regexp": rule("$['k'][\"a.b\"][1]", "x") }),
        &input,
        &[1],
    );
    check(json!({ "regexp": rule("a.b", "top") }), &input, &[0]);
    check(json!({ "regexp": rule("$.a.b", "top") }), &input, &[1]);
}

#[test]
fn bytes_that_are_not_text_count_as_question_marks() {
    let (mut record, mut events) = (Vec::new(), Vec::new());
    write::map(&mut record, 1);
    write::str(&mut record, "a");
    write::str_bytes(&mut record, b"x\xffy");
    write_event(&mut events, Time::from_secs(0), &record);
    for (pattern, kept) in [("^x.y$", 1), (r"^x\?y$", 1), ("y", 1), ("^xy$", 0)] {
        let batch = Batch::new(
            Tag::new("app"),
            events.clone().into(),
            1,
            Obligation::nobody(),
        );
        let filters = vec![filter(json!({ "regexp": rule("a", pattern) }))];
        assert_eq!(
            Chain::new(filters).apply(batch).batch.count,
            kept,
            "{pattern}"
        );
    }
}

#[track_caller]
fn refused(params: Value, path: &str) {
    let errors = build(params, &BuildCx::detached("test")).err().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, [path]);
}

#[test]
fn groups_that_mean_nothing_are_refused_at_their_place() {
    refused(json!({}), "");
    let both = json!({ "regexp": rule("a", "1"), "exclude": rule("b", "1") });
    refused(
        json!({ "and": [{ "regexp": rule("a", "1") }, both] }),
        "/and/1",
    );
    refused(json!({ "or": [{}] }), "/or/0");
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        "[ab1]{0,2}".prop_map(Value::from),
    ]
}

fn conditions() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(
        (
            "[xyz]",
            prop::sample::select(vec!["a", "^b$", "1", "^$", "true", ""]),
        ),
        0..3,
    )
    .prop_map(|rules| {
        rules
            .into_iter()
            .map(|(key, pattern)| (key, pattern.to_owned()))
            .collect()
    })
}

/// The conditions once more, naively, over decoded values.
fn matches(record: &Value, (key, pattern): &(String, String)) -> bool {
    let text = match record.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match pattern.as_str() {
        "^b$" => text == "b",
        "^$" => text.is_empty(),
        part => text.contains(part),
    }
}

proptest! {
    #[test]
    fn keeps_what_the_model_keeps(
        records_in in prop::collection::vec(prop::collection::btree_map("[xyz]", scalar(), 0..4), 1..8),
        regexp in conditions(),
        exclude in conditions(),
        and_exclude in conditions(),
        or_regexp in conditions(),
    ) {
        let rules = |list: &[(String, String)]| -> Vec<Value> {
            list.iter().map(|(key, pattern)| rule(key, pattern)).collect()
        };
        let groups = |kind: &str, list: &[(String, String)]| -> Vec<Value> {
            list.iter().map(|one| json!({ kind: rules(std::slice::from_ref(one)) })).collect()
        };
        prop_assume!(!(regexp.is_empty() && exclude.is_empty() && and_exclude.is_empty() && or_regexp.is_empty()));
        let params = json!({
            "regexp": rules(&regexp),
            "exclude": rules(&exclude),
            "and": groups("exclude", &and_exclude),
            "or": groups("regexp", &or_regexp),
        });
        let input: Vec<Value> = records_in.into_iter().map(|record| json!(record)).collect();
        let expected: Vec<Value> = input
            .iter()
            .filter(|record| {
                regexp.iter().all(|one| matches(record, one))
                    && (or_regexp.is_empty() || or_regexp.iter().any(|one| matches(record, one)))
                    && (and_exclude.is_empty() || !and_exclude.iter().all(|one| matches(record, one)))
                    && !exclude.iter().any(|one| matches(record, one))
            })
            .cloned()
            .collect();
        let applied = apply(filter(params), "app", &input);
        prop_assert_eq!(records(&applied.batch.events), expected);
    }
}
