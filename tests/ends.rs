//! How the process ends, and what the next one makes of it: a second signal, an end at once, and a crash loop.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    delivery::{SERVICE, numbers},
    harness::{
        Sender, Weir, eventually, forward, holds,
        scripted::{Manner, Scripted},
        weir::Home,
    },
};

/// A relay to a port, that waits long for an acknowledgement.
fn relay(id: &str, tag: &str, port: u16, buffer: &str) -> String {
    format!(
        r#"
[[match]]
id = "{id}"
type = "forward"
tag = "{tag}"
require_ack_response = true
ack_response_timeout = "10m"
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
flush_interval = "0s"
retry_wait = "200ms"
retry_max_interval = "200ms"
{buffer}
"#
    )
}

fn send(weir: &Weir, tag: &str, first: u64, count: u64) {
    let mut sender = Sender::connect(weir.listens("in"));
    let entries = forward::numbered(first, count);
    sender.send(&forward::packed(tag, &entries, Some("c")));
    sender.expect_ack("c");
}

fn boot(home: &Home) -> Value {
    let text = fs::read_to_string(home.path().join("data/boot.json")).expect("a note");
    serde_json::from_str(&text).expect("JSON")
}

fn said(weir: &Weir, text: &str) {
    eventually(text, 20, || weir.log_text().contains(text).then_some(()));
}

/// A router that cannot deliver what it holds in memory: its drain takes as long as it may.
fn slow_to_end(silent: &Scripted) -> Home {
    let service = SERVICE.replace("drain_delay", "shutdown_timeout = \"1m\"\ndrain_delay");
    let relay = relay("relay", "**", silent.port(), "type = \"memory\"");
    Home::new(&format!("{service}{relay}"))
}

