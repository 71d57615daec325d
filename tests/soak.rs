//! A router for a long time, under load, while its destinations are away, slow, silent or lying and its configuration is
//! read again: everything that was acknowledged arrives at both, the ledger is at zero, and the memory in use does not grow.
//!
//! `cargo xtask campaign soak` runs it for half an hour. The environment has it: `WEIR_SOAK_SECS`, `WEIR_SOAK_RATE` (records
//! in a second) and `WEIR_SEED`.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    crash::{
        asked,
        load::{Acked, Load, Pace},
        oracle::Oracle,
    },
    harness::{
        Weir,
        scripted::{Manner, Scripted},
        weir::Home,
    },
    reload::kit::{SERVICE, put, reload},
};

/// A destination behaves in one way for this long at most.
const TURN_MAX: Duration = Duration::from_secs(3);
/// The configuration is read again after this long at most.
const RELOAD_MAX: Duration = Duration::from_secs(8);
/// What the heap may grow by from the first third of the run to its end, in bytes.
const GROWTH_MAX: f64 = 4.0 * 1024.0 * 1024.0;

/// A destination, and what it should have.
struct Destination {
    server: Scripted,
    oracle: Oracle,
    next_turn: Instant,
}

impl Destination {
    fn new() -> Self {
        Self {
            server: Scripted::start(Manner::Acks(Duration::ZERO)),
            oracle: Oracle::default(),
            next_turn: Instant::now(),
        }
    }

    /// Behaves in another way when it is time to; well, every other time.
    fn turn(&mut self, random: &mut fastrand::Rng) {
        if Instant::now() < self.next_turn {
            return;
        }
        self.server.behave(match random.u8(..10) {
            0 => Manner::Closes,
            1 => Manner::Silent,
            2 => Manner::Deaf,
            3 => Manner::Lies,
            4 => Manner::Acks(Duration::from_millis(200)),
            _ => Manner::Acks(Duration::ZERO),
        });
        self.next_turn = Instant::now() + TURN_MAX.mul_f64(random.f64());
    }

    fn note(&mut self, acked: &[Acked]) {
        self.oracle.arrived(self.server.take());
        self.oracle.sent(acked);
    }
}

/// A configuration of the router, of which one number is free.
fn config(ports: [u16; 2], retry_ms: u8) -> String {
    let store = |id: &str, port: u16| {
        format!(
            r#"[[match.store]]
id = "{id}"
type = "forward"
ack_response_timeout = "1s"
[[match.store.server]]
host = "127.0.0.1"
port = {port}
[match.store.buffer]
total_limit_size = "64MiB"
flush_interval = "50ms"
retry_wait = "{retry_ms}ms"
retry_max_interval = "200ms"
"#
        )
    };
    let stores = [store("one", ports[0]), store("two", ports[1])].concat();
    format!("{SERVICE}[[match]]\ntag = \"**\"\ntype = \"copy\"\n{stores}")
}

/// Somebody who changes the configuration now and then.
struct Operator<'a> {
    home: &'a Home,
    ports: [u16; 2],
    next: Instant,
    taken: u32,
    refused: u32,
}

impl Operator<'_> {
    /// Changes it when it is time to; every other time with a mistake.
    fn turn(&mut self, weir: &Weir, random: &mut fastrand::Rng) {
        if Instant::now() < self.next {
            return;
        }
        let mut text = config(self.ports, random.u8(10..60));
        let is_wrong = (self.taken + self.refused) % 2 == 1;
        if is_wrong {
            text += "flush_thread_count = 0\n";
        }
        put(self.home, &text);
        let (status, answer) = reload(weir);
        assert_eq!(status == 200, !is_wrong, "{answer}");
        *if is_wrong {
            &mut self.refused
        } else {
            &mut self.taken
        } += 1;
        self.next = Instant::now() + RELOAD_MAX.mul_f64(random.f64());
    }
}

/// Lets everything arrive; the bytes of the heap that are in use then.
fn rest(weir: &Weir, destinations: &mut [Destination; 2]) -> f64 {
    for destination in &mut *destinations {
        destination.server.behave(Manner::Acks(Duration::ZERO));
    }
    weir.settles(120);
    for destination in destinations {
        destination.note(&[]);
        let missing = destination.oracle.missing();
        assert!(missing.is_empty(), "{missing:?} did not arrive");
    }
    weir.metrics().sum("weir_heap_live_bytes", &[])
}

/// Load and faults for a while.
fn go_on(
    weir: &Weir,
    operator: &mut Operator<'_>,
    destinations: &mut [Destination; 2],
    random: &mut fastrand::Rng,
    span: Duration,
) {
    let pace = Pace {
        rate: Some(asked("WEIR_SOAK_RATE", 6_000)),
        reconnects: true,
    };
    let numbers = std::sync::Arc::clone(destinations[0].oracle.next());
    let load = Load::start(weir.listens("in"), &numbers, random.u64(..), pace);
    let end = Instant::now() + span;
    while Instant::now() < end {
        operator.turn(weir, random);
        let acked = load.take();
        for destination in &mut *destinations {
            destination.turn(random);
            destination.note(&acked);
        }
        thread::sleep(Duration::from_millis(100));
    }
    // Senders wait for their acknowledgements, so what makes them wait must end.
    for destination in &mut *destinations {
        destination.server.behave(Manner::Acks(Duration::ZERO));
    }
    let acked = load.finish();
    for destination in destinations {
        destination.note(&acked);
    }
}

#[test]
fn everything_arrives_for_a_long_time_and_memory_does_not_grow() {
    let (secs, seed) = (asked("WEIR_SOAK_SECS", 20), asked("WEIR_SEED", 1));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut destinations = [Destination::new(), Destination::new()];
    destinations[1].oracle = Oracle::sharing(&destinations[0].oracle);
    let ports = [destinations[0].server.port(), destinations[1].server.port()];
    let home = Home::new(&config(ports, 20));
    let weir = home.start();
    let mut operator = Operator {
        home: &home,
        ports,
        next: Instant::now(),
        taken: 0,
        refused: 0,
    };
    let span = Duration::from_secs(secs);
    go_on(
        &weir,
        &mut operator,
        &mut destinations,
        &mut random,
        span / 3,
    );
    let before = rest(&weir, &mut destinations);
    go_on(
        &weir,
        &mut operator,
        &mut destinations,
        &mut random,
        span * 2 / 3,
    );
    let after = rest(&weir, &mut destinations);
    let [one, two] = destinations.map(|destination| destination.oracle);
    println!(
        "result soak: records={} twice={} lost=0 reloads={} refused={} heap_before_kib={:.0} heap_after_kib={:.0} memory_peak_mib={} seconds={secs} seed={seed}",
        one.acknowledged(),
        one.twice() + two.twice(),
        operator.taken,
        operator.refused,
        before / 1024.0,
        after / 1024.0,
        weir.memory_kib("VmHWM") >> 10
    );
    assert!(before > 0.0, "the heap is not measured");
    assert!(operator.taken > 0 && operator.refused > 0, "no reloads");
    assert!(
        after <= before + GROWTH_MAX,
        "from {before} to {after} bytes"
    );
    assert!(weir.stop().success());
}
