//! A disk that is full again and again, because of the router or of a neighbour: what was acknowledged arrives, or is
//! counted where the oldest records are to be dropped, the router goes on, and takes records again once there is room.
//!
//! `cargo xtask campaign full` runs these tests with many more cycles: `WEIR_ROUNDS` is their number, and `WEIR_SEED` is
//! where their random moments begin. They need the right to mount; without it, they fail.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a test that metrics have in floats"
)]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    crash::{
        asked,
        load::{Load, Pace},
        oracle::Oracle,
    },
    delivery::SERVICE,
    harness::{
        Weir, eventually, holds,
        scripted::{Manner, Scripted},
        volume::Volume,
        weir::{Home, unbalanced},
    },
};

/// Size of the file system; the buffer may take more.
const VOLUME_BYTES: u64 = 16 << 20;
/// A fresh record is acknowledged so soon after there is room.
const BACK_WITHIN_SECS: u64 = 5;
/// How long a disk stays full, at most.
const FULL_MAX_MS: u64 = 300;
/// Messages that are more than a small buffer holds.
const FILLING: usize = 2_000;
/// Messages that fill some segments of a small buffer, and not the whole of it.
const LEAKING: usize = 400;
/// Messages of the destination that a neighbour outlasts before the router is killed.
const OUTLASTED: usize = 800;
/// More kills than all go well without a ballast.
const LUCKY_MAX: u64 = 10;

/// Somebody else who writes as much as there is room for, as long as it lives.
struct Neighbour {
    ends: Arc<AtomicBool>,
    /// Bytes that it could write.
    taken: Arc<AtomicU64>,
    path: PathBuf,
    writer: Option<thread::JoinHandle<()>>,
}

impl Neighbour {
    fn new(volume: &Path) -> Self {
        let path = volume.join("neighbour");
        let (ends, taken) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, count) = (Arc::clone(&ends), Arc::clone(&taken));
        let mut file = File::create(&path).expect("a file");
        let writer = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                // As much as fits, in ever smaller parts.
                for size in [1 << 16, 1 << 10, 1] {
                    let block = vec![0; size];
                    while let Ok(written @ 1..) = file.write(&block) {
                        count.fetch_add(written as u64, Ordering::Relaxed);
                    }
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self {
            ends,
            taken,
            path,
            writer: Some(writer),
        }
    }

    /// Waits until it finds no more room.
    fn wait_full(&self) {
        let mut before = u64::MAX;
        eventually("the neighbour has filled the volume", 30, || {
            thread::sleep(Duration::from_millis(30));
            let taken = self.taken.load(Ordering::Relaxed);
            (std::mem::replace(&mut before, taken) == taken).then_some(())
        });
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let writer = self.writer.take().expect("it is there until now");
        // A test that failed may have unmounted the volume.
        drop((writer.join(), fs::remove_file(&self.path)));
    }
}

/// A router on a small file system of its own.
struct Trial {
    home: Home,
    volume: Volume,
    destination: Scripted,
    oracle: Oracle,
    random: fastrand::Rng,
    seed: u64,
    defect: &'static str,
}

