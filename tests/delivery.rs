//! From the forward port to files: filters, routes, copies, labels, and the acknowledgement that means stored.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::harness::{
    Sender, eventually, forward, holds,
    metrics::Samples,
    weir::{Home, unbalanced},
};

/// The tables of the service: free ports, data below the home of the test, no delay at the end.
macro_rules! service {
    () => {
        r#"
[service]
data_dir = "data"
drain_delay = "0s"
[service.admin]
listen = "127.0.0.1:0"
"#
    };
}

/// A source for the forward protocol; keys of it may stand behind.
macro_rules! source {
    ($at:literal) => {
        concat!(
            "[[source]]\nid = \"in\"\ntype = \"forward\"\nlisten = \"",
            $at,
            "\"\n"
        )
    };
}

/// The service part of a configuration, for those with other sources.
pub(crate) const ROUTER: &str = service!();

/// The service part of a configuration, and a source `in` at a free port.
pub(crate) const SERVICE: &str = concat!(service!(), source!("127.0.0.1:0"));

/// The same with the source at this address.
pub(crate) fn listening(at: impl Display) -> String {
    format!(concat!(service!(), source!("{}")), at)
}

/// A match into files of the folder `out`.
pub(crate) const TO_FILES: &str = r#"
[[match]]
id = "files"
tag = "**"
type = "file"
path = "out/all.log"
[match.buffer]
flush_interval = "0s"
"#;

/// A router that writes into files what comes to `port`, with more in its source.
pub(crate) fn receiver(port: u16, source: &str) -> Home {
    let service = listening(format!("127.0.0.1:{port}"));
    Home::new(&format!("{service}{source}{TO_FILES}"))
}

