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
type Bench = (&'static str, fn(&Path, usize) -> anyhow::Result<()>);

/// All of them, in the order in which they run.
const BENCHES: [Bench; 4] = [
    ("encoding", encoding::run),
    ("passing", passing::run),
    ("durability", durability::run),
    ("recovery", recovery::run),
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
    let binary = build()?;
    // The router has the first core to itself; the load and the servers share the others.
    measure::pin_self_to_other_cores()?;
    for (_, bench) in wanted {
        bench(&binary, runs)?;
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
