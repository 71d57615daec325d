//! A campaign that is a module of the black-box tests, run against a release build with more of everything, or one of the
//! unit tests of the engine, as they are built anyway. Where speed is not what is tried, `--debug` spares the release build.
//!
//! A test prints `result WHAT: NAME=VALUE NAME=VALUE`, and each such line becomes a line of results. Tests that print none
//! become one line together, with their number.

use super::{Line, Order};
use crate::{process, tree};
use anyhow::{Context as _, Result, bail};
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

/// What the figures of a test begin with.
const RESULT: &str = "result ";

/// An option of those campaigns that a debug build can run as well.
pub(super) const DEBUG: (&str, &str) = (
    "--debug",
    "the build of every day, which has more checks and is slower",
);

/// Runs the tests whose names begin with `tests`, with these variables and the seed in `WEIR_SEED`.
///
/// # Errors
/// When they could not be run. A test that fails is a line that failed.
pub(super) fn run(order: &Order, tests: &str, env: &[(&str, String)]) -> Result<Vec<Line>> {
    run_target(order, target(order), tests, env)
}

/// Which tests in which build.
fn target(order: &Order) -> &'static [&'static str] {
    let all: &[&str] = &["--release", "--features", "defects", "--test", "blackbox"];
    match all {
        [_, debug @ ..] if order.has(DEBUG.0) => debug,
        _ => all,
    }
}

/// The same with unit tests of the engine.
///
/// # Errors
/// As [`run`].
pub(super) fn run_unit(order: &Order, tests: &str, env: &[(&str, String)]) -> Result<Vec<Line>> {
    let target = ["--package", "weir", "--features", "defects", "--lib"];
    run_target(order, &target, tests, env)
}

fn run_target(
    order: &Order,
    target: &[&str],
    tests: &str,
    env: &[(&str, String)],
) -> Result<Vec<Line>> {
    let mut command = process::cargo();
    command
        .current_dir(tree::root()?)
        .arg("test")
        .args(target)
        .args(["--", tests])
        .args(["--test-threads", "1", "--nocapture"])
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("WEIR_SEED", order.seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("start cargo")?;
    let stdout = child.stdout.take().context("no output of cargo")?;
    let (mut lines, mut failed, mut passed) = (Vec::new(), false, 0);
    // The test that runs, and how many lines there were before it.
    let (mut running, mut before) = (tests.to_owned(), 0);
    for text in BufReader::new(stdout).lines() {
        let text = text.context("read the output of the tests")?;
        println!("{text}");
        if let Some(name) = name(&text) {
            (running, before) = (name.to_owned(), lines.len());
        }
        lines.extend(line(&text));
        passed += passed_in(&text);
        // The verdict stands behind what the test printed, or behind its name.
        if text.ends_with("FAILED") && !text.starts_with("test result") {
            failed = true;
            let own = (lines.len() > before).then(|| lines.pop()).flatten();
            let line = own.unwrap_or_else(|| Line::new(&running));
            lines.push(line.failed("the test failed; its message is above"));
        }
    }
    let status = child.wait().context("wait for cargo")?;
    if lines.is_empty() && passed > 0 {
        lines.push(Line::new(tests).with("passed", passed));
    }
    match (status.success(), failed, lines.is_empty()) {
        (true, _, true) => bail!("there is no test {tests}"),
        (false, false, _) => bail!("the tests could not be run: cargo ended with {status}"),
        _ => Ok(lines),
    }
}

/// The name of the test that begins with this line.
fn name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("test ")?.split_once(" ... ")?;
    Some(name)
}

/// How many tests passed, where a line of output sums up.
fn passed_in(text: &str) -> u64 {
    let sum = text.strip_prefix("test result: ok. ");
    let number = sum.and_then(|rest| rest.split_once(" passed")?.0.parse().ok());
    number.unwrap_or(0)
}

/// The figures in a line of output.
fn line(text: &str) -> Option<Line> {
    let (_, rest) = text.split_once(RESULT)?;
    let (what, figures) = rest.split_once(": ")?;
    let figures: Option<Vec<_>> = figures
        .split_whitespace()
        .map(|figure| figure.split_once('='))
        .collect();
    let add = |line: Line, (name, value): (&str, &str)| line.with(name, value);
    Some(figures?.into_iter().fold(Line::new(what), add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_behind_the_name_of_a_test() {
        let text = "test kills::a ... result plain, files: acknowledged=75 lost=0 kills=3 seed=1";
        let expected = "result plain, files: ok acknowledged=75 lost=0 kills=3 seed=1";
        assert_eq!(line(text).unwrap().to_string(), expected);
        assert_eq!(name(text), Some("kills::a"));
    }

    #[test]
    fn a_debug_build_is_the_one_of_every_day() {
        let order = |args: &[&str]| Order::read("outage", args, &[DEBUG]).unwrap();
        let release = ["--release", "--features", "defects", "--test", "blackbox"];
        assert_eq!(target(&order(&[])), release);
        assert_eq!(target(&order(&[DEBUG.0])), &release[1..]);
    }

    #[test]
    fn what_passed_is_counted() {
        assert_eq!(passed_in("test result: ok. 4 passed; 0 failed; 0"), 4);
        assert_eq!(passed_in("test a::b ... ok"), 0);
    }

    #[test]
    fn other_lines_have_none() {
        for text in ["ok", "test result: ok. 4 passed; 0 failed", "result x: y"] {
            assert_eq!(line(text), None, "{text}");
        }
    }
}
