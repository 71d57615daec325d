//! The receiver of a relay killed again and again: the tests of `tests/kills.rs` in a release build, with many kills.

use super::{Line, Order};
use crate::{process, tree};
use anyhow::{Context as _, Result, bail};
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

/// Kills of each test.
const KILLS: u64 = 100;
/// What the figures of a test begin with.
const RESULT: &str = "result ";
/// The figures that a test prints.
const FIGURES: [&str; 5] = ["acknowledged", "lost", "twice", "kills", "seed"];

/// Options of its own.
pub(super) const OPTIONS: &[(&str, &str)] = &[("--kills", "kills of each test, 100 by default")];

/// Runs the campaign.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let kills = order.number("--kills", KILLS)?;
    let mut command = process::cargo();
    command
        .current_dir(tree::root()?)
        .args(["test", "--release", "--features", "defects"])
        .args(["--test", "blackbox", "--", "kills::"])
        .args(["--test-threads", "1", "--nocapture"])
        .env("WEIR_KILLS", kills.to_string())
        .env("WEIR_SEED", order.seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("start cargo")?;
    let stdout = child.stdout.take().context("no output of cargo")?;
    let mut lines = Vec::new();
    let mut failed = false;
    for text in BufReader::new(stdout).lines() {
        let text = text.context("read the output of the tests")?;
        println!("{text}");
        lines.extend(line(&text));
        // The verdict stands behind what the test printed, or behind its name.
        if text.ends_with("FAILED") && !text.starts_with("test result") {
            failed = true;
            fail(&mut lines);
        }
    }
    let status = child.wait().context("wait for cargo")?;
    if !status.success() && !failed {
        bail!("the tests could not be run: cargo ended with {status}");
    }
    Ok(lines)
}

/// The figures in a line of output.
fn line(text: &str) -> Option<Line> {
    let (_, rest) = text.split_once(RESULT)?;
    let (what, figures) = rest.split_once(": ")?;
    let mut line = Line::new(what);
    for name in FIGURES {
        let prefix = format!("{name}=");
        let value = figures
            .split_whitespace()
            .find_map(|figure| figure.strip_prefix(&prefix))?;
        line = line.with(name, value);
    }
    Some(line)
}

fn fail(lines: &mut Vec<Line>) {
    let last = lines.pop().unwrap_or_else(|| Line::new("kills"));
    lines.push(last.failed("the test failed; its message is above"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_behind_the_name_of_a_test() {
        let text =
            "test kills::a ... result plain, files: acknowledged=75 lost=0 twice=2 kills=3 seed=1";
        let line = line(text).unwrap().to_string();
        let expected = "result plain, files: ok acknowledged=75 lost=0 twice=2 kills=3 seed=1";
        assert_eq!(line, expected);
    }

    #[test]
    fn other_lines_have_none() {
        for text in [
            "ok",
            "test result: ok. 4 passed; 0 failed",
            "result x: lost=0",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
    }
}
