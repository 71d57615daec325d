//! A node's logs at full size: the tests of `tests/tail.rs` with files of 10 MiB and 20 MB a second.

use super::{Line, Order, blackbox};
use anyhow::Result;

/// Seconds of the run with kills, and the kills.
const SECS: u64 = 120;
const KILLS: u64 = 12;
/// Bytes of all containers in a second.
const RATE: u64 = 20_000_000;
/// Size at which a file is moved away.
const FILE_BYTES: u64 = 10 << 20;
/// Rates at which CPU time and lag are measured, and the seconds of each.
const SPEEDS: &str = "5000000,20000000,50000000";
const SPEED_SECS: u64 = 20;

/// Options of its own.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("--secs", "seconds of the run with kills, 120 by default"),
    ("--kills", "kills in that run, 12 by default"),
    ("--rate", "bytes per second, 20,000,000 by default"),
];

/// Runs the campaign.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let number = |option, default| order.number(option, default).map(|n| n.to_string());
    let env = [
        ("WEIR_NODE_SECS", number("--secs", SECS)?),
        ("WEIR_KILLS", number("--kills", KILLS)?),
        ("WEIR_NODE_RATE", number("--rate", RATE)?),
        ("WEIR_NODE_FILE", FILE_BYTES.to_string()),
        ("WEIR_NODE_SPEEDS", SPEEDS.to_owned()),
        ("WEIR_NODE_SPEED_SECS", SPEED_SECS.to_string()),
    ];
    blackbox::run(order, "tail::", &env)
}
