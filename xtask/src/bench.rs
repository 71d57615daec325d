//! `cargo xtask bench [RUNS] [NAME]`: what a document and a record cost, what durability costs, and how fast a buffer is recovered.

mod arrivals;
mod bulk_server;
mod durability;
mod encoding;
mod forward_server;
mod load;
mod measure;
mod passing;
mod records;
mod recovery;
mod trial;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{bail, ensure};

/// Runs of each row; the median is printed.
const RUNS: usize = 5;

/// A bench: its name, and what runs it so many times.
type Bench = (&'static str, Run);

/// How a bench is run.
#[derive(Clone, Copy)]
enum Run {
    /// With the router.
    Router(fn(&Path, usize) -> anyhow::Result<()>),
    /// With a program of its own.
    Alone(fn(usize) -> anyhow::Result<()>),
}

/// All of them, in the order in which they run.
const BENCHES: [Bench; 4] = [
    ("encoding", Run::Alone(encoding::run)),
    ("passing", Run::Router(passing::run)),
    ("durability", Run::Router(durability::run)),
    ("recovery", Run::Router(recovery::run)),
];

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let (mut runs, mut wanted) = (RUNS, BENCHES.to_vec());
    for arg in args {
        if let Ok(number) = arg.parse() {
            runs = number;
            continue;
        }
        wanted.retain(|(name, _)| name == arg);
        if wanted.is_empty() {
            let names = BENCHES.map(|(name, _)| name).join(", ");
            bail!("no bench `{arg}`: there are {names}");
        }
    }
    ensure!(runs > 0, "the number of runs is at least 1");
    let is_router = |(_, bench): &Bench| matches!(bench, Run::Router(_));
    let binary = if wanted.iter().any(is_router) {
        build()?
    } else {
        PathBuf::new()
    };
    // The router has the first core to itself; the load and the servers share the others.
    measure::pin_self_to_other_cores()?;
    for (_, bench) in wanted {
        match bench {
            Run::Router(run) => run(&binary, runs)?,
            Run::Alone(run) => run(runs)?,
        }
    }
    Ok(())
}

fn build() -> anyhow::Result<PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--bin", "weir"])
        .status()?;
    ensure!(status.success(), "cargo build --release failed");
    Ok(PathBuf::from("target/release/weir"))
}