/// The `n` of each record, in order.
pub(crate) fn numbers(records: &[Value]) -> Vec<u64> {
    let mut numbers: Vec<u64> = records
        .iter()
        .filter_map(|record| record["n"].as_u64())
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn records_pass_filters_and_arrive_once() {
    let filters = r#"
[[filter]]
type = "grep"
tag = "app.**"
exclude = [{ key = "level", pattern = "^debug$" }]
[[filter]]
type = "record_transformer"
tag = "app.**"
remove_keys = ["secret"]
[filter.record]
service = "${tag_parts[1]}"
where = "${hostname}"
"#;
    let home = Home::new(&format!("{SERVICE}{filters}{TO_FILES}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let entries: Vec<u8> = [("info", 1), ("debug", 2), ("warn", 3)]
        .into_iter()
        .flat_map(|(level, n)| {
            forward::entry(
                1_764_000_000,
                &json!({ "level": level, "n": n, "secret": "x" }),
            )
        })
        .collect();
    sender.send(&forward::packed("app.web", &entries, Some("one")));
    sender.expect_ack("one");
    holds("two of three arrive", 20, &vec![1, 3], || {
        numbers(&home.records("out"))
    });
    let record = &home.records("out")[0];
    assert_eq!(record["service"], "web");
    assert_eq!(record.get("secret"), None);
    assert!(
        record["where"]
            .as_str()
            .is_some_and(|host| !host.is_empty())
    );
    weir.settles(10);
    let metrics = weir.metrics();
    assert_eq!(metrics.sum("weir_received_records_total", &[]), 3.0);
    assert_eq!(
        metrics.sum("weir_dropped_records_total", &["reason=\"filtered\""]),
        1.0
    );
    assert_eq!(metrics.sum("weir_sent_records_total", &[]), 2.0);
    assert!(weir.stop().success());
}

#[test]
fn the_first_match_wins_and_what_nothing_takes_is_counted() {
    let matches = r#"
[[match]]
id = "web"
tag = "app.web"
type = "file"
path = "out/web.log"
[[match]]
id = "app"
tag = "app.**"
except = ["app.noise"]
type = "file"
path = "out/app.log"
"#;
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    for (tag, n) in [
        ("app.web", 1),
        ("app.db", 2),
        ("app.noise", 3),
        ("other", 4),
    ] {
        sender.send(&forward::packed(tag, &forward::numbered(n, 1), Some(tag)));
        sender.expect_ack(tag);
    }
    assert!(weir.metrics().sum("weir_unmatched_records_total", &[]) == 2.0);
    assert!(weir.stop().success());
    assert_eq!(numbers(&home.records("out/web.log")), [1]);
    assert_eq!(numbers(&home.records("out/app.log")), [2]);
}

#[test]
fn a_copy_reaches_every_store_and_a_relabel_its_label() {
    let matches = r#"
[[match]]
tag = "**"
type = "copy"
[[match.store]]
id = "all"
type = "file"
path = "out/all.log"
[[match.store]]
type = "relabel"
label = "ERRORS_ONLY"
[[label.ERRORS_ONLY.filter]]
type = "grep"
tag = "**"
regexp = [{ key = "level", pattern = "^error$" }]
[[label.ERRORS_ONLY.match]]
id = "errors"
tag = "**"
type = "file"
path = "out/errors.log"
"#;
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let entries: Vec<u8> = [("info", 1), ("error", 2)]
        .into_iter()
        .flat_map(|(level, n)| forward::entry(1, &json!({ "level": level, "n": n })))
        .collect();
    sender.send(&forward::packed("a", &entries, Some("c")));
    sender.expect_ack("c");
    weir.settles(20);
    assert!(weir.stop().success());
    assert_eq!(numbers(&home.records("out/all.log")), [1, 2]);
    assert_eq!(numbers(&home.records("out/errors.log")), [2]);
}

#[test]
fn a_full_archive_that_is_forgiven_does_not_block_the_other_store() {
    let matches = r#"
[[match]]
tag = "**"
type = "copy"
[[match.store]]
id = "search"
type = "file"
path = "out/search.log"
[[match.store]]
id = "archive"
type = "null"
never_flush = true
on_full = "ignore"
[match.store.buffer]
type = "memory"
chunk_limit_size = "64KiB"
total_limit_size = "256KiB"
"#;
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    for chunk in 0..40_u64 {
        let name = format!("c{chunk}");
        sender.send(&forward::packed(
            "a",
            &forward::numbered(chunk * 1000, 1000),
            Some(&name),
        ));
        sender.expect_ack(&name);
    }
    let ignored = weir
        .metrics()
        .sum("weir_dropped_records_total", &["reason=\"ignored\""]);
    assert!(ignored > 0.0, "the archive was never full");
    holds("the other store has all", 20, &40_000, || {
        home.records("out/search.log").len()
    });
    assert_eq!(
        weir.metrics().sum("weir_ledger_imbalance_records", &[]),
        0.0
    );
}

/// What a filter cannot handle goes to the label `ERROR`, unchanged, and the others go on.
#[test]
fn what_a_filter_cannot_handle_goes_to_the_error_label() {
    let filters = r#"
[[filter]]
type = "record_transformer"
tag = "**"
[filter.record]
"$.a.b.c.d.e.f.g.h" = "${record.deep}"
[[label.ERROR.match]]
id = "errors"
tag = "**"
type = "file"
path = "errors/all.log"
"#;
    let home = Home::new(&format!("{SERVICE}{filters}{TO_FILES}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let nested = (0..58).fold(json!("bottom"), |inner, _| json!([inner]));
    let entries: Vec<u8> = [
        json!({ "n": 1, "deep": 1 }),
        json!({ "n": 2, "deep": nested }),
    ]
    .iter()
    .flat_map(|record| forward::entry(1, record))
    .collect();
    sender.send(&forward::packed("a", &entries, Some("c")));
    sender.expect_ack("c");
    holds("the good one", 20, &vec![1], || {
        numbers(&home.records("out"))
    });
    holds("the other one", 20, &vec![2], || {
        numbers(&home.records("errors"))
    });
    weir.settles(10);
    let metrics = weir.metrics();
    assert_eq!(metrics.sum("weir_filter_errors_total", &[]), 1.0);
}

/// A message that comes in pieces is acknowledged even if a forgiven store took only some of them.
#[test]
fn a_forgiven_store_does_not_keep_a_large_message_from_its_acknowledgement() {
    let matches = r#"
[[match]]
tag = "**"
type = "copy"
[[match.store]]
id = "search"
type = "file"
path = "out/search.log"
[[match.store]]
id = "archive"
type = "null"
never_flush = true
on_full = "ignore"
[match.store.buffer]
type = "memory"
total_limit_size = "12MiB"
"#;
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let weir = home.start();
    let pad = "x".repeat(1000);
    let entries: Vec<u8> = (0..20_000)
        .flat_map(|n| forward::entry(1, &json!({ "n": n, "pad": pad })))
        .collect();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("a", &entries, Some("large")));
    sender.expect_ack("large");
    holds("all of it is in the other store", 30, &20_000, || {
        home.records("out/search.log").len()
    });
    let ignored = weir
        .metrics()
        .sum("weir_dropped_records_total", &["reason=\"ignored\""]);
    assert!(ignored > 0.0, "the archive took all of it");
}

#[test]
fn what_is_stored_outlives_kill_9() {
    let held = r#"
[[match]]
id = "later"
tag = "**"
type = "file"
path = "out/all.log"
[match.buffer]
flush_interval = "1h"
"#;
    let home = Home::new(&format!("{SERVICE}{held}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed(
        "a",
        &forward::numbered(0, 500),
        Some("kept"),
    ));
    sender.expect_ack("kept");
    weir.kill();
    let weir = home.start();
    assert_eq!(
        weir.metrics().sum("weir_recovered_records_total", &[]),
        500.0
    );
    weir.signal("USR1");
    holds(
        "all arrive after the restart",
        20,
        &(0..500).collect(),
        || numbers(&home.records("out")),
    );
    weir.settles(10);
}

/// A deliberate leak: each batch is booked one record short. The ledger must say so, and readers of it must see it.
#[test]
fn a_leak_shows_in_the_ledger() {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.spawn(&[("WEIR_DEFECT", "ledger_leak")]);
    weir.wait_ready();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("a", &forward::numbered(0, 10), Some("c")));
    sender.expect_ack("c");
    holds("the records arrive", 20, &10, || home.records("out").len());
    let off = |samples: &Samples| !unbalanced(samples).is_empty();
    eventually("the ledger does not balance", 20, || {
        off(&weir.metrics()).then_some(())
    });
    assert_eq!(weir.metrics().sum("weir_held_records", &[]), 0.0);
}
