//! Outputs: what waits in a buffer stays there, whatever happens around it.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::json;

use super::kit::{Load, SERVICE, put, reload, taken};
use crate::{
    delivery::numbers,
    harness::{
        Sender, Weir, eventually, forward, holds,
        scripted::{Manner, Scripted},
        weir::Home,
    },
};

/// A relay to this port, with more in its table and in that of its buffer.
fn relay(port: u16, more: &str, buffer: &str) -> String {
    format!(
        r#"
[[match]]
id = "relay"
type = "forward"
tag = "**"
require_ack_response = true
ack_response_timeout = "2s"
{more}
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
{buffer}
"#
    )
}

const QUICK: &str =
    "flush_interval = \"0s\"\nretry_wait = \"100ms\"\nretry_max_interval = \"200ms\"";
/// So slow that a test that waits for a retry fails.
const SLOW: &str = "flush_interval = \"0s\"\nretry_wait = \"10m\"\nretry_max_interval = \"10m\"";

fn held(weir: &Weir) -> f64 {
    let samples = weir.metrics();
    samples.sum("weir_held_records", &["component_id=\"relay\""])
}

/// The numbers that came, each once however often it came.
fn received(receiver: &Scripted) -> BTreeSet<u64> {
    let messages = receiver.messages().into_iter();
    messages.flat_map(|message| message.numbers).collect()
}

/// How often a buffer was opened since the start.
fn openings(weir: &Weir) -> usize {
    let log = weir.log();
    let opened = log.iter().filter(|line| line["message"] == "buffer opened");
    opened.count()
}

fn send(sender: &mut Sender, first: u64, count: u64) {
    let chunk = format!("c{first}");
    sender.send(&forward::packed(
        "a",
        &forward::numbered(first, count),
        Some(&chunk),
    ));
    sender.expect_ack(&chunk);
}

#[test]
fn an_output_that_moves_takes_its_backlog_along() {
    let (nobody, there) = (
        Scripted::start(Manner::Closes),
        Scripted::start(Manner::Acks(Duration::ZERO)),
    );
    let home = Home::new(&format!("{SERVICE}{}", relay(nobody.port(), "", SLOW)));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    for message in 0..20 {
        send(&mut sender, message * 50, 50);
    }
    holds("it was tried", 20, &true, || {
        weir.metrics().sum("weir_output_errors_total", &[]) > 0.0
    });
    assert_eq!(held(&weir), 1000.0);
    put(
        &home,
        &format!("{SERVICE}{}", relay(there.port(), "", SLOW)),
    );
    assert_eq!(taken(&weir)["changed"], json!(["relay"]));
    // The chunk that waits ten minutes for its next try is tried at once.
    weir.settles(10);
    assert_eq!(received(&there), (0..1000).collect());
    assert_eq!(
        there
            .messages()
            .iter()
            .map(|message| message.numbers.len())
            .sum::<usize>(),
        1000
    );
    assert_eq!(
        openings(&weir),
        1,
        "the buffer was handed on, not opened again"
    );
    send(&mut sender, 1000, 10);
    holds("new records go there too", 20, &1010, || {
        received(&there).len()
    });
    assert!(weir.stop().success());
}

