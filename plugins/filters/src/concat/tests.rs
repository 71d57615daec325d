//! `concat` against what Fluentd's plugin of that name makes of the same lines.

use std::time::Duration;

use proptest::prelude::*;
use sdk::{
    event::Time,
    testing::{Driver, Seen},
};
use serde_json::{Value, json};

use super::*;

fn driver(params: Value) -> Driver {
    Driver::new(build(params, &BuildCx::detached("test")).unwrap())
}

fn logs(lines: &[&str]) -> Vec<Value> {
    lines.iter().map(|line| json!({ "log": line })).collect()
}

fn texts(seen: &Seen) -> Vec<String> {
    let text = |record: Value| record["log"].as_str().unwrap().to_owned();
    seen.records().into_iter().map(text).collect()
}

/// Feeds lines, and tells what left at once and what only at the end.
#[track_caller]
fn check(params: Value, lines: &[&str], at_once: &[&str], at_end: &[&str]) {
    let mut driver = driver(params);
    let seen = driver.feed("app", &logs(lines));
    assert_eq!(texts(&seen), at_once, "at once");
    assert_eq!(texts(&driver.finish()), at_end, "at the end");
    assert_eq!((driver.held(), driver.unanswered()), (0, 0));
}

#[test]
fn a_number_of_lines_is_one_event() {
    let params = json!({ "key": "log", "n_lines": 2 });
    check(
        params.clone(),
        &["a", "b", "c", "d", "e"],
        &["a\nb", "c\nd"],
        &["e"],
    );
    let params = json!({ "key": "log", "n_lines": 3, "separator": "+" });
    check(params, &["a", "b", "c"], &["a+b+c"], &[]);
    let params = json!({ "key": "log", "n_lines": 1 });
    check(params, &["a", "b"], &["a", "b"], &[]);
}

#[test]
fn the_next_first_line_ends_a_message() {
    let params = json!({ "key": "log", "multiline_start_regexp": "/^\\d/" });
    check(
        params,
        &["lost", "1 a", "  b", "2 c", "3 d", "  e"],
        &["lost", "1 a\n  b", "2 c"],
        &["3 d\n  e"],
    );
}

#[test]
fn the_last_line_ends_a_message_at_once() {
    let both =
        json!({ "key": "log", "multiline_start_regexp": "^<", "multiline_end_regexp": ">$" });
    check(
        both,
        &["<a", "b", "c>", "<d>", "e", "f>", "<g", "<h>"],
        &["<a\nb\nc>", "<d>", "e", "f>", "<g", "<h>"],
        &[],
    );
    let only = json!({ "key": "log", "multiline_end_regexp": "\\n$", "separator": "" });
    check(only, &["a", "b\n", "c\n", "d"], &["ab\n", "c\n"], &["d"]);
}

#[test]
fn a_line_that_does_not_continue_ends_a_message_and_stands_alone() {
    let params = json!({
        "key": "log", "multiline_start_regexp": "^Start", "continuous_line_regexp": "^ ",
    });
    check(
        params,
        &["Start", " a", "b", " c", "Start", " d"],
        &["Start\n a", "b", " c"],
        &["Start\n d"],
    );
}

#[test]
fn a_field_tells_that_more_pieces_follow() {
    let params = json!({ "key": "log", "partial_key": "partial", "partial_value": "true" });
    let lines = [
        json!({ "log": "a", "partial": "true", "n": 1 }),
        json!({ "log": "b", "partial": true, "n": 2 }),
        json!({ "log": "c", "partial": "false", "n": 3 }),
        json!({ "log": "d", "partial": "false" }),
        json!({ "log": "e" }),
    ];
    let joined = [
        json!({ "log": "abc", "n": 1 }),
        json!({ "log": "d" }),
        json!({ "log": "e" }),
    ];
    assert_eq!(driver(params).feed("app", &lines).records(), joined);
    let keep = json!({
        "key": "log", "partial_key": "partial", "partial_value": "true", "keep_partial_key": true,
    });
    let kept = driver(keep).feed("app", &lines).records();
    assert_eq!(kept[0], json!({ "log": "abc", "partial": "true", "n": 1 }));
    assert_eq!(kept[1], lines[3]);
}

#[test]
fn docker_tells_the_order_of_the_pieces() {
    let piece = |log: &str, id: &str, ordinal: &str, last: bool| {
        json!({
            "log": log, "partial_message": "true", "partial_id": id, "partial_ordinal": ordinal,
            "partial_last": last.to_string(),
        })
    };
    let lines = [
        piece("a1", "a", "1", false),
        json!({ "log": "whole" }),
        piece("b1", "b", "1", false),
        piece("a3", "a", "3", false),
        piece("a2", "a", "2", false),
        piece("b2", "b", "2", true),
        piece("a4", "a", "4", true),
        piece("late", "c", "2", true),
    ];
    let params = json!({ "key": "log", "use_partial_metadata": true });
    let seen = driver(params).feed("app", &lines);
    let joined = ["whole", "b1b2", "a1a2a3a4", "late"].map(|text| json!({ "log": text }));
    assert_eq!((seen.records(), seen.merged), (joined.to_vec(), 4));
    let journal = json!({
        "key": "MESSAGE", "use_partial_metadata": true, "partial_metadata_format": "docker-journald",
        "keep_partial_metadata": true,
    });
    let piece = |text: &str, last: &str| {
        json!({
            "MESSAGE": text, "CONTAINER_PARTIAL_MESSAGE": "true", "CONTAINER_PARTIAL_ID": "i",
            "CONTAINER_PARTIAL_LAST": last,
        })
    };
    let seen = driver(journal).feed("app", &[piece("x", "false"), piece("y", "true")]);
    assert_eq!(seen.records(), [piece("xy", "false")]);
}

