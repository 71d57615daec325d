//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, with libFuzzer inside and nothing to install.

mod build;
mod process;

use self::process::Process;
use crate::{
    campaign::{Line, Order},
    tree,
};
use anyhow::{Result, bail, ensure};
use std::{path::Path, time::Instant};

/// Every target: a program in `fuzz/src/bin`, a folder in `fuzz/corpus`.
const TARGETS: [&str; 3] = ["protocol", "packed", "handshake"];
/// Seconds of a target when nothing is said.
const SECONDS: u64 = 60;
/// Seconds of all targets together in the test command.
const TEST_SECONDS: u64 = 60;
/// Executions of a target in a campaign, and the processes that share them.
const CAMPAIGN_RUNS: u64 = 10_000_000;
const CAMPAIGN_PROCESSES: u64 = 2;
/// Options of the campaign.
pub(crate) const OPTIONS: &[(&str, &str)] = &[
    ("--target", "one target instead of all"),
    ("--runs", "executions of each target, 10000000 if not given"),
    (
        "--processes",
        "how many search at once, 2 if not given; each with a seed of its own",
    ),
];

/// When a search ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Seconds(u64),
    Runs(u64),
}

/// Runs the command: `[TARGET]... [--seconds N | --runs N] [--seed N]`.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let names = args.iter().take_while(|arg| !arg.starts_with("--"));
    let names: Vec<&str> = names.copied().collect();
    let known = [("--seconds", ""), ("--runs", "")];
    let order = Order::read("fuzz", args.get(names.len()..).unwrap_or_default(), &known)?;
    let end = match order.text("--runs")? {
        Some(_) => End::Runs(order.number("--runs", 0)?),
        None => End::Seconds(order.number("--seconds", SECONDS)?),
    };
    close(&search("searches", &chosen(&names)?, end, order.seed, 1)?)
}

/// The step of the test command.
pub(crate) fn check(_: &Path) -> Result<()> {
    let seconds = TEST_SECONDS / TARGETS.len() as u64;
    close(&search("test", &TARGETS, End::Seconds(seconds), 1, 1)?)
}

/// The campaign.
pub(crate) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let targets = match order.text("--target")? {
        Some(name) => chosen(&[name])?,
        None => TARGETS.to_vec(),
    };
    let runs = order.number("--runs", CAMPAIGN_RUNS)?;
    let processes = order.number("--processes", CAMPAIGN_PROCESSES)?;
    search("campaign", &targets, End::Runs(runs), order.seed, processes)
}

/// The named targets; all of them when none is named.
fn chosen(names: &[&str]) -> Result<Vec<&'static str>> {
    if let Some(name) = names.iter().find(|name| !TARGETS.contains(name)) {
        bail!("no fuzz target `{name}`; there are {}", TARGETS.join(", "));
    }
    let is_chosen = |target: &&str| names.is_empty() || names.contains(target);
    Ok(TARGETS.into_iter().filter(is_chosen).collect())
}

/// Searches one target after the other, each by several processes with seeds that follow one another. Searches for
/// different purposes may run at the same time.
fn search(
    purpose: &str,
    targets: &[&'static str],
    end: End,
    seed: u64,
    processes: u64,
) -> Result<Vec<Line>> {
    ensure!(
        processes > 0,
        "no process, no search: --processes 1 or more"
    );
    let root = tree::root()?;
    let folder = build::build(&root, targets)?;
    let mut lines = Vec::new();
    for target in targets {
        let start = Instant::now();
        let share = match end {
            End::Seconds(seconds) => End::Seconds(seconds),
            End::Runs(runs) => End::Runs(runs.div_ceil(processes)),
        };
        let mut running = Vec::new();
        for number in 0..processes {
            running.push(Process::start(
                &root,
                &folder,
                purpose,
                target,
                share,
                seed + number,
            )?);
        }
        let mut line = Line::new(format!("fuzz {target}"));
        let (mut executions, mut covered) = (0, 0);
        for process in running {
            let found = process.wait()?;
            println!("{target}: {}", found.closing);
            executions += found.executions;
            covered = covered.max(found.covered);
            if let Some(failure) = found.failure {
                line = line.failed(failure);
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let seeds: Vec<String> = (seed..seed + processes)
            .map(|seed| seed.to_string())
            .collect();
        line = line
            .with("executions", executions)
            .with("seeds", seeds.join(","))
            .with("edges", covered)
            .with("took_s", format!("{seconds:.0}"));
        lines.push(line);
    }
    Ok(lines)
}

/// Prints what came out; an error when something was found.
fn close(lines: &[Line]) -> Result<()> {
    for line in lines {
        println!("{line}");
    }
    let failed = lines.iter().filter(|line| line.failure.is_some()).count();
    ensure!(
        failed == 0,
        "{failed} of {} fuzz targets found something",
        lines.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_the_package() {
        assert_eq!(chosen(&[]).unwrap(), TARGETS);
        assert_eq!(chosen(&["packed"]).unwrap(), ["packed"]);
        let error = chosen(&["none"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "no fuzz target `none`; there are protocol, packed, handshake"
        );
        let root = tree::root().unwrap();
        for target in TARGETS {
            assert!(
                root.join(format!("fuzz/src/bin/{target}.rs")).is_file(),
                "{target}"
            );
            assert!(
                root.join(format!("fuzz/corpus/{target}")).is_dir(),
                "{target}"
            );
        }
    }

    #[test]
    fn a_finding_makes_the_command_fail() {
        close(&[Line::new("a")]).unwrap();
        let error = close(&[Line::new("a"), Line::new("b").failed("panic")]).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 fuzz targets found something");
    }
}
