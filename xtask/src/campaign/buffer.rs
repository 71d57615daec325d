//! The buffer on a simulated volume: `src/buffer/tests/` with every case, and with many stories. Each is a test of the
//! library, built as tests are, so that every check of a debug build is in it.

use super::{Line, Order, blackbox};
use anyhow::Result;

/// Stories by chance.
const STORIES: u64 = 100_000;
/// Losses of power at each call that changes something.
const POWER: u64 = 20;

/// Options of `damage`.
pub(super) const DAMAGE_OPTIONS: &[(&str, &str)] =
    &[("--step", "tries every so manieth bit and cut, 1 by default")];

/// Options of `model`.
pub(super) const MODEL_OPTIONS: &[(&str, &str)] = &[("--stories", "how many, 100,000 by default")];

/// Options of `io`.
pub(super) const IO_OPTIONS: &[(&str, &str)] = &[
    ("--step", "tries every so manieth case, 1 by default"),
    (
        "--power",
        "losses of power at each call, 20 by default; one more loses all that was not synced",
    ),
];

/// Runs the campaign `damage`.
///
/// # Errors
/// When the test could not be run.
pub(super) fn damage(order: &Order) -> Result<Vec<Line>> {
    let env = [("WEIR_DAMAGE_STEP", order.number("--step", 1)?.to_string())];
    blackbox::run_unit(order, "buffer::tests::damage::", &env)
}

/// Runs the campaign `model`.
///
/// # Errors
/// When the test could not be run.
pub(super) fn model(order: &Order) -> Result<Vec<Line>> {
    let stories = order.number("--stories", STORIES)?.to_string();
    let env = [("WEIR_MODEL_STORIES", stories)];
    blackbox::run_unit(order, "buffer::tests::model::", &env)
}

/// Runs the campaign `io`.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn io(order: &Order) -> Result<Vec<Line>> {
    let env = [
        ("WEIR_IO_STEP", order.number("--step", 1)?.to_string()),
        ("WEIR_IO_POWER", order.number("--power", POWER)?.to_string()),
    ];
    blackbox::run_unit(order, "buffer::tests::io::", &env)
}
