//! The logs of a node under a kubelet that moves, compresses and removes them: every line arrives, also when the router is
//! killed again and again; and what was removed before it was read is counted to the byte.
//!
//! `cargo xtask campaign node` runs these tests at full size. The environment has it: `WEIR_NODE_CONTAINERS`,
//! `WEIR_NODE_RATE` (bytes per second), `WEIR_NODE_FILE` (bytes), `WEIR_NODE_SECS`, `WEIR_NODE_SPEEDS` (rates between
//! commas, for the figures of speed), `WEIR_KILLS` and `WEIR_SEED`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and bytes of a test in floats, for rates"
)]

mod aggregator;
mod kubelet;

use std::{
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    delivery::ROUTER,
    harness::{eventually, holds, weir::Home},
};
use aggregator::{Aggregator, Arrived};
use kubelet::{Kubelet, Load, bytes_of, rest_bytes_of};

fn asked<T: FromStr>(variable: &str, default: T) -> T {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| {
        value.parse().ok().expect("a number in the environment")
    })
}

/// An agent that sends to this port.
fn agent(port: u16, buffer: &str) -> Home {
    Home::new(&format!(
        r#"{ROUTER}
[[source]]
id = "pods"
type = "kubernetes_logs"
path = "log/pods/*/*/*.log"
refresh_interval = "500ms"
[[match]]
id = "aggregator"
tag = "kube.**"
type = "forward"
require_ack_response = true
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
{buffer}
"#
    ))
}

const ON_DISK: &str =
    "flush_interval = \"100ms\"\nretry_wait = \"100ms\"\nretry_max_interval = \"500ms\"";

/// What did not come in order, or is not as it was written. Where nothing is lost, every record is whole.
#[track_caller]
fn in_order(arrived: &Arrived) {
    assert_eq!(
        arrived.broken, 0,
        "records that are not as they were written"
    );
    for (tag, seen) in &arrived.containers {
        assert_eq!(seen.disordered, 0, "{tag}: {seen:?}");
        assert!(
            seen.halves.is_empty() || !seen.gaps.is_empty(),
            "{tag}: {seen:?}"
        );
    }
}

#[test]
fn every_line_arrives_while_the_router_is_killed_and_files_are_rotated() {
    let load = Load {
        containers: asked("WEIR_NODE_CONTAINERS", 50),
        bytes_per_second: asked("WEIR_NODE_RATE", 2_000_000),
        file_bytes: asked("WEIR_NODE_FILE", 64 << 10),
        files: 5,
        line_bytes: 200,
        splits_records: true,
    };
    let kills: u64 = asked("WEIR_KILLS", 4);
    let spread = Duration::from_secs(asked("WEIR_NODE_SECS", 12));
    let mut random = fastrand::Rng::with_seed(asked("WEIR_SEED", 1));
    let aggregator = Aggregator::start(true);
    let home = agent(aggregator.port, ON_DISK);
    let kubelet = Kubelet::start(&home.path().join("log/pods"), load);
    let began = Instant::now();
    let mut weir = home.start();
    for kill in 1..=kills {
        let goal = kubelet.written();
        eventually("lines flow", 60, || {
            (aggregator.reached() >= goal).then_some(())
        });
        // The moment itself is what is tried, so here time passes and nothing is waited for.
        let due = spread.mul_f64(kill as f64 / (kills + 1) as f64);
        thread::sleep(
            due.saturating_sub(began.elapsed()) + Duration::from_millis(random.u64(0..200)),
        );
        weir.kill();
        // Long enough for some files to be moved away meanwhile.
        thread::sleep(Duration::from_millis(random.u64(0..1_000)));
        weir = home.start();
    }
    thread::sleep(spread.saturating_sub(began.elapsed()));
    let written = kubelet.finish();
    let total: u64 = written.iter().sum();
    holds("every line arrives", 120, &total, || aggregator.reached());
    weir.settles(60);
    let lost = weir.metrics().sum("weir_tail_lost_bytes_total", &[]);
    let rotated = weir.metrics().sum("weir_tail_files_rotated_total", &[]);
    assert!(weir.stop().success());
    let arrived = aggregator.arrived();
    in_order(&arrived);
    let missing: Vec<_> = arrived
        .containers
        .iter()
        .filter(|(_, seen)| !seen.gaps.is_empty())
        .collect();
    let repeated: u64 = arrived.containers.values().map(|seen| seen.repeated).sum();
    println!(
        "result node, killed: lines={total} lost={} repeated={repeated} kills={kills} rotated={rotated} seconds={}",
        missing.len(),
        began.elapsed().as_secs()
    );
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(lost, 0.0);
    assert_eq!(arrived.containers.len() as u64, load.containers);
    let longest = written.iter().max().expect("containers");
    let files = (0..*longest).map(|n| bytes_of(n, &load)).sum::<u64>() / load.file_bytes;
    assert!(files >= 1, "nothing was rotated");
}

