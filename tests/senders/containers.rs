//! The Docker engine's log driver. Its containers write lines above 16 KiB, which it sends in parts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;

use super::{RECORDS, Way, acknowledges, home};
use crate::harness::{docker::Engine, holds};

/// Every this many lines comes one of 36,000 bytes, which makes three parts.
const LONG_EVERY: u64 = 50;
const NUMBERS: u64 = 6_000;

/// Writes line after line, with two streams every third one to standard error. `line` below is the same in Rust.
const SCRIPT: &str = r#"
BEGIN {
    for (n = 0; n < 1000; n++) {
        file = streams == 1 || n % 3 ? "/dev/stdout" : "/dev/stderr"
        printf "line %d", n > file
        if (n % 50 == 0) for (i = 0; i < 6000; i++) printf " %05d", (i * 7 + n) % 100000 > file
        printf "\n" > file
    }
}"#;

fn line(n: u64) -> String {
    let mut line = format!("line {n}");
    if n.is_multiple_of(LONG_EVERY) {
        for i in 0..NUMBERS {
            write!(line, " {:05}", (i * 7 + n) % 100_000).expect("a string");
        }
    }
    line
}

/// The lines with the stream that each was written to.
fn expected(streams: u64) -> BTreeSet<(String, String)> {
    let stream = |n: u64| match (streams, n % 3) {
        (2, 0) => "stderr",
        _ => "stdout",
    };
    (0..RECORDS)
        .map(|n| (line(n), stream(n).to_owned()))
        .collect()
}

/// Runs a container; every line must be in the file once, and its parts must join to what was written.
pub(super) fn arrives(way: Way) {
    let acks = way == Way::Ack;
    // The logger of Docker 20.10 mixes up the acknowledgements of two streams; ../clients/README.md tells more.
    let streams = if acks { 1 } else { 2 };
    let home = home(way, "");
    let weir = home.start();
    let address = weir.listens("in").to_string();
    Engine::start().run(
        &address,
        acks,
        &["-v", &format!("streams={streams}"), SCRIPT],
    );
    let parts = RECORDS + RECORDS / LONG_EVERY * 2;
    holds("every part is in the file", 30, &parts, || {
        home.records("out").len() as u64
    });
    acknowledges(&weir, acks);
    let lines = joined(&home.records("out"));
    assert_eq!(lines.len() as u64, RECORDS, "a line is there twice");
    assert!(
        BTreeSet::from_iter(lines) == expected(streams),
        "lines differ"
    );
    weir.settles(10);
    assert!(weir.stop().success());
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
        if record.get("partial_message").is_none() {
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
