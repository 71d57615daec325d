//! Real fluent loggers through to a file, exact: what each can send and how it asks for acknowledgements.

use std::collections::BTreeSet;

use crate::{
    delivery::{SERVICE, TO_FILES},
    harness::{
        clients::{self, Client},
        holds,
        weir::Home,
    },
};

const RECORDS: u64 = 1_000;

/// Runs one logger; every record must be in the file once, and acknowledged when the logger asks.
fn arrives(start: impl FnOnce(u16) -> Client, asks: bool) {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let client = start(weir.listens("in").port());
    let acked = client.finish(60);
    assert_eq!(acked.len() as u64, if asks { RECORDS } else { 0 });
    let expected: BTreeSet<u64> = (0..RECORDS).collect();
    holds("every record is in the file", 30, &expected, || {
        home.records("out")
            .iter()
            .filter_map(|record| record["id"].as_u64())
            .collect()
    });
    assert_eq!(
        home.records("out").len() as u64,
        RECORDS,
        "a record is there twice"
    );
    assert!(
        home.records("out")
            .iter()
            .all(|record| record["message"] == format!("record {}", record["id"]))
    );
    weir.settles(10);
    assert!(weir.stop().success());
}

#[test]
fn python_fluent_logger() {
    arrives(|port| clients::python(port, "t", "ids", RECORDS), false);
}

#[test]
fn go_fluent_logger_with_acks() {
    arrives(|port| clients::go(port, "t", RECORDS), true);
}

#[test]
fn npm_fluent_logger_with_acks() {
    arrives(
        |port| clients::node("fluent-logger", port, "t", RECORDS, &["--ack"]),
        true,
    );
}

fn fluent_org(mode: &str) {
    let args = ["--ack", "--mode", mode];
    arrives(
        |port| clients::node("@fluent-org/logger", port, "t", RECORDS, &args),
        true,
    );
}

#[test]
fn npm_fluent_org_logger_message() {
    fluent_org("message");
}

#[test]
fn npm_fluent_org_logger_forward() {
    fluent_org("forward");
}

#[test]
fn npm_fluent_org_logger_packed() {
    fluent_org("packed");
}

#[test]
fn npm_fluent_org_logger_compressed() {
    fluent_org("compressed");
}