#[test]
fn what_is_removed_before_it_is_read_is_counted_to_the_byte() {
    let load = Load {
        containers: 10,
        bytes_per_second: asked("WEIR_NODE_RATE", 5_000_000).min(20_000_000),
        file_bytes: asked("WEIR_NODE_FILE", 256 << 10),
        files: 5,
        line_bytes: 200,
        splits_records: false,
    };
    let aggregator = Aggregator::start(false);
    // Without a buffer the files are the buffer, and the receiver takes nothing yet.
    let home = agent(aggregator.port, "type = \"none\"");
    let kubelet = Kubelet::start(&home.path().join("log/pods"), load);
    let weir = home.start();
    let lost = || weir.metrics().sum("weir_tail_lost_bytes_total", &[]);
    eventually("lines are lost", 240, || {
        (lost() > load.file_bytes as f64 * 10.0).then_some(())
    });
    let samples = weir.metrics();
    let paused = samples.sum("weir_source_paused", &[]) + samples.sum("weir_tail_paused", &[]);
    let until_loss = weir.metrics().sum("weir_tail_seconds_until_loss", &[]);
    let written = kubelet.finish();
    aggregator.open();
    let total: u64 = written.iter().sum();
    eventually("what is left arrives", 240, || {
        (aggregator.reached() == total).then_some(())
    });
    weir.settles(60);
    let arrived = aggregator.arrived();
    in_order(&arrived);
    let gaps = arrived.containers.values().flat_map(|seen| &seen.gaps);
    let missing: u64 = gaps
        .flat_map(|(from, to)| *from..*to)
        .map(|n| bytes_of(n, &load))
        .sum();
    // What came of these is their first part.
    let halves = arrived.containers.values().flat_map(|seen| &seen.halves);
    let rests: u64 = halves.clone().map(|n| rest_bytes_of(*n, &load)).sum();
    let missing = missing + rests;
    println!(
        "result node, outrun: lines={total} lost_bytes={missing} counted={} halves={} paused={paused} until_loss={until_loss}",
        lost(),
        halves.count()
    );
    assert_eq!(lost(), missing as f64);
    assert!(missing > 0);
    assert!(weir.stop().success());
}

/// CPU time of a line and how late it comes, at several speeds. Says nothing of its own in a debug build.
#[test]
fn lines_come_in_time() {
    let speeds = std::env::var("WEIR_NODE_SPEEDS").unwrap_or_else(|_| "2000000".into());
    let secs = asked("WEIR_NODE_SPEED_SECS", 3);
    for speed in speeds.split(',') {
        let load = Load {
            containers: asked("WEIR_NODE_CONTAINERS", 50),
            bytes_per_second: speed.parse().expect("a rate"),
            file_bytes: asked("WEIR_NODE_FILE", 1 << 20),
            files: 5,
            line_bytes: 200,
            splits_records: true,
        };
        let aggregator = Aggregator::start(true);
        let home = agent(
            aggregator.port,
            "type = \"none\"\nflush_interval = \"100ms\"",
        );
        let weir = home.start();
        let kubelet = Kubelet::start(&home.path().join("log/pods"), load);
        eventually("lines flow", 60, || {
            (aggregator.records() > 1_000).then_some(())
        });
        let (cpu, records) = (weir.cpu(), aggregator.records());
        thread::sleep(Duration::from_secs(secs));
        let cpu = weir.cpu().saturating_sub(cpu);
        let records = aggregator.records() - records;
        let total: u64 = kubelet.finish().iter().sum();
        eventually("every line arrives", 120, || {
            (aggregator.reached() == total).then_some(())
        });
        let arrived = aggregator.arrived();
        in_order(&arrived);
        println!(
            "result node, {speed} bytes/s: lines={total} cpu_us_per_line={:.2} lag_ms_half={} lag_ms_99={} memory_mib={}",
            cpu.as_secs_f64() * 1e6 / records as f64,
            arrived.lag_ms(0.5),
            arrived.lag_ms(0.99),
            weir.memory_kib("VmHWM") >> 10
        );
        assert!(arrived.containers.values().all(|seen| seen.gaps.is_empty()));
        assert!(weir.stop().success());
    }
}