#[test]
fn a_call_that_hangs_does_not_keep_an_output_from_moving() {
    let (silent, there) = (
        Scripted::start(Manner::Deaf),
        Scripted::start(Manner::Acks(Duration::ZERO)),
    );
    let hangs = "ack_response_timeout = \"10m\"\nsend_timeout = \"10m\"";
    let text = relay(silent.port(), "", QUICK).replace("ack_response_timeout = \"2s\"", hangs);
    let home = Home::new(&format!("{SERVICE}{text}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    send(&mut sender, 0, 50);
    holds("a call is under way", 20, &1.0, || {
        weir.metrics().sum("weir_output_inflight_requests", &[])
    });
    put(
        &home,
        &format!("{SERVICE}{}", relay(there.port(), "", QUICK)),
    );
    taken(&weir);
    weir.settles(10);
    assert_eq!(received(&there), (0..50).collect());
    assert_eq!(
        weir.metrics().sum("weir_output_inflight_requests", &[]),
        0.0
    );
    assert!(weir.stop().success());
}

/// Every option of a buffer, one after the other.
const OPTIONS: [&str; 13] = [
    "flush_interval = \"50ms\"",
    "chunk_limit_size = \"64KiB\"",
    "chunk_limit_records = 20",
    "total_limit_size = \"64MiB\"",
    "overflow_action = \"throw_exception\"",
    "durability = \"os\"",
    "commit_window = \"1ms\"",
    "flush_thread_count = 3",
    "flush_at_shutdown = true",
    "retry_wait = \"70ms\"",
    "retry_max_times = 1000",
    "retry_timeout = \"1h\"",
    "retry_forever = false",
];

#[test]
fn every_option_of_a_busy_output_can_be_changed() {
    let there = Scripted::start(Manner::Acks(Duration::ZERO));
    let config =
        |more: &str, buffer: &str| format!("{SERVICE}{}", relay(there.port(), more, buffer));
    let home = Home::new(&config("", ""));
    let weir = home.start();
    let load = Load::start(&weir, 3);
    for option in OPTIONS {
        put(&home, &config("", option));
        assert_eq!(taken(&weir)["changed"], json!(["relay"]), "{option}");
        load.go_on(10);
    }
    for option in [
        "failure = \"stop\"",
        "send_timeout = \"30s\"",
        "heartbeat_type = \"none\"",
    ] {
        put(&home, &config(option, ""));
        assert_eq!(taken(&weir)["changed"], json!(["relay"]), "{option}");
        load.go_on(10);
    }
    let dead_letter = format!(
        "{}[match.dead_letter]\nmax_bytes = \"1MiB\"\n",
        config("", "")
    );
    put(&home, &dead_letter);
    assert_eq!(taken(&weir)["changed"], json!(["relay"]));
    load.go_on(10);
    let acked: BTreeSet<u64> = load.finish().into_iter().collect();
    weir.settles(30);
    let received = received(&there);
    assert!(
        acked.is_subset(&received),
        "{} are missing",
        acked.difference(&received).count()
    );
    assert_eq!(received.len(), acked.len(), "there is what nobody sent");
    assert_eq!(openings(&weir), 1);
    assert!(weir.stop().success());
}

#[test]
fn what_waits_for_an_output_that_goes_stays_and_comes_when_it_is_back() {
    let there = Scripted::start(Manner::Closes);
    let fast = SERVICE.replace("drain_delay", "shutdown_timeout = \"1s\"\ndrain_delay");
    let with = format!("{fast}{}", relay(there.port(), "", QUICK));
    let without = format!("{fast}\n[[match]]\nid = \"void\"\ntag = \"**\"\ntype = \"null\"\n");
    let home = Home::new(&with);
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    send(&mut sender, 0, 100);
    put(&home, &without);
    let summary = taken(&weir);
    assert_eq!(
        (&summary["removed"], &summary["added"]),
        (&json!(["relay"]), &json!(["void"]))
    );
    send(&mut sender, 100, 5);
    eventually("it is said what stays", 20, || {
        let log = weir.log();
        let said = log.iter().any(|line| {
            let message = line["message"].as_str().unwrap_or_default();
            line["records"] == 100 && message.contains("stay in its buffer")
        });
        said.then_some(())
    });
    holds("nobody holds it now", 20, &0, || {
        weir.metrics()
            .matching("weir_held_records", &["component_id=\"relay\""])
            .count()
    });
    let orphans = || weir.metrics().sum("weir_orphan_buffers", &[]);
    holds("its buffer is reported", 20, &1.0, orphans);
    there.behave(Manner::Acks(Duration::ZERO));
    put(&home, &with);
    assert_eq!(taken(&weir)["added"], json!(["relay"]));
    holds("it is delivered", 20, &(0..100).collect(), || {
        received(&there)
    });
    weir.settles(20);
    holds("no buffer is without its output", 20, &0.0, orphans);
    assert!(weir.stop().success());
}

#[test]
fn an_output_that_is_back_before_it_is_gone_goes_on() {
    let there = Scripted::start(Manner::Closes);
    let with = format!("{SERVICE}{}", relay(there.port(), "", QUICK));
    let without = format!("{SERVICE}\n[[match]]\nid = \"void\"\ntag = \"**\"\ntype = \"null\"\n");
    let home = Home::new(&with);
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    send(&mut sender, 0, 100);
    put(&home, &without);
    taken(&weir);
    put(&home, &with);
    taken(&weir);
    send(&mut sender, 100, 100);
    there.behave(Manner::Acks(Duration::ZERO));
    weir.settles(20);
    assert_eq!(received(&there), (0..200).collect());
    assert_eq!(openings(&weir), 1);
    assert!(weir.stop().success());
}

#[test]
fn an_output_that_goes_delivers_what_it_can() {
    let there = Scripted::start(Manner::Acks(Duration::ZERO));
    // What is in memory only is delivered, however long it takes.
    for kind in ["file", "memory"] {
        let first = 1000 * u64::from(kind == "memory");
        let waits = format!("type = \"{kind}\"\nflush_interval = \"10m\"");
        let home = Home::new(&format!("{SERVICE}{}", relay(there.port(), "", &waits)));
        let weir = home.start();
        let mut sender = Sender::connect(weir.listens("in"));
        send(&mut sender, first, 100);
        put(
            &home,
            &format!("{SERVICE}\n[[match]]\ntag = \"**\"\ntype = \"null\"\n"),
        );
        taken(&weir);
        let expected = (first..first + 100).collect();
        holds("it is delivered", 20, &expected, || {
            received(&there)
                .into_iter()
                .filter(|n| *n >= first)
                .collect::<BTreeSet<_>>()
        });
        weir.settles(20);
        assert!(weir.stop().success());
    }
}

#[test]
fn a_buffer_that_moves_leaves_nothing_behind() {
    let there = Scripted::start(Manner::Closes);
    let config = |buffer: &str| {
        format!(
            "{SERVICE}{}",
            relay(there.port(), "", &format!("{QUICK}\n{buffer}"))
        )
    };
    let home = Home::new(&config(""));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    send(&mut sender, 0, 100);
    put(&home, &config("path = \"elsewhere\""));
    taken(&weir);
    send(&mut sender, 100, 100);
    assert!(home.path().join("elsewhere").is_dir());
    there.behave(Manner::Acks(Duration::ZERO));
    weir.settles(20);
    assert_eq!(received(&there), (0..200).collect());
    put(&home, &config("type = \"memory\""));
    taken(&weir);
    send(&mut sender, 200, 100);
    weir.settles(20);
    assert_eq!(received(&there), (0..300).collect());
    assert!(weir.stop().success());
}

#[test]
fn a_sender_that_waits_for_room_is_let_go_by_a_reload() {
    let nobody = Scripted::start(Manner::Closes);
    let full = format!("{QUICK}\ntotal_limit_size = \"256KiB\"\nchunk_limit_size = \"64KiB\"");
    let home = Home::new(&format!("{SERVICE}{}", relay(nobody.port(), "", &full)));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let message = |n: u64| {
        forward::packed(
            "a",
            &forward::numbered(n * 500, 500),
            Some(&format!("c{n}")),
        )
    };
    let mut sent = 0;
    eventually("the buffer is full", 30, || {
        if weir.metrics().sum("weir_source_paused", &[]) == 1.0 {
            return Some(());
        }
        sender.send(&message(sent));
        sent += 1;
        None
    });
    put(&home, &format!("{SERVICE}{}", super::kit::TO_FILES));
    taken(&weir);
    for n in 0..sent {
        sender.expect_ack(&format!("c{n}"));
    }
    holds("what waited went the new way", 20, &false, || {
        numbers(&home.records("out")).is_empty()
    });
    assert!(weir.stop().success());
    // What is in neither of the two was not acknowledged, and all of it was.
    let there = Scripted::start(Manner::Acks(Duration::ZERO));
    let found = numbers(&home.records("out"));
    put(
        &home,
        &format!("{SERVICE}{}", relay(there.port(), "", &full)),
    );
    let weir = home.start();
    weir.settles(20);
    let mut all = received(&there);
    assert!(
        found.iter().all(|n| all.insert(*n)),
        "nothing went both ways"
    );
    assert_eq!(all, (0..sent * 500).collect());
    assert!(weir.stop().success());
}

#[test]
fn an_output_of_another_type_wants_another_id() {
    let there = Scripted::start(Manner::Acks(Duration::ZERO));
    let config = format!("{SERVICE}{}", relay(there.port(), "", QUICK));
    let home = Home::new(&config);
    let weir = home.start();
    let other =
        "[[match]]\nid = \"relay\"\ntag = \"**\"\ntype = \"file\"\npath = \"out/all.log\"\n";
    put(&home, &format!("{SERVICE}{other}"));
    let (status, answer) = reload(&weir);
    assert_eq!((status, &answer["component"]), (422, &json!("relay")));
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|text| text.contains("give it another id")),
        "{answer}"
    );
    let mut sender = Sender::connect(weir.listens("in"));
    send(&mut sender, 0, 10);
    weir.settles(20);
    assert_eq!(received(&there).len(), 10);
    assert!(fs::read_dir(home.path().join("out")).is_err());
}