#[test]
fn the_tag_of_a_container_runtime_joins_pieces_of_one_stream() {
    let piece = |log: &str, logtag: &str, stream: &str| json!({ "log": log, "logtag": logtag, "stream": stream });
    let lines = [
        piece("a", "P", "stdout"),
        piece("x", "P", "stderr"),
        piece("whole", "F", "other"),
        piece("b", "P:tag", "stdout"),
        piece("c", "F", "stdout"),
        piece("y", "F:tag", "stderr"),
    ];
    let params = json!({ "key": "log", "use_partial_cri_logtag": true });
    let seen = driver(params).feed("app", &lines);
    let joined = [
        json!({ "log": "whole", "stream": "other" }),
        json!({ "log": "abc", "stream": "stdout" }),
        json!({ "log": "xy", "stream": "stderr" }),
    ];
    assert_eq!(seen.records(), joined);
}

#[test]
fn streams_and_tags_never_mix() {
    let params = json!({ "key": "log", "n_lines": 2, "stream_identity_key": "$.k8s.id" });
    let line = |log: &str, id: Value| json!({ "log": log, "k8s": { "id": id } });
    let mut driver = driver(params);
    let first = [
        line("a", json!("1")),
        line("b", json!(1)),
        json!({ "log": "c" }),
    ];
    assert_eq!(texts(&driver.feed("app", &first)), [""; 0]);
    assert_eq!(texts(&driver.feed("other", &first)), [""; 0]);
    let second = [json!({ "log": "C" }), line("A", json!("1"))];
    assert_eq!(texts(&driver.feed("app", &second)), ["c\nC", "a\nA"]);
    assert_eq!((driver.held(), driver.unanswered()), (4, 2));
}

#[test]
fn an_event_without_the_text_goes_on_as_it_is() {
    let params = json!({ "key": "log", "n_lines": 2 });
    let others = [
        json!({ "a": 1 }),
        json!({ "log": 5 }),
        json!({ "log": null }),
    ];
    let mut driver = driver(params);
    driver.feed("app", &logs(&["x"]));
    assert_eq!(driver.feed("app", &others).records(), others);
    assert_eq!(driver.held(), 1);
}

#[test]
fn the_fields_of_the_first_line_win_and_none_is_lost() {
    let lines = [
        json!({ "a": 1, "log": "x", "b": [1] }),
        json!({ "b": 2, "log": "y", "c": { "d": 3 } }),
    ];
    let seen = driver(json!({ "key": "log", "n_lines": 2 })).feed("app", &lines);
    let joined = json!({ "a": 1, "log": "x\ny", "b": [1], "c": { "d": 3 } });
    assert_eq!(seen.records()[0].to_string(), joined.to_string());
    assert_eq!(seen.times, [Time::from_secs(1)]);
    let first = json!({ "key": "log", "n_lines": 2, "use_first_timestamp": true });
    assert_eq!(
        driver(first).feed("app", &lines).times,
        [Time::from_secs(0)]
    );
}

#[test]
fn a_silent_stream_lets_go_and_only_then_is_its_sender_answered() {
    let params = json!({ "key": "log", "multiline_start_regexp": "^S", "flush_interval": 5 });
    let mut driver = driver(params);
    driver.feed("app", &logs(&["S1", " a"]));
    driver.wait(Duration::from_secs(3));
    driver.feed("app", &logs(&[" b"]));
    assert_eq!(driver.wakes_in(), Some(Duration::from_secs(5)));
    assert_eq!(driver.wait(Duration::from_millis(4_999)), Seen::default());
    assert_eq!((driver.held(), driver.unanswered()), (3, 2));
    assert_eq!(
        texts(&driver.wait(Duration::from_millis(1))),
        ["S1\n a\n b"]
    );
    assert_eq!((driver.held(), driver.unanswered()), (0, 0));
    assert_eq!(driver.wakes_in(), None);
}

#[test]
fn a_silent_stream_can_be_an_error_or_wait_for_ever() {
    let params =
        json!({ "key": "log", "n_lines": 3, "flush_interval": "1s", "on_timeout": "error" });
    let mut failing = driver(params);
    failing.feed("app", &logs(&["a", "b"]));
    let seen = failing.wait(Duration::from_secs(1));
    let failed: Vec<_> = seen.failed.into_iter().map(|(_, record)| record).collect();
    assert_eq!((failed, seen.merged), (logs(&["a", "b"]), 0));
    let mut patient = driver(json!({ "key": "log", "n_lines": 3, "flush_interval": 0 }));
    patient.feed("app", &logs(&["a"]));
    assert_eq!(patient.wakes_in(), None);
}

