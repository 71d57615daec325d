//! Messages that come again because their sender missed the acknowledgement: `duplicate_window`.

use std::{collections::BTreeSet, fs, time::Duration};

use crate::{
    delivery::{self, SERVICE, TO_FILES},
    harness::{Sender, Weir, eventually, forward, holds, weir::Home},
};

const WINDOW: &str = "duplicate_window = \"10m\"\n";

/// Sends a message and breaks the connection once the acknowledgement is there, without reading it.
fn send_and_miss_the_ack(weir: &Weir, message: &[u8]) {
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(message);
    let peeked = sender.0.peek(&mut [0; 1]).expect("an acknowledgement");
    assert_eq!(peeked, 1);
    // The kernel answers a close with unread bytes by a reset.
}

fn message(first: u64, chunk: &str) -> Vec<u8> {
    forward::packed("app.log", &forward::numbered(first, 10), Some(chunk))
}

fn stored(home: &Home, expected: impl Iterator<Item = u64>) {
    let expected: Vec<u64> = expected.collect();
    holds("the file holds each record once", 20, &expected, || {
        delivery::numbers(&home.records("out"))
    });
}

#[test]
fn c30_the_same_message_twice_is_acknowledged_twice_and_stored_once() {
    let home = Home::new(&format!("{SERVICE}{WINDOW}{TO_FILES}"));
    let weir = home.start();
    send_and_miss_the_ack(&weir, &message(0, "one"));
    let mut sender = Sender::connect(weir.listens("in"));
    // The router may see the end of the first connection only now.
    eventually("the first connection has ended", 10, || {
        (weir.metrics().sum("weir_forward_connections", &[]) <= 1.0).then_some(())
    });
    sender.send(&message(0, "one"));
    sender.expect_ack("one");
    // Equal bytes under another id, and other bytes under an equal one, are other messages.
    sender.send(&message(10, "one"));
    sender.expect_ack("one");
    stored(&home, 0..20);
    weir.settles(10);
    let repeated = weir
        .metrics()
        .sum("weir_dropped_records_total", &["reason=\"duplicate\""]);
    assert_eq!(repeated, 10.0);
    assert!(weir.stop().success());
}

#[test]
fn without_a_window_it_is_stored_twice() {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    for _ in 0..2 {
        send_and_miss_the_ack(&weir, &message(0, "one"));
    }
    stored(&home, (0..10).flat_map(|n| [n, n]));
    assert!(weir.stop().success());
}

#[test]
fn it_is_remembered_after_a_kill() {
    let home = Home::new(&format!("{SERVICE}{WINDOW}{TO_FILES}"));
    let weir = home.start();
    send_and_miss_the_ack(&weir, &message(0, "one"));
    stored(&home, 0..10);
    weir.settles(10);
    weir.kill();
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    for chunk in ["one", "two"] {
        sender.send(&message(if chunk == "one" { 0 } else { 10 }, chunk));
        sender.expect_ack(chunk);
    }
    stored(&home, 0..20);
    assert!(weir.stop().success());
}

#[test]
fn it_is_remembered_after_its_segment_is_gone_and_a_kill() {
    let to_nothing = "[[match]]\nid = \"null\"\ntag = \"**\"\ntype = \"null\"\n[match.buffer]\ntype = \"file\"\nflush_interval = \"0s\"\n";
    let home = Home::new(&format!("{SERVICE}{WINDOW}{to_nothing}"));
    let weir = home.start();
    let segments = || -> BTreeSet<String> {
        let entries = fs::read_dir(home.path().join("data/buffer/null")).expect("a buffer");
        let names = entries.flatten().map(|entry| entry.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names
            .filter(|name| {
                std::path::Path::new(name)
                    .extension()
                    .is_some_and(|end| end == "seg")
            })
            .collect()
    };
    let first = segments();
    send_and_miss_the_ack(&weir, &message(0, "one"));
    let mut sender = Sender::connect(weir.listens("in"));
    let pad = forward::entry(0, &serde_json::json!({ "pad": "x".repeat(1 << 20) }));
    for n in 0..20 {
        let chunk = format!("pad-{n}");
        sender.send(&forward::packed("app.log", &pad, Some(&chunk)));
        sender.expect_ack(&chunk);
    }
    eventually("the first segment is gone", 20, || {
        first.is_disjoint(&segments()).then_some(())
    });
    weir.kill();
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender
        .0
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    sender.send(&message(0, "one"));
    sender.expect_ack("one");
    let repeated = weir
        .metrics()
        .sum("weir_dropped_records_total", &["reason=\"duplicate\""]);
    assert_eq!(repeated, 10.0);
    weir.settles(10);
    assert!(weir.stop().success());
}