impl Trial {
    fn new(action: &str, limit: &str, defect: &'static str) -> Self {
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
overflow_action = "{action}"
total_limit_size = "{limit}"
chunk_limit_size = "1MiB"
chunk_limit_records = 1
flush_interval = "10ms"
retry_wait = "20ms"
retry_max_interval = "50ms"
"#
        ));
        let volume = Volume::mount(&home.path().join("data"), VOLUME_BYTES);
        let seed = asked("WEIR_SEED", 1);
        Self {
            home,
            volume,
            destination,
            oracle: Oracle::default(),
            random: fastrand::Rng::with_seed(seed),
            seed,
            defect,
        }
    }

    fn start(&self) -> Weir {
        let weir = self.home.spawn(&[("WEIR_DEFECT", self.defect)]);
        weir.wait_ready();
        weir
    }

    fn senders(&mut self, weir: &Weir) -> Load {
        let pace = Pace {
            reconnects: true,
            ..Pace::default()
        };
        let (next, seed) = (self.oracle.next(), self.random.u64(..));
        Load::start(weir.listens("in"), next, seed, pace)
    }

    /// The moment itself is what is tried, so here time passes and nothing is waited for.
    fn pass_a_while(&mut self) {
        thread::sleep(Duration::from_millis(self.random.u64(0..FULL_MAX_MS)));
    }

    /// Fills the disk in one way or the other while senders send, and gives the room back. Returns how long it took until
    /// a fresh record was acknowledged.
    fn cycle(&mut self, weir: &Weir, by_neighbour: bool) -> Duration {
        let held = !by_neighbour || self.random.bool();
        self.destination.behave(if held {
            Manner::Closes
        } else {
            Manner::Acks(Duration::ZERO)
        });
        let load = self.senders(weir);
        if by_neighbour {
            self.pass_a_while();
            let neighbour = Neighbour::new(self.volume.at());
            neighbour.wait_full();
            self.pass_a_while();
        } else {
            let dropped = dropped(weir);
            eventually("the buffer is full", 60, || {
                let is_full = weir.metrics().sum("weir_buffer_full", &[]) > 0.0;
                (is_full || self::dropped(weir) > dropped).then_some(())
            });
            self.pass_a_while();
        }
        self.destination.behave(Manner::Acks(Duration::ZERO));
        let began = Instant::now();
        let fresh = self.senders(weir);
        eventually("a fresh record is acknowledged", BACK_WITHIN_SECS, || {
            (fresh.count() > 0).then_some(())
        });
        let took = began.elapsed();
        for load in [load, fresh] {
            let acked = load.finish();
            self.oracle.sent(&acked);
        }
        took
    }

    /// Lets everything arrive. What is missing of what was acknowledged.
    fn rest(&mut self, weir: &Weir) -> u64 {
        weir.settles(60);
        self.oracle.arrived(self.destination.take());
        let missing = self.oracle.missing().len() as u64;
        self.oracle.forgive_missing();
        missing
    }

    /// Waits until the bytes that the router counts are those of its segments; `false` when they never are.
    fn counts_well(&self, weir: &Weir) -> bool {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let counted = weir.metrics().sum("weir_buffer_bytes", &[]);
            if segment_bytes(&self.volume.at().join("buffer/next")) == counted {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Records that were dropped for room.
fn dropped(weir: &Weir) -> u64 {
    let metrics = weir.metrics();
    let dropped = metrics.sum("weir_dropped_records_total", &["reason=\"overflow\""]);
    dropped as u64
}

fn segment_bytes(buffer: &Path) -> f64 {
    let entries = fs::read_dir(buffer).expect("the buffer").flatten();
    let segments = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "seg"));
    // One that goes meanwhile is not counted, and the caller looks again.
    let sum: u64 = segments
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum();
    sum as f64
}

/// `WEIR_ROUNDS` times, in turns by the router and by a neighbour.
fn again_and_again(action: &str) {
    let rounds: u64 = asked("WEIR_ROUNDS", 2);
    let began = Instant::now();
    let mut trial = Trial::new(action, "1GiB", "");
    let mut weir = trial.start();
    let (mut slowest, mut missing) = (Duration::ZERO, 0);
    for round in 0..rounds {
        slowest = slowest.max(trial.cycle(&weir, round % 2 == 1));
        missing += trial.rest(&weir);
        assert!(!weir.has_ended(), "round {round}");
        assert_eq!(
            missing,
            dropped(&weir),
            "round {round}: missing, and counted"
        );
        assert!(trial.counts_well(&weir), "round {round}");
    }
    let counted = dropped(&weir);
    println!(
        "result full, {action}: cycles={rounds} acknowledged={} lost={} dropped={counted} slowest_back_ms={} seed={} took_s={}",
        trial.oracle.acknowledged(),
        missing - counted,
        slowest.as_millis(),
        trial.seed,
        began.elapsed().as_secs()
    );
    let drops = action == "drop_oldest_chunk";
    assert_eq!(counted > 0, drops, "records were dropped");
    assert!(trial.oracle.acknowledged() > rounds);
    assert!(weir.stop().success());
}

#[test]
fn block() {
    again_and_again("block");
}

