//! The campaign `connections`: the black-box tests of many connections at full size.

use super::{Line, Order, blackbox};
use anyhow::Result;

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

/// Runs the campaign.
///
/// # Errors
/// When the tests could not be run.
pub(super) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let mut all = Vec::new();
    for part in PARTS {
        let sizes = LIMITS.iter().chain(part.sizes);
        let env: Vec<_> = sizes
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let mut lines = blackbox::run(order, &format!("connections::{}", part.test), &env)?;
        for line in &mut lines {
            part.what.clone_into(&mut line.what);
        }
        all.extend(lines);
    }
    Ok(all)
}
