//! Docker's parts of long lines: joined by their id, also when the router is killed between two of them.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value, json};

use crate::{
    delivery::{ROUTER, TO_FILES},
    harness::{
        Sender, forward, free_port, holds,
        weir::{BINARY, Home},
    },
};

/// Docker cuts at 16 KiB.
const PART_LEN: usize = 16 << 10;
const KILLS: u32 = 4;
const LINES: [&str; 3] = ["1f0c", "2ab9", "3d77"];

fn config(source: &str) -> String {
    format!(
        r#"{ROUTER}
[[source]]
type = "forward"
join_partial_messages = true
{source}
{TO_FILES}"#
    )
}

/// The text of one part, which is like no other.
fn text(line: &str, ordinal: u32) -> String {
    format!("{line}/{ordinal} ").repeat(PART_LEN / 8)
}

/// What Docker's driver writes for it.
fn part(line: &str, ordinal: u32, last: u32) -> Vec<u8> {
    let record = json!({
        "container_name": "/shop",
        "source": "stdout",
        "log": text(line, ordinal),
        "partial_message": "true",
        "partial_id": line,
        "partial_ordinal": ordinal.to_string(),
        "partial_last": (ordinal == last).to_string(),
    });
    let chunk = format!("{line}-{ordinal}");
    forward::packed(
        "docker.shop",
        &forward::entry(1_764_000_000 + ordinal, &record),
        Some(&chunk),
    )
}

/// Sends a part of every line as Docker does, which sends nothing more before it has the answer.
fn send(sender: &mut Sender, ordinal: u32, last: u32) {
    for line in LINES {
        sender.send(&part(line, ordinal, last));
        sender.expect_ack(&format!("{line}-{ordinal}"));
    }
}

#[test]
fn a_line_is_whole_and_comes_once_though_the_router_is_killed_between_its_parts() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let home = Home::new(&config(&format!(
        "id = \"docker\"\nlisten = \"{address}\"\n"
    )));
    let mut weir = home.start();
    let last = KILLS + 1;
    for ordinal in 1..last {
        let mut sender = Sender::connect(address);
        if ordinal > 1 {
            // Docker has not seen the answers to these.
            send(&mut sender, ordinal - 1, last);
        }
        send(&mut sender, ordinal, last);
        weir.kill();
        weir = home.start();
        let lines = u32::try_from(LINES.len()).expect("a few");
        let held = f64::from(lines * ordinal);
        holds("the parts are there", 20, &held, || {
            weir.metrics().sum("weir_forward_partial_held", &[])
        });
    }
    assert!(home.path().join("data/state/docker/partial/parts").exists());
    assert!(home.records("out").is_empty(), "no line is whole yet");
    send(&mut Sender::connect(address), last, last);
    weir.settles(30);
    let expected: Vec<Value> = LINES
        .iter()
        .map(|line| {
            let log: String = (1..=last).map(|ordinal| text(line, ordinal)).collect();
            json!({
                "time": "2025-11-24T16:00:01.000000007Z",
                "tag": "docker.shop",
                "container_name": "/shop",
                "source": "stdout",
                "log": log,
            })
        })
        .collect();
    let written = || {
        let mut records = home.records("out");
        records.sort_by_key(|record| record["log"].to_string());
        records
    };
    holds("all lines are written", 20, &LINES.len(), || {
        written().len()
    });
    for (written, expected) in written().iter().zip(&expected) {
        assert_eq!(written, expected);
    }
    let samples = weir.metrics();
    assert_eq!(samples.sum("weir_forward_partial_held", &[]), 0.0);
    assert_eq!(samples.sum("weir_received_records_total", &[]), 3.0);
    assert!(weir.stop().success());
    assert_eq!(written().len(), LINES.len(), "nothing comes at the end");
}

#[test]
fn what_waits_is_written_at_the_stop() {
    let config = config("id = \"docker\"\nlisten = \"127.0.0.1:0\"\n");
    // Without it, what comes into a file buffer at the end is kept there for the next start.
    let home = Home::new(&format!("{config}flush_at_shutdown = true\n"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("docker"));
    send(&mut sender, 1, 3);
    send(&mut sender, 2, 3);
    assert!(weir.stop().success());
    let mut parts: Vec<_> = home
        .records("out")
        .iter()
        .map(|record| {
            let log = record["log"].as_str().expect("a text").to_owned();
            let id = record["partial_id"].as_str().expect("a part").to_owned();
            (id, log, record["partial_ordinal"].clone())
        })
        .collect();
    parts.sort_by_key(|(id, ..)| id.clone());
    let expected = LINES.map(|line| (line.to_owned(), text(line, 1) + &text(line, 2), json!("1")));
    assert_eq!(parts, expected);
}

#[test]
fn a_source_that_joins_needs_an_id() {
    let home = Home::new(&config("listen = \"127.0.0.1:0\"\n"));
    let output = Command::new(BINARY)
        .args(["check", "-c"])
        .arg(home.config())
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("needs an id of its own") && text.contains("id = \"docker\""),
        "{text}"
    );
}
