//! From router to router while the receiver is killed again and again under load. What the sender got acknowledged is
//! compared with what the receiver stored.
//!
//! `cargo xtask campaign forward` runs these tests with more kills: `WEIR_KILLS` is their number, and `WEIR_SEED` is where
//! their random moments begin.

use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
    thread,
    time::Duration,
};

use crate::{
    delivery::{listening, receiver},
    harness::{
        Weir, eventually, free_port,
        scripted::{Manner, Scripted},
        weir::Home,
    },
    relay::{BATCH, Extra, Load, certs, numbers, relay},
};

/// Messages that are acknowledged between two kills, at most.
const BETWEEN: u64 = 40;
/// Beyond those, a kill comes within this time.
const WITHIN: Duration = Duration::from_millis(20);

/// What makes a receiver know messages that come again.
const WINDOW: &str = "duplicate_window = \"10m\"";

fn asked<T: FromStr>(variable: &str, default: T) -> T {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| {
        value
            .parse()
            .ok()
            .expect("a whole number in the environment")
    })
}

/// When to kill.
struct Kills {
    count: u64,
    seed: u64,
    random: fastrand::Rng,
}

impl Kills {
    fn new() -> Self {
        let seed = asked("WEIR_SEED", 1);
        Self {
            count: asked("WEIR_KILLS", 10),
            seed,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Waits for a random moment while records flow.
    fn wait(&mut self, load: &Load) {
        let goal = load.acked() + self.random.u64(1..=BETWEEN) * BATCH;
        eventually("records flow", 60, || (load.acked() >= goal).then_some(()));
        // The moment itself is what is tried, so here time passes and nothing is waited for.
        let within = u64::try_from(WITHIN.as_micros()).expect("short");
        thread::sleep(Duration::from_micros(self.random.u64(0..within)));
    }

    /// Kills the receiver of `back` while `load` goes on through the relay; the last one started goes on.
    fn all(&mut self, back: &Home, load: &Load) -> Weir {
        let mut receiver = back.start();
        for _ in 0..self.count {
            self.wait(load);
            receiver.kill();
            receiver = back.start();
        }
        receiver
    }

    /// Prints the figures and compares what was acknowledged with how often each number was seen; how many were more than
    /// once.
    #[track_caller]
    fn compare(&self, what: &str, acked: &HashSet<u64>, seen: &HashMap<u64, u32>) -> usize {
        let mut lost: Vec<_> = acked.iter().filter(|n| !seen.contains_key(n)).collect();
        let twice = seen.values().filter(|count| **count > 1).count();
        println!(
            "result {what}: acknowledged={} lost={} twice={twice} kills={} seed={}",
            acked.len(),
            lost.len(),
            self.count,
            self.seed
        );
        lost.sort_unstable();
        assert!(lost.is_empty(), "{} are missing: {lost:?}", lost.len());
        assert_eq!(seen.len(), acked.len(), "there is what nobody sent");
        assert!(acked.len() as u64 >= self.count * BATCH);
        twice
    }
}

/// Nothing may be lost. There are records twice in the files: those whose acknowledgement was killed, and those that were
/// written when the note of it was killed.
fn lost(what: &str, extra: &Extra) {
    let mut kills = Kills::new();
    let port = free_port();
    let (back, front) = (receiver(port, &extra.source), relay(port, extra));
    let relay = front.start();
    let load = Load::start(relay.listens("in"));
    let receiver = kills.all(&back, &load);
    let acked = load.finish();
    relay.settles(120);
    receiver.settles(120);
    kills.compare(what, &acked, &numbers(&back));
    assert!(relay.stop().success() && receiver.stop().success());
}

/// A router that knows messages that come again. It writes files, and has a second output to `held`.
fn remembering(port: u16, held: u16, extra: &Extra) -> Home {
    let service = listening(format!("127.0.0.1:{port}"));
    let source = &extra.source;
    Home::new(&format!(
        r#"{service}{WINDOW}
{source}
[[match]]
tag = "**"
type = "copy"
[[match.store]]
id = "files"
type = "file"
path = "out/all.log"
[match.store.buffer]
flush_interval = "0s"
[[match.store]]
id = "held"
type = "forward"
[[match.store.server]]
host = "127.0.0.1"
port = {held}
[match.store.buffer]
retry_wait = "50ms"
retry_max_interval = "200ms"
"#
    ))
}

/// Nothing may be lost, and nothing stored twice.
///
/// The files do not tell what was stored: the file output is at least once, so a kill between its write and the note of it
/// doubles lines that were stored once. So there is a second output, to a receiver in this process that turns every
/// connection away until the last kill is over. What comes out there is then what the input stored, and each record
/// comes as often as it was stored: nobody is killed any more, and this receiver forgets nothing and joins nothing.
fn twice(what: &str, extra: &Extra) {
    let mut kills = Kills::new();
    let port = free_port();
    let held = Scripted::start(Manner::Closes);
    let (back, front) = (remembering(port, held.port(), extra), relay(port, extra));
    let relay = front.start();
    let load = Load::start(relay.listens("in"));
    let receiver = kills.all(&back, &load);
    let acked = load.finish();
    relay.settles(120);
    assert_eq!(held.messages(), [], "it came while it was held");
    held.behave(Manner::Acks(Duration::ZERO));
    receiver.settles(120);
    let files = kills.compare(&format!("{what}, files"), &acked, &numbers(&back));
    let mut stored = HashMap::new();
    for number in held
        .messages()
        .into_iter()
        .flat_map(|message| message.numbers)
    {
        *stored.entry(number).or_default() += 1;
    }
    let stored = kills.compare(what, &acked, &stored);
    assert_eq!(
        stored, 0,
        "records were stored twice; {files} are so in files"
    );
    assert!(relay.stop().success() && receiver.stop().success());
}

#[test]
fn nothing_is_lost_when_the_receiver_is_killed() {
    lost("plain", &Extra::default());
}

#[test]
fn nothing_is_lost_when_the_receiver_is_killed_over_tls_with_a_key() {
    lost("TLS and key", &Extra::secured(&certs()));
}

#[test]
fn nothing_is_stored_twice_with_a_window() {
    twice("plain with a window", &Extra::default());
}

#[test]
fn nothing_is_stored_twice_with_a_window_over_tls_with_a_key() {
    twice("TLS and key with a window", &Extra::secured(&certs()));
}
