//! A bulk server that takes nothing: what waits for it has a limit, senders are held back, and nothing changes its id.

#![expect(
    clippy::cast_precision_loss,
    reason = "sizes of a test that metrics have in floats"
)]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::json;

use crate::{
    delivery::SERVICE,
    harness::{Sender, Weir, eventually, forward, holds, refusing::Refusing, weir::Home},
};

/// Requests that are refused before memory is looked at, so that everything has its size.
const WARM: u64 = 1_000;
/// Requests that are refused while memory must not grow.
const REFUSED: u64 = 10_000;
/// It may grow by so much all the same, in KiB: less than one for each of these requests.
const GROWTH_KIB: u64 = 8 << 10;
/// What may wait for the server, in bytes.
const LIMIT: u64 = 4 << 20;
/// Records of a message.
const RECORDS: u64 = 16;

/// A router whose only destination is this server.
fn home(server: &Refusing, buffer: &str) -> Home {
    let port = server.address.port();
    Home::new(&format!(
        r#"{SERVICE}
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{port}"]
index = "logs"
[match.buffer]
flush_interval = "0s"
{buffer}
"#
    ))
}

/// Sends messages one after the other, each as soon as the one before is acknowledged.
struct Steady {
    acked: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Steady {
    fn start(weir: &Weir) -> Self {
        let mut sender = Sender::connect(weir.listens("in"));
        // It waits for as long as the server takes nothing.
        sender.0.set_read_timeout(None).expect("no timeout");
        let (acked, ends) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, until) = (Arc::clone(&acked), Arc::clone(&ends));
        let pad = "x".repeat(1 << 10);
        let thread = thread::spawn(move || {
            while !until.load(Ordering::SeqCst) {
                let chunk = format!("c{}", count.load(Ordering::SeqCst));
                let record = |n| forward::entry(1_764_000_000, &json!({ "n": n, "pad": pad }));
                let entries: Vec<u8> = (0..RECORDS).flat_map(record).collect();
                sender.send(&forward::packed("app", &entries, Some(&chunk)));
                sender.expect_ack(&chunk);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            acked,
            ends,
            thread,
        }
    }

    fn acked(&self) -> u64 {
        self.acked.load(Ordering::SeqCst)
    }

    /// Ends behind the message that is under way; how many were sent.
    fn finish(self) -> u64 {
        self.ends.store(true, Ordering::SeqCst);
        self.thread.join().expect("the sender ends well");
        self.acked.load(Ordering::SeqCst)
    }
}

#[test]
fn e47_a_server_that_never_takes_anything_costs_no_memory_and_holds_senders_back() {
    let server = Refusing::start();
    let home = home(
        &server,
        &format!(
            "total_limit_size = {LIMIT}\nchunk_limit_size = \"32KiB\"\nretry_wait = \"1ms\"\nretry_max_interval = \"1ms\""
        ),
    );
    let weir = home.start();
    let sender = Steady::start(&weir);
    let held = |what: &str| weir.metrics().sum(what, &[]);
    eventually("the buffer is full", 60, || {
        (held("weir_buffer_full") > 0.0).then_some(())
    });
    let refused_so_far = server.refused();
    let passed = |count: u64| {
        eventually("the server is asked again and again", 180, || {
            (server.refused() >= refused_so_far + count).then_some(())
        });
    };
    passed(WARM);
    let (acked, before) = (sender.acked(), weir.memory_kib("VmRSS"));
    assert!(acked > 0, "senders are not held back before it is full");
    passed(WARM + REFUSED);
    let after = weir.memory_kib("VmRSS");
    println!("{REFUSED} refusals: {before} KiB became {after} KiB");
    assert!(
        after <= before + GROWTH_KIB,
        "{before} KiB became {after} KiB"
    );
    // The sender has waited for its next acknowledgement all the time.
    assert_eq!(sender.acked(), acked);
    assert!(held("weir_buffer_bytes") <= LIMIT as f64);
    assert_eq!(held("weir_buffer_full"), 1.0);
    server.open();
    eventually("the sender is let go on", 60, || {
        (sender.acked() > acked).then_some(())
    });
    let sent = sender.finish();
    weir.settles(60);
    let taken = server.ids_taken();
    assert_eq!(taken.len() as u64, sent * RECORDS);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), taken.len());
    assert!(weir.stop().success());
}

#[test]
fn e46_a_restart_during_a_pause_sends_the_same_ids() {
    let server = Refusing::start();
    let home = home(&server, "retry_wait = \"1h\"");
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let entries = forward::numbered(0, 100);
    sender.send(&forward::packed("app", &entries, Some("c")));
    sender.expect_ack("c");
    holds("it was refused, and waits", 30, &1.0, || {
        weir.metrics().sum("weir_output_consecutive_failures", &[])
    });
    let ids = server.ids_refused();
    assert_eq!((server.refused(), ids.len()), (1, 100));
    assert!(
        weir.stop().success(),
        "it does not wait for the pause to end"
    );
    server.open();
    let weir = home.start();
    weir.settles(30);
    assert_eq!((server.ids_taken(), server.refused()), (ids, 1));
    assert!(weir.stop().success());
}
