//! The campaign `connections`: the black-box tests of many connections at full size, against a release build.

use super::{Line, Order};
use crate::{process, tree};
use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};

/// Limits that hold for every part.
const LIMITS: &[(&str, &str)] = &[
    ("WEIR_CONNECTIONS_MEMORY_MIB", "400"),
    ("WEIR_CONNECTIONS_P99_MS", "250"),
];

/// One test of `tests/connections.rs`.
struct Part {
    what: &'static str,
    test: &'static str,
    sizes: &'static [(&'static str, &'static str)],
}

/// Sizes that 20,000 descriptors for each side allow.
const PARTS: &[Part] = &[
    Part {
        what: "10,000 idle, 1,000 busy",
        test: "idle_connections_beside_busy_ones",
        sizes: &[
            ("WEIR_CONNECTIONS_IDLE", "10000"),
            ("WEIR_CONNECTIONS_BUSY", "1000"),
            ("WEIR_CONNECTIONS_MESSAGES", "150"),
        ],
    },
    Part {
        what: "5,000 slow, 100 busy",
        test: "slow_senders_do_not_stop_busy_ones",
        sizes: &[
            ("WEIR_CONNECTIONS_SLOW", "5000"),
            ("WEIR_CONNECTIONS_SLOW_BUSY", "100"),
            ("WEIR_CONNECTIONS_MESSAGES", "150"),
        ],
    },
    Part {
        what: "1,000,000 that come and go",
        test: "connections_that_come_and_go",
        sizes: &[("WEIR_CONNECTIONS_CHURN", "1000000")],
    },
];

/// What the tests print behind `figures `, as `NAME=VALUE`.
const FIGURES: &[&str] = &[
    "memory_before_mib",
    "memory_peak_mib",
    "acks",
    "p50_ms",
    "p99_ms",
    "cpu_s",
    "elapsed_s",
];

/// Runs the campaign.
pub(super) fn campaign(_: &Order) -> Result<Vec<Line>> {
    let root = tree::root()?;
    PARTS
        .iter()
        .map(|part| {
            let mut command = process::cargo();
            command.current_dir(&root);
            command.args(["test", "--release", "--features", "defects"]);
            command.args(["--test", "blackbox", "--", "--exact", "--nocapture"]);
            command.arg(format!("connections::{}", part.test));
            command.envs(LIMITS.iter().chain(part.sizes).copied());
            one(part.what, &mut command)
        })
        .collect()
}

fn one(what: &str, command: &mut Command) -> Result<Line> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = with_figures(Line::new(what), &said);
    Ok(match (output.status.success(), line.figures.is_empty()) {
        (true, false) => line,
        (true, true) => line.failed("no test ran"),
        (false, _) => line.failed("the test failed; above is what it said"),
    })
}

fn with_figures(line: Line, said: &str) -> Line {
    let figures = said
        .lines()
        .filter_map(|text| text.split_once("figures "))
        .flat_map(|(_, figures)| figures.split(' '))
        .filter_map(|figure| figure.split_once('='));
    figures.fold(line, |line, (name, value)| {
        match FIGURES.iter().find(|known| **known == name) {
            Some(known) => line.with(known, value),
            None => line,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_a_test_prints() {
        let said = "test connections::x ... figures acks=3 p99_ms=1.5 other=1\nok\n";
        let expected = vec![("acks", "3".to_owned()), ("p99_ms", "1.5".to_owned())];
        assert_eq!(with_figures(Line::new("x"), said).figures, expected);
    }
}
