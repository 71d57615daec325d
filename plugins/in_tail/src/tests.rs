//! The input as a whole, with the parsers of the shelf.

use std::{fs, path::Path, time::Duration};

use sdk::{
    input::Ready,
    stop::Stopper,
    testing::{Collector, records},
};
use serde_json::{Value, json};

use super::*;

static PLUGINS: &[&Descriptor] = &[
    &parsers::json::PLUGIN,
    &parsers::multiline::PLUGIN,
    &parsers::none::PLUGIN,
];

fn cx(dir: &Path) -> BuildCx {
    BuildCx {
        state_dir: Some(dir.join("state")),
        plugins: PLUGINS,
        ..BuildCx::detached("test")
    }
}

/// Runs the input over a folder until `count` records came; tag and record of each.
async fn run(dir: &Path, mut params: Value, count: usize) -> Vec<(String, Value)> {
    let path = dir.join("logs/*.log");
    params["path"] = path.to_str().unwrap().into();
    params["read_from_head"] = true.into();
    params["poll_interval"] = "10ms".into();
    let input = build(params, &cx(dir)).unwrap();
    let collector = Collector::default();
    let (stopper, stop) = Stopper::new();
    let running = tokio::spawn(input.run(collector.cx(Ready::new(|_| {})), stop));
    let all = || -> Vec<(String, Value)> {
        let batches = collector.batches();
        batches
            .iter()
            .flat_map(|batch| {
                let tag = batch.tag.to_string();
                records(&batch.events)
                    .into_iter()
                    .map(move |r| (tag.clone(), r))
            })
            .collect()
    };
    let waiting = async {
        while all().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
    stopper.stop();
    running.await.unwrap().unwrap();
    all()
}

fn folder(name: &str, text: impl AsRef<[u8]>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("logs")).unwrap();
    fs::write(dir.path().join("logs").join(name), text).unwrap();
    dir
}

fn only_records(all: Vec<(String, Value)>) -> Value {
    all.into_iter().map(|(_, record)| record).collect()
}

#[tokio::test]
async fn a_line_is_a_message_and_the_tag_has_the_path() {
    let dir = folder("app.log", "one\r\ntwo\n");
    let all = run(
        dir.path(),
        json!({ "tag": "app.*.x", "path_key": "file" }),
        2,
    )
    .await;
    let path = dir.path().join("logs/app.log");
    let path = path.to_str().unwrap();
    assert_eq!(all[0].1, json!({ "message": "one", "file": path }));
    assert_eq!(all[1].1["message"], "two");
    let dotted = path.trim_start_matches('/').replace('/', ".");
    assert_eq!(all[0].0, format!("app.{dotted}.x"));
}

#[tokio::test]
async fn positions_are_kept_between_runs() {
    let dir = folder("app.log", "one\n");
    run(dir.path(), json!({ "tag": "t" }), 1).await;
    let path = dir.path().join("logs/app.log");
    fs::write(&path, "one\ntwo\n").unwrap();
    let all = run(dir.path(), json!({ "tag": "t" }), 1).await;
    assert_eq!(only_records(all), json!([{ "message": "two" }]));
}

#[tokio::test]
async fn a_line_that_does_not_match_is_emitted_on_request() {
    let dir = folder("app.log", "{\"a\":1}\nno json\n");
    let params = json!({ "tag": "t", "parse": { "type": "json" }, "emit_unmatched_lines": true });
    let all = run(dir.path(), params, 2).await;
    assert_eq!(
        only_records(all),
        json!([{ "a": 1 }, { "unmatched_line": "no json" }])
    );
}

#[tokio::test]
async fn lines_are_joined_as_the_parser_says_and_the_last_is_flushed() {
    let dir = folder("app.log", "E one\n at a\n at b\nE two\n at c\n");
    let params = json!({
        "tag": "t",
        "multiline_flush_interval": "50ms",
        "parse": {
            "type": "multiline",
            "format_firstline": "/^E/",
            "format1": "/^E (?<message>.*)/m",
        },
    });
    let all = run(dir.path(), params, 2).await;
    assert_eq!(
        only_records(all),
        json!([{ "message": "one\n at a\n at b" }, { "message": "two\n at c" }])
    );
}

#[tokio::test]
async fn other_encodings_become_utf_8() {
    let (text, ..) = encoding_rs::EUC_KR.encode("\u{d55c}\u{ae00}\n\u{b458}\n");
    let dir = folder("app.log", text);
    let all = run(
        dir.path(),
        json!({ "tag": "t", "from_encoding": "euc-kr" }),
        2,
    )
    .await;
    let expected = json!([{ "message": "\u{d55c}\u{ae00}" }, { "message": "\u{b458}" }]);
    assert_eq!(only_records(all), expected);
    let wide: Vec<u8> = "\u{feff}\u{d55c}\nb\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let dir = folder("app.log", wide);
    let all = run(dir.path(), json!({ "tag": "t", "encoding": "UTF-16LE" }), 2).await;
    assert_eq!(
        only_records(all),
        json!([{ "message": "\u{d55c}" }, { "message": "b" }])
    );
}

#[tokio::test]
async fn a_group_over_its_limit_waits() {
    let dir = folder("app.log", "1\n2\n3\n4\n5\n");
    let params = json!({
        "tag": "t",
        "group": {
            "pattern": "logs/(?<name>[a-z]+)",
            "rate_period": "300ms",
            "rule": [{ "match": { "name": "/^app$/" }, "limit": 2 }],
        },
    });
    let began = std::time::Instant::now();
    let all = run(dir.path(), params, 5).await;
    assert_eq!(all.len(), 5);
    assert!(
        began.elapsed() >= Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
}

#[track_caller]
fn refused(params: Value, path: &str) {
    let dir = Path::new("none");
    let errors = build(params, &cx(dir)).err().unwrap();
    assert_eq!(errors[0].path, path, "{errors:?}");
}

#[test]
fn what_cannot_work_is_refused_at_its_place() {
    let with = |key: &str, value: Value| {
        let mut params = json!({ "tag": "t", "path": "/a/*.log" });
        params[key] = value;
        params
    };
    refused(with("path", "/a/***b".into()), "/path");
    refused(
        with("enable_watch_timer", false.into()),
        "/enable_watch_timer",
    );
    refused(with("max_line_size", "1g".into()), "/max_line_size");
    refused(with("from_encoding", "klingon".into()), "/from_encoding");
    refused(with("poll_interval", "1ms".into()), "/poll_interval");
    refused(with("parse", json!({ "type": "nothing" })), "/parse/type");
    let group = json!({ "rule": [{ "match": { "pod": "a" }, "limit": 1 }] });
    refused(with("group", group), "/group/rule/0/match/pod");
    let mut unnamed = cx(Path::new("none"));
    unnamed.state_dir = None;
    let errors = build(json!({ "tag": "t", "path": "/a" }), &unnamed)
        .err()
        .unwrap();
    assert!(errors[0].help.as_ref().unwrap().contains("id ="));
}