#[test]
fn a_second_sigterm_is_ignored_and_said_and_sigquit_ends_at_once() {
    let silent = Scripted::start(Manner::Silent);
    let home = slow_to_end(&silent);
    let weir = home.start();
    send(&weir, "a", 0, 10);
    holds("it is under way", 20, &1, || silent.messages().len());
    weir.signal("TERM");
    said(&weir, "draining");
    for _ in 0..5 {
        weir.signal("TERM");
    }
    said(&weir, "is draining already");
    assert_eq!(weir.probe("/readyz").0, 503);
    assert_eq!(weir.probe("/livez").0, 200);
    let asked = Instant::now();
    weir.signal("QUIT");
    // What was in memory only is lost, and the code says so.
    assert_eq!(weir.wait_end(10).code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[test]
fn sigquit_ends_at_once_and_loses_nothing_that_is_on_disk() {
    let silent = Scripted::start(Manner::Silent);
    let home = Home::new(&format!(
        "{SERVICE}{}",
        relay("relay", "**", silent.port(), "")
    ));
    let weir = home.start();
    send(&weir, "a", 0, 100);
    holds("it is under way", 20, &1, || silent.messages().len());
    weir.signal("QUIT");
    assert_eq!(weir.wait_end(10).code(), Some(0));
    assert_eq!(boot(&home)["clean"], true);
    let there = Scripted::start(Manner::Acks(Duration::ZERO));
    let config = format!("{SERVICE}{}", relay("relay", "**", there.port(), ""));
    fs::write(home.config(), config).expect("a file");
    let weir = home.start();
    weir.settles(20);
    let mut found: Vec<u64> = there
        .messages()
        .into_iter()
        .flat_map(|message| message.numbers)
        .collect();
    found.sort_unstable();
    assert_eq!(found, (0..100).collect::<Vec<_>>());
    assert!(weir.stop().success());
}

#[test]
fn idle_connections_are_closed_in_order_at_the_end() {
    let home = Home::new(&format!("{SERVICE}{}", crate::delivery::TO_FILES));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("a", &forward::numbered(0, 1), Some("c")));
    sender.expect_ack("c");
    weir.signal("TERM");
    // An end of the stream, not a reset, which could destroy an acknowledgement under way.
    let mut rest = Vec::new();
    let read = std::io::Read::read_to_end(&mut sender.0, &mut rest);
    assert_eq!((read.expect("no reset"), rest.len()), (0, 0));
    assert!(weir.wait_end(20).success());
    assert_eq!(numbers(&home.records("out")), [0]);
}

/// How many messages each has read, when no more come. What a killed router sent may still be on its way.
fn still(receivers: [&Scripted; 2]) -> [usize; 2] {
    let counts = || receivers.map(|receiver| receiver.messages().len());
    let (mut seen, mut looks) = (counts(), 0);
    eventually("nothing more comes", 20, || {
        let now = counts();
        looks = if now == seen { looks + 1 } else { 0 };
        seen = now;
        (looks > 25).then_some(seen)
    })
}

#[test]
fn after_a_crash_loop_outputs_are_started_one_by_one() {
    let (first, second) = (
        Scripted::start(Manner::Silent),
        Scripted::start(Manner::Silent),
    );
    // Four chunks, and four workers for them.
    let many = "flush_thread_count = 4\nchunk_limit_records = 10";
    let outputs = [
        relay("one", "one", first.port(), many),
        relay("two", "two", second.port(), many),
    ];
    let home = Home::new(&format!("{SERVICE}{}", outputs.concat()));
    let weir = home.start();
    for tag in ["one", "two"] {
        for message in 0..4 {
            send(&weir, tag, message * 10, 10);
        }
    }
    weir.kill();
    for _ in 0..2 {
        home.start().kill();
    }
    // Three have crashed.
    let [one, two] = still([&first, &second]);
    let weir = home.start();
    assert_eq!(weir.metrics().sum("weir_safe_mode", &[]), 1.0);
    said(&weir, "safe mode; outputs are started one by one");
    holds(
        "the first has a chunk, and one alone",
        20,
        &(one + 1),
        || first.messages().len(),
    );
    assert_eq!(second.messages().len(), two, "it is not its turn");
    assert_eq!(boot(&home)["output"], "one");
    // Sources and buffers work meanwhile.
    send(&weir, "two", 1000, 5);
    // The one that is being started when it crashes again comes last.
    weir.kill();
    let [one, two] = still([&first, &second]);
    let weir = home.start();
    holds("the other comes first", 20, &(two + 1), || {
        second.messages().len()
    });
    assert_eq!(first.messages().len(), one);
    // The next one has its turn when this one delivers nothing for a while.
    holds("then the suspect", 30, &(one + 1), || {
        first.messages().len()
    });
    weir.kill();
    for receiver in [&first, &second] {
        receiver.behave(Manner::Acks(Duration::ZERO));
    }
    let weir = home.start();
    weir.settles(60);
    assert!(weir.stop().success());
    assert_eq!(boot(&home)["clean"], true);
    let weir = home.start();
    assert_eq!(weir.metrics().sum("weir_safe_mode", &[]), 0.0);
    assert!(weir.stop().success());
}

/// Whether three that were killed while they drained are taken for a crash loop. A flag that is set before everything is
/// on disk says that they were not.
fn kills_in_drains_are_noticed(env: &[(&str, &str)]) -> bool {
    let silent = Scripted::start(Manner::Silent);
    let home = slow_to_end(&silent);
    for number in 0..3 {
        let weir = home.spawn(env);
        weir.wait_ready();
        send(&weir, "a", number * 10, 10);
        holds("it is under way", 20, &(number + 1), || {
            silent.messages().len() as u64
        });
        weir.signal("TERM");
        said(&weir, "draining");
        // The drain has begun in earnest once the source is gone.
        holds("its source has ended", 20, &0.0, || {
            weir.metrics()
                .sum("weir_component_up", &["component_id=\"in\""])
        });
        weir.kill();
    }
    let weir = home.spawn(env);
    weir.wait_ready();
    weir.metrics().sum("weir_safe_mode", &[]) == 1.0
}

#[test]
fn an_end_is_clean_when_everything_is_on_disk_and_not_before() {
    assert!(kills_in_drains_are_noticed(&[]));
    let defect = [("WEIR_DEFECT", "clean_flag_before_sync")];
    assert!(
        !kills_in_drains_are_noticed(&defect),
        "the defect is not seen"
    );
}
