//! Filters: those that stay keep what they remember, those that change take effect at once.

use serde_json::json;

use super::kit::{Load, SERVICE, TO_FILES, put, taken};
use crate::{
    delivery::numbers,
    harness::{Sender, forward, holds, weir::Home},
};

/// Adds a field to each record.
fn mark(value: &str) -> String {
    format!(
        "[[filter]]\nid = \"mark\"\ntype = \"record_transformer\"\ntag = \"**\"\n[filter.record]\nmark = \"{value}\"\n"
    )
}

/// Joins lines that do not begin with a digit to the one before; a line waits so many seconds for its continuation.
fn join(secs: u64) -> String {
    format!(
        r#"
[[filter]]
id = "join"
type = "concat"
tag = "app.**"
key = "log"
multiline_start_regexp = "^\\d"
flush_interval = "{secs}s"
"#
    )
}

fn lines(chunk: &str, lines: &[&str]) -> Vec<u8> {
    let entries: Vec<u8> = lines
        .iter()
        .flat_map(|line| forward::entry(1_764_000_000, &json!({ "log": line })))
        .collect();
    forward::packed("app.shop", &entries, Some(chunk))
}

#[test]
fn a_changed_filter_takes_effect_and_connections_stay() {
    let config = |value: &str| format!("{SERVICE}{}{TO_FILES}", mark(value));
    let home = Home::new(&config("old"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let load = Load::start(&weir, 4);
    let one = |n: u64| forward::numbered(n, 1);
    sender.send(&forward::packed("a", &one(1_000_000), Some("c1")));
    sender.expect_ack("c1");
    load.go_on(20);
    put(&home, &config("new"));
    let summary = taken(&weir);
    assert_eq!(summary["changed"], json!(["mark"]));
    assert_eq!(summary["kept"], json!(["in", "files"]));
    sender.send(&forward::packed("a", &one(1_000_001), Some("c2")));
    sender.expect_ack("c2");
    load.go_on(20);
    let acked = load.finish();
    weir.settles(30);
    let records = home.records("out");
    let marked = |n: u64| {
        let record = records.iter().find(|record| record["n"] == n);
        record.map(|record| record["mark"].clone())
    };
    assert_eq!(marked(1_000_000), Some(json!("old")));
    assert_eq!(marked(1_000_001), Some(json!("new")));
    let found = numbers(&records);
    assert_eq!(found.len(), acked.len() + 2, "each arrives once");
    assert!(acked.iter().all(|n| found.binary_search(n).is_ok()));
    assert!(weir.stop().success());
}

#[test]
fn a_filter_with_memory_keeps_it_while_another_one_changes() {
    // The one that stays stands elsewhere afterwards: behind another filter, and with other tags reaching its label.
    let after = format!("{SERVICE}{}{}{TO_FILES}", mark("new"), join(60));
    let home = Home::new(&format!("{SERVICE}{}{TO_FILES}", join(60)));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&lines("a", &["1 one", "2 two"]));
    let held = || {
        let samples = weir.metrics();
        samples.sum("weir_filter_held_records", &["component_id=\"join\""])
    };
    holds("a line is held", 20, &1.0, held);
    put(&home, &after);
    assert_eq!(taken(&weir)["added"], json!(["mark"]));
    assert_eq!(held(), 1.0);
    sender.send(&lines("b", &["  more", "3 three"]));
    sender.expect_ack("a");
    let logs = || {
        let records = home.records("out");
        let logs = records.iter().map(|record| record["log"].clone());
        logs.collect::<Vec<_>>()
    };
    let expected = vec![json!("1 one"), json!("2 two\n  more")];
    holds("the line was joined over the reload", 20, &expected, logs);
    assert!(weir.stop().success());
    assert_eq!(logs().len(), 3);
}

#[test]
fn a_filter_with_memory_that_changes_or_goes_lets_go_of_what_it_holds() {
    let home = Home::new(&format!("{SERVICE}{}{TO_FILES}", join(60)));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&lines("a", &["1 one"]));
    let held = || {
        let samples = weir.metrics();
        samples.sum("weir_filter_held_records", &["component_id=\"join\""])
    };
    holds("a line is held", 20, &1.0, held);
    put(&home, &format!("{SERVICE}{}{TO_FILES}", join(50)));
    assert_eq!(taken(&weir)["changed"], json!(["join"]));
    sender.expect_ack("a");
    sender.send(&lines("b", &["2 two"]));
    holds("the next one holds a line", 20, &1.0, held);
    put(&home, &format!("{SERVICE}{TO_FILES}"));
    assert_eq!(taken(&weir)["removed"], json!(["join"]));
    sender.expect_ack("b");
    weir.settles(20);
    assert_eq!(home.records("out").len(), 2);
    holds("its series are gone", 20, &0, || {
        let samples = weir.metrics();
        samples.matching("weir_filter_held_records", &[]).count()
    });
}
