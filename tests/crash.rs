//! An acknowledgement means stored: the router is killed, or the power fails under it, again and again, and what its
//! senders had acknowledged is compared with what its destination got.
//!
//! `cargo xtask campaign kill` and `power` run these tests with many more rounds: `WEIR_ROUNDS` is their number, and
//! `WEIR_SEED` is where their random moments begin. `power` needs the right to mount; without it, it fails.

pub(crate) mod load;
pub(crate) mod oracle;

use std::{
    ops::Range,
    process::Command,
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    delivery::SERVICE,
    harness::{
        Weir, eventually,
        scripted::{Manner, Scripted},
        volume::Volume,
        weir::{BINARY, Home},
    },
};
use load::{Acked, Load, Pace};
use oracle::Oracle;

/// The time between the first acknowledgement of a round and its end.
const WITHIN: Range<Duration> = Duration::ZERO..Duration::from_millis(150);
/// The same of every other loss of power where syncs wait, so that some are due before it.
const LONG: Range<Duration> = Duration::from_millis(1_500)..Duration::from_secs(3);
/// Records a second in such a round, so that the buffer does not fill before its end.
const RATE: u64 = 5_000;
/// How old acknowledged records may become before they are synced, and how long that takes at most on a busy machine.
const INTERVAL: Duration = Duration::from_millis(200);
const SYNC_MAX: Duration = Duration::from_secs(1);
/// Bytes of the file system whose power is taken.
const VOLUME_BYTES: u64 = 64 << 20;
/// A router under `strace` that its system call has not ended after this time is killed.
const PATIENCE: Duration = Duration::from_secs(3);

/// System calls at which the router is killed, and up to which call of a thread.
const CALLS: [(&str, u64); 11] = [
    ("writev", 400),
    ("write", 60),
    ("fdatasync", 200),
    ("fsync", 30),
    ("openat", 60),
    ("rename", 4),
    ("unlink", 12),
    ("pread64", 200),
    ("sendto", 400),
    ("recvfrom", 400),
    ("close", 60),
];

pub(crate) fn asked<T: FromStr>(variable: &str, default: T) -> T {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| {
        value
            .parse()
            .ok()
            .expect("a whole number in the environment")
    })
}

/// A router with small segments, behind which is a destination in this process.
struct Trial {
    home: Home,
    destination: Scripted,
    oracle: Oracle,
    random: fastrand::Rng,
    seed: u64,
    /// A deliberate defect of the router.
    defect: &'static str,
}

impl Trial {
    /// `chunk_records` of 1: each message is a chunk of its own.
    fn new(durability: &str, chunk_records: u32) -> Self {
        let destination = Scripted::start(Manner::Closes);
        let port = destination.port();
        let home = Home::new(&format!(
            r#"{SERVICE}[[match]]
id = "next"
tag = "**"
type = "forward"
ack_response_timeout = "5s"
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
durability = "{durability}"
durability_interval = "{}ms"
total_limit_size = "8MiB"
chunk_limit_records = {chunk_records}
flush_interval = "10ms"
retry_wait = "20ms"
retry_max_interval = "50ms"
"#,
            INTERVAL.as_millis()
        ));
        let seed = asked("WEIR_SEED", 1);
        Self {
            home,
            destination,
            oracle: Oracle::default(),
            random: fastrand::Rng::with_seed(seed),
            seed,
            defect: "",
        }
    }

    /// Senders for a while; the destination takes what comes, or turns it away.
    fn load(&mut self, weir: &Weir, is_held: bool, rate: Option<u64>) -> Load {
        self.destination.behave(if is_held {
            Manner::Closes
        } else {
            Manner::Acks(Duration::ZERO)
        });
        let (next, seed) = (self.oracle.next(), self.random.u64(..));
        let pace = Pace {
            rate,
            ..Pace::default()
        };
        let load = Load::start(weir.listens("in"), next, seed, pace);
        eventually("something is acknowledged", 20, || {
            (load.count() > 0 || load.is_over()).then_some(())
        });
        load
    }

    /// The moment itself is what is tried, so here time passes and nothing is waited for.
    fn pass_a_while(&mut self, within: Range<Duration>) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).expect("short");
        let micros = self.random.u64(micros(within.start)..micros(within.end));
        thread::sleep(Duration::from_micros(micros));
    }

    /// The router is gone: notes what was acknowledged before the cut, and what may come again because it was on its way.
    fn gone(&mut self, load: Load, cut: Option<Instant>) -> Vec<Acked> {
        let mut acked = load.finish();
        acked.retain(|message| cut.is_none_or(|cut| message.at < cut));
        self.destination.reads_to_the_end();
        self.oracle.sent(&acked);
        self.oracle.killed(self.destination.take());
        acked
    }

    /// Starts the router, lets everything arrive, and says which records of those acknowledged are missing.
    fn recover(&mut self) -> (Weir, Vec<u64>) {
        let weir = self.home.spawn(&[("WEIR_DEFECT", self.defect)]);
        weir.wait_ready();
        self.destination.behave(Manner::Acks(Duration::ZERO));
        weir.settles(60);
        self.oracle.arrived(self.destination.take());
        let missing = self.oracle.missing();
        (weir, missing)
    }

    /// Starts the router so that it is killed at a system call; `None` when that was before it was ready.
    fn start_doomed(&mut self) -> Option<Weir> {
        let (call, most) = CALLS[self.random.usize(..CALLS.len())];
        let inject = format!(
            "inject={call}:signal=KILL:when={}",
            self.random.u64(1..=most)
        );
        let mut command = Command::new("strace");
        // `-D`: the router is the child, and strace goes with it.
        command
            .args(["-D", "-f", "-qqq", "-o", "/dev/null", "-e"])
            .arg(format!("trace={call}"))
            .args(["-e", &inject, BINARY, "run", "-c"])
            .arg(self.home.config());
        let mut weir = Weir::spawn(command, self.home.path());
        let is_ready = eventually("the router is ready or ended", 30, || {
            if weir.has_ended() {
                return Some(false);
            }
            weir.is_ready().then_some(true)
        });
        is_ready.then_some(weir)
    }
}

