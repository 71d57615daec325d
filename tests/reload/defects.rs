//! Deliberate defects of reloading, and the stories that notice them: each is told without the defect and with it.

use std::{collections::BTreeSet, net::TcpListener, time::Duration};

use super::kit::{SERVICE, TO_FILES, put, reload, taken};
use crate::harness::{
    Sender, eventually, forward, holds,
    scripted::{Manner, Scripted},
    weir::Home,
};

type Env<'a> = &'a [(&'a str, &'a str)];

fn defect(name: &str) -> [(&str, &str); 1] {
    [("WEIR_DEFECT", name)]
}

fn relay(port: u16) -> String {
    format!(
        r#"{SERVICE}
[[match]]
id = "relay"
type = "forward"
tag = "**"
require_ack_response = true
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
flush_interval = "0s"
chunk_limit_records = 10
retry_wait = "100ms"
retry_max_interval = "100ms"
"#
    )
}

/// How many of 100 acknowledged records arrive when their output is moved while they wait.
fn arrive_when_the_output_moves(env: Env<'_>) -> usize {
    let (nobody, there) = (
        Scripted::start(Manner::Closes),
        Scripted::start(Manner::Acks(Duration::ZERO)),
    );
    let home = Home::new(&relay(nobody.port()));
    let weir = home.spawn(env);
    weir.wait_ready();
    let mut sender = Sender::connect(weir.listens("in"));
    for message in 0..10 {
        let chunk = format!("c{message}");
        sender.send(&forward::packed(
            "a",
            &forward::numbered(message * 10, 10),
            Some(&chunk),
        ));
        sender.expect_ack(&chunk);
    }
    put(&home, &relay(there.port()));
    taken(&weir);
    holds("nothing waits any more", 20, &0.0, || {
        weir.metrics().sum("weir_held_records", &[])
    });
    let messages = there.messages().into_iter();
    let arrived: BTreeSet<u64> = messages.flat_map(|message| message.numbers).collect();
    arrived.len()
}

#[test]
fn a_reload_that_drops_the_buffer_is_noticed() {
    assert_eq!(arrive_when_the_output_moves(&[]), 100);
    let arrived = arrive_when_the_output_moves(&defect("reload_drops_buffer"));
    assert!(arrived < 100, "the defect is not seen");
}

/// Where a record goes after a reload that was refused because of a source: a folder.
fn folder_after_a_refusal(env: Env<'_>) -> &'static str {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.spawn(env);
    weir.wait_ready();
    let moved = TO_FILES.replace("out/all.log", "moved/all.log");
    let clash =
        format!("\n[[source]]\nid = \"more\"\ntype = \"forward\"\nlisten = \"{address}\"\n");
    put(&home, &format!("{SERVICE}{moved}{clash}"));
    let (status, answer) = reload(&weir);
    assert_eq!(status, 422, "{answer}");
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("a", &forward::numbered(0, 1), Some("c")));
    sender.expect_ack("c");
    eventually("the record arrives", 20, || {
        let mut folders = ["out", "moved"].into_iter();
        folders.find(|folder| !home.records(folder).is_empty())
    })
}

#[test]
fn a_reload_that_is_half_applied_is_noticed() {
    assert_eq!(folder_after_a_refusal(&[]), "out");
    let folder = folder_after_a_refusal(&defect("reload_half_applied"));
    assert_eq!(folder, "moved", "the defect is not seen");
}
