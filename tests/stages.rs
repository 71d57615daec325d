//! Filters with memory, and outputs without a buffer, from outside: who is answered when, and what arrives.

use serde_json::{Value, json};

use crate::{
    delivery::{SERVICE, TO_FILES, receiver},
    harness::{Sender, Weir, forward, free_port, holds, weir::Home, weir::unbalanced},
};

/// Joins lines that do not begin with a digit to the one before.
const CONCAT: &str = r#"
[[filter]]
id = "join"
type = "concat"
tag = "app.**"
key = "log"
multiline_start_regexp = "^\\d"
flush_interval = "60s"
[[filter]]
type = "record_transformer"
tag = "app.**"
[filter.record]
behind = "yes"
"#;

fn message(chunk: &str, lines: &[&str]) -> Vec<u8> {
    let entries: Vec<u8> = lines
        .iter()
        .flat_map(|line| forward::entry(1_764_000_000, &json!({ "log": line })))
        .collect();
    forward::packed("app.shop", &entries, Some(chunk))
}

/// The lines that arrived, in order.
fn logs(home: &Home) -> Vec<Value> {
    let records = home.records("out");
    records.iter().map(|record| record["log"].clone()).collect()
}

fn holds_back(weir: &Weir, records: f64) {
    holds("records are held", 20, &(records, Vec::new()), || {
        let samples = weir.metrics();
        let held = samples.sum("weir_filter_held_records", &["component_id=\"join\""]);
        (held, unbalanced(&samples))
    });
}

#[test]
fn lines_of_several_messages_become_one_record_and_each_sender_is_answered_when_it_is_stored() {
    let home = Home::new(&format!("{SERVICE}{CONCAT}{TO_FILES}"));
    let weir = home.start();
    let mut first = Sender::connect(weir.listens("in"));
    let mut second = Sender::connect(weir.listens("in"));
    first.send(&message("a", &["1 one", "2 two"]));
    holds_back(&weir, 1.0);
    first.send(&message("b", &["  more"]));
    holds_back(&weir, 2.0);
    second.send(&message("c", &["3 three"]));
    first.expect_ack("a");
    first.expect_ack("b");
    holds_back(&weir, 1.0);
    assert_eq!(weir.metrics().sum("weir_merged_records_total", &[]), 1.0);
    // A drain lets go of what is held, and its sender is answered.
    weir.signal("TERM");
    second.expect_ack("c");
    assert!(weir.wait_end(30).success());
    assert_eq!(logs(&home), ["1 one", "2 two\n  more", "3 three"]);
    assert!(
        home.records("out")
            .iter()
            .all(|record| record["behind"] == "yes")
    );
}

#[test]
fn what_is_held_by_a_killed_router_was_not_acknowledged_and_comes_again() {
    let home = Home::new(&format!("{SERVICE}{CONCAT}{TO_FILES}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&message("a", &["1 one"]));
    holds_back(&weir, 1.0);
    weir.kill();
    assert!(sender.is_closed());
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&message("a", &["1 one", "2 two"]));
    sender.send(&message("b", &["3 three"]));
    sender.expect_ack("a");
    weir.stop();
    assert_eq!(logs(&home), ["1 one", "2 two", "3 three"]);
}

#[test]
fn without_a_buffer_a_sender_is_answered_when_the_destination_took_its_records() {
    let port = free_port();
    let delay = "drain_delay = \"0s\"";
    let service = SERVICE.replace(delay, &format!("{delay}\nshutdown_timeout = \"4s\""));
    let relay = format!(
        r#"{service}
[[match]]
id = "relay"
type = "forward"
tag = "**"
require_ack_response = true
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
type = "none"
flush_interval = "0s"
retry_wait = "100ms"
retry_max_interval = "200ms"
"#
    );
    let home = Home::new(&relay);
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&message("a", &["1 one"]));
    holds("it is held and was tried", 20, &(1.0, true), || {
        let samples = weir.metrics();
        let held = samples.sum("weir_held_records", &["component_id=\"relay\""]);
        let tries = samples.sum("weir_output_retries_total", &[]);
        (held, tries > 1.0)
    });
    assert!(!home.path().join("data/buffer").exists());
    let far = receiver(port, "");
    let receiving = far.start();
    sender.expect_ack("a");
    weir.settles(20);
    receiving.settles(20);
    assert_eq!(logs(&far), ["1 one"]);
    // With the destination gone again, the end of the router breaks the promise it never gave.
    receiving.stop();
    sender.send(&message("b", &["2 two"]));
    holds("it is held", 20, &1.0, || {
        weir.metrics()
            .sum("weir_held_records", &["component_id=\"relay\""])
    });
    weir.signal("TERM");
    weir.wait_end(60);
    assert!(sender.is_closed());
    assert_eq!(logs(&far), ["1 one"]);
}