/// Kills, every other one at a system call. Returns how many records came twice that were not in flight.
fn killed(rounds: u64, defect: &'static str) -> usize {
    let began = Instant::now();
    let mut trial = Trial::new("commit", 1);
    trial.defect = defect;
    let (mut weir, _) = trial.recover();
    let mut early = 0;
    for round in 0..rounds {
        let is_held = trial.random.bool();
        if round % 2 == 0 {
            let load = trial.load(&weir, is_held, None);
            trial.pass_a_while(WITHIN);
            weir.kill();
            trial.gone(load, None);
        } else {
            assert!(weir.stop().success());
            if let Some(mut doomed) = trial.start_doomed() {
                let load = trial.load(&doomed, is_held, None);
                let deadline = Instant::now() + PATIENCE;
                while !doomed.has_ended() && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(5));
                }
                doomed.kill();
                trial.gone(load, None);
            } else {
                early += 1;
            }
        }
        let missing;
        (weir, missing) = trial.recover();
        assert!(missing.is_empty(), "round {round}: {missing:?} are missing");
    }
    assert!(weir.stop().success());
    println!(
        "result kill: kills={rounds} before_ready={early} acknowledged={} lost=0 twice={} unexplained={} seed={} took_s={}",
        trial.oracle.acknowledged(),
        trial.oracle.twice(),
        trial.oracle.unexplained(),
        trial.seed,
        began.elapsed().as_secs()
    );
    assert!(
        trial.oracle.acknowledged() > rounds,
        "nothing was acknowledged"
    );
    trial.oracle.unexplained()
}

#[test]
fn kill() {
    let unexplained = killed(asked("WEIR_ROUNDS", 20), "");
    assert_eq!(unexplained, 0, "came twice and were not in flight");
}

#[test]
fn a_kill_shows_that_deliveries_are_noted_late() {
    assert!(killed(6, "note_after_next_chunk") > 0, "none came twice");
}

/// Power losses on a file system of its own. Returns what was lost, with the time between its acknowledgement and the loss.
fn power_fails(durability: &str, rounds: u64, defect: &'static str) -> Vec<Duration> {
    let began = Instant::now();
    let mut trial = Trial::new(durability, 2_000);
    trial.defect = defect;
    let volume = Volume::mount(&trial.home.path().join("data"), VOLUME_BYTES);
    let (mut weir, _) = trial.recover();
    let mut lost = Vec::new();
    for round in 0..rounds {
        // What was delivered cannot be lost, so the destination takes nothing meanwhile.
        let is_long = durability == "interval" && round % 2 == 1;
        let (within, rate) = if is_long {
            (LONG, Some(RATE))
        } else {
            (WITHIN, None)
        };
        let load = trial.load(&weir, true, rate);
        trial.pass_a_while(within);
        let cut = volume.lose_power();
        weir.kill();
        let acked = trial.gone(load, Some(cut));
        volume.mount_again();
        let missing;
        (weir, missing) = trial.recover();
        for number in missing {
            let message = acked.iter().find(|acked| acked.holds(number));
            let message = message.expect("it is of this round");
            lost.push(cut.saturating_duration_since(message.at));
        }
        trial.oracle.forgive_missing();
    }
    assert!(weir.stop().success());
    println!(
        "result power, {durability}: losses={rounds} acknowledged={} lost={} twice={} oldest_lost_ms={} seed={} took_s={}",
        trial.oracle.acknowledged(),
        lost.len(),
        trial.oracle.twice(),
        lost.iter().max().map_or(0, Duration::as_millis),
        trial.seed,
        began.elapsed().as_secs()
    );
    assert!(
        trial.oracle.acknowledged() > rounds,
        "nothing was acknowledged"
    );
    lost
}

#[test]
fn power_is_lost_and_nothing_that_was_committed() {
    let lost = power_fails("commit", asked("WEIR_ROUNDS", 8), "");
    assert!(lost.is_empty(), "{} records", lost.len());
}

#[test]
fn power_is_lost_and_no_more_than_an_interval() {
    let lost = power_fails("interval", asked("WEIR_ROUNDS", 8), "");
    assert!(!lost.is_empty(), "the power was not lost");
    let oldest = lost.iter().max().expect("not empty");
    assert!(*oldest < INTERVAL + SYNC_MAX, "lost after {oldest:?}");
}

#[test]
fn a_loss_of_power_shows_that_syncs_are_left_out() {
    let lost = power_fails("interval", 2, "interval_never_syncs");
    let oldest = lost.iter().max().expect("the power was lost");
    assert!(*oldest >= INTERVAL + SYNC_MAX, "lost after {oldest:?} only");
}

/// The control: what is only written does not survive, so the loss of power is a real one.
#[test]
fn power_is_lost_and_what_was_only_written() {
    let lost = power_fails("os", 4, "");
    assert!(!lost.is_empty(), "the power was not lost");
}
