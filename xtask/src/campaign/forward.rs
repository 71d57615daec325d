//! The receiver of a relay killed again and again: the tests of `tests/kills.rs` with many kills.

use super::{Line, Order, blackbox};
use anyhow::Result;

/// Kills of each test.
const KILLS: u64 = 100;

/// Options of its own.
pub(super) const OPTIONS: &[(&str, &str)] = &[("--kills", "kills of each test, 100 by default")];

/// Runs the campaign.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let kills = order.number("--kills", KILLS)?;
    blackbox::run(order, "kills::", &[("WEIR_KILLS", kills.to_string())])
}