#[test]
fn what_is_held_has_limits() {
    let long = |limit: &str, value: u64| json!({ "key": "log", "multiline_start_regexp": "^S", limit: value });
    let lines = ["S1", "a", "b", "c", "d"];
    check(long("max_lines", 2), &lines, &["S1\na", "b\nc"], &["d"]);
    let entry = sdk::testing::events(&logs(&["S1"])).len() as u64;
    check(
        long("max_bytes", 3 * entry),
        &lines,
        &["S1\na\nb"],
        &["c\nd"],
    );
    let mut driver = driver(long("max_streams", 2));
    driver.feed("a", &logs(&["Sa"]));
    driver.feed("b", &logs(&["Sb"]));
    driver.feed("a", &logs(&["a"]));
    let seen = driver.feed("c", &logs(&["Sc"]));
    assert_eq!(seen.passed, [("b".to_owned(), json!({ "log": "Sb" }))]);
}

#[test]
fn all_streams_together_have_a_limit() {
    let entry = sdk::testing::events(&logs(&["S1"])).len() as u64;
    let mut driver = driver(
        json!({ "key": "log", "multiline_start_regexp": "^S", "max_total_bytes": 3 * entry }),
    );
    driver.feed("a", &logs(&["Sa"]));
    driver.feed("b", &logs(&["Sb"]));
    driver.feed("c", &logs(&["Sc"]));
    let seen = driver.feed("c", &logs(&["c1", "c2", "c3", "c4"]));
    assert_eq!(texts(&seen), ["Sa", "Sb", "Sc\nc1\nc2"]);
    assert_eq!(driver.held(), 2);
}

#[track_caller]
fn refused(params: Value, path: &str) {
    let errors = build(params, &BuildCx::detached("test")).err().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, [path]);
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_place() {
    refused(json!({ "key": "log" }), "");
    refused(
        json!({ "key": "log", "n_lines": 2, "multiline_start_regexp": "^a" }),
        "/multiline_start_regexp",
    );
    refused(json!({ "key": "log", "partial_key": "p" }), "/partial_key");
    refused(
        json!({ "key": "log", "n_lines": 2, "timeout_label": "@NORMAL" }),
        "/timeout_label",
    );
    refused(json!({ "key": "log", "n_lines": 0 }), "/n_lines");
    refused(
        json!({ "key": "log", "continuous_line_regexp": "^a" }),
        "/continuous_line_regexp",
    );
}

fn rules() -> impl Strategy<Value = Value> {
    prop_oneof![
        (1_u8..4).prop_map(|lines| json!({ "n_lines": lines })),
        Just(json!({ "multiline_start_regexp": "^S" })),
        Just(json!({ "multiline_end_regexp": "E$" })),
        Just(json!({ "multiline_start_regexp": "^S", "multiline_end_regexp": "E$" })),
        Just(json!({ "multiline_start_regexp": "^S", "continuous_line_regexp": "^ " })),
        Just(json!({ "partial_key": "p", "partial_value": "1" })),
        Just(json!({ "use_partial_cri_logtag": true, "partial_cri_logtag_key": "t" })),
    ]
}

proptest! {
    /// Whatever the rule and the limits: the lines of a stream come out once each, in their order, and every sender
    /// is answered.
    #[test]
    fn no_text_is_lost_or_invented(
        rule in rules(),
        limits in (1_u8..5, 20_u8..200, 1_u8..4, 40_u8..250),
        lines in prop::collection::vec((0_usize..3, "S?[ab ]{0,3}E?", 0_u8..2, prop::sample::select(vec!["P", "F"]), 0_u64..3), 0..40),
    ) {
        let mut params = rule;
        let (max_lines, max_bytes, max_streams, max_total_bytes) = limits;
        let more = json!({
            "key": "log", "separator": "|", "stream_identity_key": "s", "flush_interval": 2, "max_lines": max_lines,
            "max_bytes": max_bytes, "max_streams": max_streams, "max_total_bytes": max_total_bytes,
        });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut driver = driver(params);
        let (mut sent, mut got) = (vec![String::new(); 3], vec![String::new(); 3]);
        let mut note = |seen: Seen| {
            for record in seen.records() {
                let stream = usize::try_from(record["s"].as_u64().unwrap()).unwrap();
                got[stream].push_str(record["log"].as_str().unwrap());
                got[stream].push('|');
            }
        };
        for (stream, log, partial, tag, pause) in lines {
            sent[stream].push_str(&log);
            sent[stream].push('|');
            let record = json!({ "s": stream, "log": log, "p": partial.to_string(), "t": tag });
            note(driver.feed("app", &[record]));
            note(driver.wait(Duration::from_secs(pause)));
        }
        note(driver.finish());
        prop_assert_eq!(got, sent);
        prop_assert_eq!((driver.held(), driver.unanswered()), (0, 0));
    }
}
