//! The promise of an acknowledgement: the tests of `tests/crash.rs` with many kills, and many losses of power, and those of
//! `tests/full.rs` with a disk that is full many times.

use super::{Line, Order, blackbox};
use anyhow::Result;

/// Kills, and losses of power.
const KILLS: u64 = 1_000;
const LOSSES: u64 = 500;
/// Times that the disk is full, for each overflow action.
const CYCLES: u64 = 200;

/// Options of `full`.
pub(super) const FULL_OPTIONS: &[(&str, &str)] =
    &[("--rounds", "times that the disk is full, 200 by default")];

/// Options of the others.
pub(super) const OPTIONS: &[(&str, &str)] = &[(
    "--rounds",
    "kills, 1,000 by default; losses of power, 500 by default",
)];

/// Runs the campaign `kill`.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn kill(order: &Order) -> Result<Vec<Line>> {
    run(order, "crash::kill", KILLS)
}

/// Runs the campaign `power`.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn power(order: &Order) -> Result<Vec<Line>> {
    run(order, "crash::power", LOSSES)
}

/// Seconds, and records in a second: ten million in all.
const SOAK_SECS: u64 = 1_800;
const SOAK_RATE: u64 = 6_000;

/// Options of `soak`.
pub(super) const SOAK_OPTIONS: &[(&str, &str)] = &[
    ("--secs", "how long, 1,800 by default"),
    ("--rate", "records in a second, 6,000 by default"),
];

/// Runs the campaign `soak`.
///
/// # Errors
/// When the test could not be run.
pub(super) fn soak(order: &Order) -> Result<Vec<Line>> {
    let number = |option, default| order.number(option, default).map(|n| n.to_string());
    let env = [
        ("WEIR_SOAK_SECS", number("--secs", SOAK_SECS)?),
        ("WEIR_SOAK_RATE", number("--rate", SOAK_RATE)?),
    ];
    blackbox::run(order, "soak::", &env)
}

/// Runs the campaign `full`.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn full(order: &Order) -> Result<Vec<Line>> {
    run(order, "full::", CYCLES)
}

fn run(order: &Order, tests: &str, rounds: u64) -> Result<Vec<Line>> {
    let rounds = order.number("--rounds", rounds)?.to_string();
    blackbox::run(order, tests, &[("WEIR_ROUNDS", rounds)])
}
