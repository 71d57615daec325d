//! Bad input: counted, said once, closed or dropped; memory stays, and another sender's acknowledgements go on.

mod shapes;

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use flate2::{Compression, write::GzEncoder};
use rmpv::Value;
use serde_json::json;

use crate::{
    delivery::{SERVICE, TO_FILES},
    harness::{Sender, Weir, eventually, forward, holds, weir::Home},
};

/// Resident memory may grow by this much at most, in KiB.
const GROWTH_KIB: u64 = 16 << 10;

/// An honest sender that goes on while others misbehave.
struct Honest {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    task: Option<thread::JoinHandle<()>>,
}

impl Honest {
    fn start(address: SocketAddr) -> Self {
        let (stop, acked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (ends, counts) = (Arc::clone(&stop), Arc::clone(&acked));
        let task = thread::spawn(move || {
            let mut sender = Sender::connect(address);
            for n in 0.. {
                let chunk = format!("honest{n}");
                sender.send(&forward::packed(
                    "honest",
                    &forward::numbered(n, 1),
                    Some(&chunk),
                ));
                sender.expect_ack(&chunk);
                counts.fetch_add(1, Ordering::Relaxed);
                if ends.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        Self {
            stop,
            acked,
            task: Some(task),
        }
    }

    /// Waits until ten more were acknowledged, ends, and says how many there were in all.
    fn finish(mut self) -> usize {
        let goal = self.acked.load(Ordering::Relaxed) + 10;
        eventually("the honest sender is acknowledged", 20, || {
            (self.acked.load(Ordering::Relaxed) >= goal).then_some(())
        });
        self.stop.store(true, Ordering::Relaxed);
        self.task
            .take()
            .expect("a task")
            .join()
            .expect("every acknowledgement came");
        usize::try_from(self.acked.load(Ordering::Relaxed)).expect("a count")
    }
}

/// What is expected after one kind of bad input.
struct Expected {
    /// The value of the label `reason`.
    reason: &'static str,
    /// Whether the connection is closed.
    closed: bool,
}

/// Sends `bad` twenty times on connections of their own beside an honest sender.
fn check(bad: &[u8], expected: &Expected) {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let address = weir.listens("in");
    let honest = Honest::start(address);
    let before = weir.memory_kib("VmRSS");
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut sender = Sender::connect(address);
        // The router may close before it has read everything.
        drop(sender.0.write_all(bad));
        if expected.closed {
            assert!(
                sender.is_closed(),
                "{}: the connection stays open",
                expected.reason
            );
        }
        kept.push(sender);
    }
    let label = format!("reason=\"{}\"", expected.reason);
    eventually(&format!("{} is counted", expected.reason), 20, || {
        (weir.metrics().sum("weir_invalid_records_total", &[&label]) >= 20.0).then_some(())
    });
    let after = weir.memory_kib("VmRSS");
    println!("{}: {before} KiB became {after} KiB", expected.reason);
    assert!(
        after <= before + GROWTH_KIB,
        "{}: {before} KiB became {after} KiB",
        expected.reason
    );
    drop(kept);
    let honest = honest.finish();
    holds("what was honest arrived", 20, &honest, || {
        home.records("out").len()
    });
    says_it_seldom(&weir);
    weir.settles(10);
}

/// Twenty bad connections make a few lines at most.
fn says_it_seldom(weir: &Weir) {
    let lines = weir
        .log()
        .iter()
        .filter(|line| line["level"] == "WARN")
        .count();
    assert!(
        (1..=6).contains(&lines),
        "{lines} lines:\n{}",
        weir.log_text()
    );
}

#[test]
fn garbage() {
    check(
        &[0xc1; 4096],
        &Expected {
            reason: "malformed",
            closed: true,
        },
    );
}

#[test]
fn an_http_request() {
    let request = b"GET / HTTP/1.1\r\nHost: weir\r\nUser-Agent: curl/8.0\r\n\r\n";
    check(
        request,
        &Expected {
            reason: "http",
            closed: true,
        },
    );
}

#[test]
fn a_tls_hello() {
    let mut hello = vec![
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    hello.extend_from_slice(&[0x5a; 500]);
    check(
        &hello,
        &Expected {
            reason: "tls",
            closed: true,
        },
    );
}

#[test]
fn a_frame_that_is_cut_off() {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let honest = Honest::start(weir.listens("in"));
    let before = weir.memory_kib("VmRSS");
    let whole = forward::packed("cut", &forward::numbered(0, 100), Some("cut"));
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&whole[..whole.len() / 2]);
    drop(sender);
    eventually("it is counted", 20, || {
        (weir
            .metrics()
            .sum("weir_invalid_records_total", &["reason=\"truncated\""])
            >= 1.0)
            .then_some(())
    });
    let after = weir.memory_kib("VmRSS");
    assert!(
        after <= before + GROWTH_KIB,
        "{before} KiB became {after} KiB"
    );
    let honest = honest.finish();
    holds("only what was honest arrived", 20, &honest, || {
        home.records("out").len()
    });
    weir.settles(10);
}

#[test]
fn a_declared_length_of_2_gib() {
    let mut bad = vec![0x92, 0xa1, b't', 0xc6, 0x80, 0, 0, 0];
    bad.extend_from_slice(&forward::numbered(0, 10));
    check(
        &bad,
        &Expected {
            reason: "too_large",
            closed: true,
        },
    );
}

#[test]
fn a_depth_of_10_000() {
    let mut bad = vec![0x93, 0xa1, b't', 0x01];
    bad.extend_from_slice(&[0x91; 10_000]);
    check(
        &bad,
        &Expected {
            reason: "too_deep",
            closed: true,
        },
    );
}

fn compressed(blob: Vec<u8>, how: &str) -> Vec<u8> {
    let option = vec![
        ("compressed".into(), how.into()),
        ("chunk".into(), "bomb".into()),
    ];
    forward::encode(&Value::Array(vec![
        "bomb".into(),
        Value::Binary(blob),
        Value::Map(option),
    ]))
}

/// One entry whose record holds 512 MiB of zeros as text.
fn bomb(writer: &mut impl std::io::Write) {
    const LEN: u32 = 512 << 20;
    let head = [0x92, 0x01, 0x81, 0xa1, b'z', 0xdb];
    writer.write_all(&head).expect("memory");
    writer.write_all(&LEN.to_be_bytes()).expect("memory");
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..LEN >> 20 {
        writer.write_all(&zeros).expect("memory");
    }
}

#[test]
fn a_gzip_bomb() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    bomb(&mut encoder);
    let blob = encoder.finish().expect("memory");
    check(
        &compressed(blob, "gzip"),
        &Expected {
            reason: "inflated",
            closed: true,
        },
    );
}

#[test]
fn a_zstd_bomb() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("zstd");
    bomb(&mut encoder);
    let blob = encoder.finish().expect("memory");
    check(
        &compressed(blob, "zstd"),
        &Expected {
            reason: "inflated",
            closed: true,
        },
    );
}

#[test]
fn bad_events_in_a_good_message_are_dropped_alone() {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let mut entries = forward::numbered(0, 2);
    entries.extend(forward::encode(&Value::Array(vec![
        1.into(),
        "not a map".into(),
    ])));
    entries.extend(forward::encode(&7.into()));
    entries.extend(forward::numbered(2, 2));
    sender.send(&forward::packed("mixed", &entries, Some("mixed")));
    sender.expect_ack("mixed");
    holds("the four good ones arrive", 20, &4, || {
        home.records("out").len()
    });
    assert_eq!(weir.metrics().sum("weir_invalid_records_total", &[]), 2.0);
    weir.settles(10);
}

/// A message as large as Fluentd's largest chunks passes through little memory.
#[test]
fn a_200_mib_message_arrives_whole() {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let pad = "x".repeat(980);
    let one = |n: u64| forward::entry(1_764_000_000, &json!({ "n": n, "pad": pad }));
    let len = one(0).len() as u64;
    let count = (200 << 20) / len;
    let mut sender = Sender::connect(weir.listens("in"));
    let total =
        u32::try_from((0..count).map(|n| one(n).len() as u64).sum::<u64>()).expect("200 MiB");
    sender.send(&[0x93, 0xa3, b'b', b'i', b'g', 0xc6]);
    sender.send(&total.to_be_bytes());
    for n in 0..count {
        sender.send(&one(n));
    }
    sender.send(&forward::encode(&Value::Map(vec![(
        "chunk".into(),
        "big".into(),
    )])));
    sender
        .0
        .set_read_timeout(Some(std::time::Duration::from_mins(2)))
        .expect("a timeout");
    sender.expect_ack("big");
    weir.settles(120);
    let sent = weir.metrics().sum("weir_sent_records_total", &[]);
    assert_eq!(sent, f64::from(u32::try_from(count).expect("a count")));
    let peak = weir.memory_kib("VmHWM");
    println!(
        "a 200 MiB message: {count} records, peak memory {} MiB",
        peak >> 10
    );
    assert!(peak < 128 << 10, "peak {} MiB", peak >> 10);
    let mut numbers: Vec<u64> = home
        .records("out")
        .iter()
        .filter_map(|record| record["n"].as_u64())
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..count), "every record once");
}