#[test]
fn throw_exception() {
    again_and_again("throw_exception");
}

#[test]
fn drop_oldest_chunk() {
    again_and_again("drop_oldest_chunk");
}

/// The router is killed on a volume that a neighbour keeps full, after a part of the buffer was delivered, and starts on
/// it, until records come twice without having been under way. Returns how many did.
fn killed_on_a_full_disk(rounds: u64, defect: &'static str) -> usize {
    let began = Instant::now();
    let mut trial = Trial::new("block", "8MiB", defect);
    let mut weir = trial.start();
    let mut round = 0;
    while round < rounds && trial.oracle.unexplained() == 0 {
        round += 1;
        trial.destination.behave(Manner::Closes);
        let load = trial.senders(&weir);
        eventually("the buffer is full", 60, || {
            (weir.metrics().sum("weir_buffer_full", &[]) > 0.0).then_some(())
        });
        let neighbour = Neighbour::new(trial.volume.at());
        neighbour.wait_full();
        trial.destination.behave(Manner::Acks(Duration::ZERO));
        let mut came = Vec::new();
        eventually("a part is delivered", 60, || {
            came.extend(trial.destination.take());
            (came.len() >= OUTLASTED).then_some(())
        });
        trial.destination.behave(Manner::Closes);
        weir.kill();
        came.extend(trial.destination.take());
        let acked = load.finish();
        trial.oracle.sent(&acked);
        trial.oracle.killed(came);
        weir = trial.start();
        drop(neighbour);
        trial.destination.behave(Manner::Acks(Duration::ZERO));
        let fresh = trial.senders(&weir);
        eventually("a fresh record is acknowledged", BACK_WITHIN_SECS, || {
            (fresh.count() > 0).then_some(())
        });
        let acked = fresh.finish();
        trial.oracle.sent(&acked);
        assert_eq!(trial.rest(&weir), 0, "round {round}: records are missing");
    }
    println!(
        "result full, killed: kills={round} acknowledged={} lost=0 twice={} unexplained={} seed={} took_s={}",
        trial.oracle.acknowledged(),
        trial.oracle.twice(),
        trial.oracle.unexplained(),
        trial.seed,
        began.elapsed().as_secs()
    );
    assert!(weir.stop().success());
    trial.oracle.unexplained()
}

#[test]
fn killed() {
    let rounds = asked("WEIR_ROUNDS", 2);
    assert_eq!(killed_on_a_full_disk(rounds, ""), 0, "came twice");
}

#[test]
fn a_kill_on_a_full_disk_shows_that_there_is_no_ballast() {
    // A segment that happens to be freed in time is room for the note.
    let twice = killed_on_a_full_disk(LUCKY_MAX, "no_ballast");
    assert!(twice > 0, "all was noted without a ballast");
}

#[test]
fn the_ledger_and_the_senders_show_that_drops_are_not_counted() {
    let mut trial = Trial::new("drop_oldest_chunk", "4MiB", "evict_uncounted");
    let weir = trial.start();
    let load = trial.senders(&weir);
    eventually("the buffer was full", 60, || {
        (load.count() > FILLING).then_some(())
    });
    let acked = load.finish();
    trial.oracle.sent(&acked);
    trial.destination.behave(Manner::Acks(Duration::ZERO));
    holds("nothing is held", 60, &0.0, || {
        weir.metrics().sum("weir_held_records", &[])
    });
    trial.oracle.arrived(trial.destination.take());
    let missing = trial.oracle.missing().len() as u64;
    assert!(missing > dropped(&weir), "{missing} are missing");
    assert!(!unbalanced(&weir.metrics()).is_empty());
}

#[test]
fn the_files_show_that_room_leaks() {
    let mut trial = Trial::new("block", "4MiB", "leak_room");
    let weir = trial.start();
    trial.destination.behave(Manner::Acks(Duration::ZERO));
    let load = trial.senders(&weir);
    eventually("segments were removed", 60, || {
        (load.count() > LEAKING).then_some(())
    });
    let acked = load.finish();
    trial.oracle.sent(&acked);
    assert_eq!(trial.rest(&weir), 0);
    assert!(!trial.counts_well(&weir), "the count is right");
}
