//! The Docker engine's log driver. Its containers write lines above 16 KiB, which it sends in parts: as they come, and
//! joined by the router.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;

use super::{RECORDS, Way, acknowledges, home};
use crate::harness::{Weir, docker::Engine, holds};

/// Every this many lines comes one with this many numbers of five digits. With a space between them, which is the least,
/// it makes three parts.
const LONG_EVERY: u64 = 50;
const NUMBERS: u64 = 6_000;
const SPACE: &str = " ";
/// Two and four bytes. Where Docker cuts, it cuts through characters.
const WIDE: &str = "\u{e9}\u{1f30a}";

/// Writes line after line, with two streams every third one to standard error. `line` below is the same in Rust.
const SCRIPT: &str = r#"
BEGIN {
    for (n = 0; n < 1000; n++) {
        file = streams == 1 || n % 3 ? "/dev/stdout" : "/dev/stderr"
        printf "line %d", n > file
        if (n % 50 == 0) for (i = 0; i < 6000; i++) printf "%s%05d", between, (i * 7 + n) % 100000 > file
        printf "\n" > file
    }
}"#;

fn line(n: u64, between: &str) -> String {
    let mut line = format!("line {n}");
    if n.is_multiple_of(LONG_EVERY) {
        for i in 0..NUMBERS {
            write!(line, "{between}{:05}", (i * 7 + n) % 100_000).expect("a string");
        }
    }
    line
}

/// The lines with the stream that each was written to.
fn expected(streams: u64, between: &str) -> BTreeSet<(String, String)> {
    let stream = |n: u64| match (streams, n % 3) {
        (2, 0) => "stderr",
        _ => "stdout",
    };
    (0..RECORDS)
        .map(|n| (line(n, between), stream(n).to_owned()))
        .collect()
}

/// Runs a container; every line must be in the file once, and its parts must join to what was written.
pub(super) fn arrives(way: Way) {
    let parts = RECORDS + RECORDS / LONG_EVERY * 2;
    story(way, "", SPACE, parts, |_| ());
}

/// The same with parts that the router joins.
fn arrives_joined(way: Way) {
    story(way, "join_partial_messages = true", WIDE, RECORDS, |weir| {
        let metrics = weir.metrics();
        let joined = metrics.sum("weir_forward_partial_joined_total", &[]);
        assert_eq!(joined, 20.0, "long lines");
        assert_eq!(metrics.sum("weir_forward_partial_let_go_total", &[]), 0.0);
        let received = metrics.sum("weir_received_records_total", &[]);
        assert_eq!(received, 1_000.0);
    });
}

fn story(way: Way, source: &str, between: &str, records: u64, look: impl FnOnce(&Weir)) {
    let acks = way == Way::Ack;
    // The logger of Docker 20.10 mixes up the acknowledgements of two streams; ../clients/README.md tells more.
    let streams = if acks { 1 } else { 2 };
    let home = home(way, source);
    let weir = home.start();
    let address = weir.listens("in").to_string();
    let variables = [format!("streams={streams}"), format!("between={between}")];
    let awk = ["-v", &variables[0], "-v", &variables[1], SCRIPT];
    Engine::start().run(&address, acks, &awk);
    holds("all is in the file", 30, &records, || {
        home.records("out").len() as u64
    });
    acknowledges(&weir, acks);
    let lines = joined(&home.records("out"));
    assert_eq!(lines.len() as u64, RECORDS, "a line is there twice");
    let expected = expected(streams, between);
    assert!(BTreeSet::from_iter(lines) == expected, "lines differ");
    look(&weir);
    weir.settles(10);
    assert!(weir.stop().success());
}

#[test]
fn lines_of_docker_are_joined() {
    arrives_joined(Way::Plain);
}

#[test]
fn lines_of_docker_are_joined_with_acks() {
    arrives_joined(Way::Ack);
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().expect("a string")
}

/// Lines and streams, the parts of each line joined by their numbers.
fn joined(records: &[Value]) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut parts: BTreeMap<&str, BTreeMap<u64, &Value>> = BTreeMap::new();
    for record in records {
        assert_eq!(record["tag"], "docker.test");
        let is_part = |name: &str| name.starts_with("partial_");
        if !record
            .as_object()
            .expect("an object")
            .keys()
            .any(|name| is_part(name))
        {
            lines.push((
                text(record, "log").to_owned(),
                text(record, "source").to_owned(),
            ));
            continue;
        }
        let number = text(record, "partial_ordinal").parse().expect("a number");
        let line = parts.entry(text(record, "partial_id")).or_default();
        assert!(line.insert(number, record).is_none(), "a part twice");
    }
    for line in parts.values() {
        let ends: Vec<&str> = line
            .values()
            .map(|part| text(part, "partial_last"))
            .collect();
        assert_eq!(ends, ["false", "false", "true"]);
        let log = line.values().map(|part| text(part, "log")).collect();
        let source = text(line[&1], "source").to_owned();
        lines.push((log, source));
    }
    lines
}
