//! Many reloads under load: the test of `tests/reload/storm.rs` with more of them.

use super::{Line, Order, blackbox};
use anyhow::Result;

/// Reloads; every second one is refused.
const RELOADS: u64 = 200;

/// Options of its own.
pub(super) const OPTIONS: &[(&str, &str)] = &[("--reloads", "how many, 200 by default")];

/// Runs the campaign.
///
/// # Errors
/// When the test could not be run.
pub(super) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let reloads = order.number("--reloads", RELOADS)?.to_string();
    blackbox::run(order, "reload::storm", &[("WEIR_RELOADS", reloads)])
}
