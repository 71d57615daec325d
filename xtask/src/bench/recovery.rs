//! How fast a router looks through what an earlier process left, and that it listens meanwhile.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::{
    load::Load,
    measure::{self, Router, median},
    trial::{CONNECTIONS, config_text, free_port},
};

/// What lies in the buffer.
const BUFFER_BYTES: u64 = 1 << 30;
/// Records of the load are about so long.
const RECORD_BYTES: u64 = 300;
const MESSAGE_BYTES: usize = 256 << 10;
/// At least so many MiB are looked through in a second.
const RATE_MIN: f64 = 500.0;
const PATIENCE: Duration = Duration::from_mins(2);

/// What one start took.
struct Start {
    /// Bytes of segments when it began.
    bytes: u64,
    ready: Duration,
    /// Bytes that were not looked through when it was ready.
    left_bytes: u64,
    whole: Duration,
}

/// Runs it.
pub(super) fn run(binary: &Path, runs: usize) -> anyhow::Result<()> {
    let home = measure::scratch_dir("bench-recovery")?;
    let (forward, admin) = (free_port()?, free_port()?);
    let config = home.join("bench.toml");
    // Nobody listens there, so that everything stays.
    let output = format!(
        "type = \"forward\"\n[[match.server]]\nhost = \"127.0.0.1\"\nport = {}\n",
        free_port()?
    );
    std::fs::write(&config, config_text(&home, forward, admin, "os", &output))?;
    let router = Router::start(binary, &config, admin)?;
    let load = Load::new(forward, MESSAGE_BYTES);
    load.send(BUFFER_BYTES / RECORD_BYTES, CONNECTIONS)?;
    drop(router);
    println!(
        "start beside a buffer of {} MiB, killed before",
        stored(&home)? >> 20
    );
    println!("run   ready ms   left MiB   whole ms   MiB/s");
    let mut rates = Vec::new();
    for run in 1..=runs {
        let start = one_start(binary, &home, &config, admin)?;
        let rate = mib(start.bytes) / start.whole.as_secs_f64();
        println!(
            "{run:>3} {:>10} {:>10.0} {:>10} {rate:>7.0}",
            start.ready.as_millis(),
            mib(start.left_bytes),
            start.whole.as_millis()
        );
        ensure!(
            start.left_bytes > 0,
            "everything was looked through before it was ready"
        );
        rates.push(rate);
    }
    std::fs::remove_dir_all(&home)?;
    let rate = median(rates);
    println!("{rate:.0} MiB/s; at least {RATE_MIN}\n");
    ensure!(rate >= RATE_MIN, "only {rate:.0} MiB/s");
    Ok(())
}

/// Starts the router, waits until everything was looked through, and kills it.
fn one_start(binary: &Path, home: &Path, config: &Path, admin: u16) -> anyhow::Result<Start> {
    let bytes = stored(home)?;
    let began = Instant::now();
    let _router = Router::start(binary, config, admin)?;
    let ready = began.elapsed();
    let left = || measure::metric(admin, "weir_buffer_recovery_left_bytes");
    let left_bytes = left()?;
    while left()? > 0 {
        ensure!(began.elapsed() < PATIENCE, "not done in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(Start {
        bytes,
        ready,
        left_bytes,
        whole: began.elapsed(),
    })
}

/// Bytes of segments.
fn stored(home: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(buffer(home)).context("read the buffer's folder")? {
        let file = file?;
        if file.path().extension().is_some_and(|kind| kind == "seg") {
            bytes += file.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn buffer(home: &Path) -> PathBuf {
    home.join("data/buffer/out")
}

#[expect(clippy::cast_precision_loss, reason = "a size in a float for a rate")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
