//! Outages of real servers at full length: the tests of `tests/outage.rs`.

use super::{Line, Order, blackbox};
use crate::servers::{self, Set};
use anyhow::Result;

/// Seconds of each outage.
const SECS: u64 = 120;

/// Options of its own.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("--secs", "seconds of each outage, 120 by default"),
    blackbox::DEBUG,
];

/// Runs the campaign.
///
/// # Errors
/// When the servers or the tests could not be run.
pub(super) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let secs = order.number("--secs", SECS)?.to_string();
    let before = servers::running()?;
    servers::ensure(Set::Daily)?;
    let lines = blackbox::run(order, "outage::", &[("WEIR_OUTAGE_SECS", secs)]);
    servers::stop_others(&before)?;
    lines
}
