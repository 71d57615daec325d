//! The black-box tests with real servers once more, against the versions that are not in every run.

use super::{Line, Order, blackbox};
use crate::servers::{self, Set};
use anyhow::Result;

/// Which server stands in for which: `tests/harness/servers.rs` reads these variables.
const OTHERS: [(&str, &str); 3] = [
    ("WEIR_ELASTICSEARCH", "elasticsearch-9"),
    ("WEIR_OPENSEARCH", "opensearch-2"),
    ("WEIR_GUARDED", "elasticsearch-9-guarded"),
];
/// The same for a second round, of those tests that ask for a guarded server.
const GUARDED: [(&str, &str); 1] = [("WEIR_GUARDED", "opensearch-2-guarded")];
/// Modules of the first round.
const MODULES: [&str; 6] = [
    "elasticsearch::",
    "matrix::",
    "outage::",
    "reach::",
    "targets::",
    "traps::",
];
/// Tests of the second round.
const TESTS: [&str; 3] = ["matrix::guarded::", "targets::", "traps::size::"];

/// Options of its own.
pub(super) const OPTIONS: &[(&str, &str)] = &[blackbox::DEBUG];

/// Runs the campaign.
///
/// # Errors
/// When the servers or the tests could not be run.
pub(super) fn campaign(order: &Order) -> Result<Vec<Line>> {
    let before = servers::running()?;
    servers::ensure(Set::Daily)?;
    servers::ensure(Set::Campaign)?;
    let lines = rounds(order);
    servers::stop_others(&before)?;
    lines
}

fn rounds(order: &Order) -> Result<Vec<Line>> {
    let mut all = Vec::new();
    for tests in MODULES {
        all.extend(round(order, tests, &OTHERS)?);
    }
    for tests in TESTS {
        all.extend(round(order, tests, &GUARDED)?);
    }
    Ok(all)
}

fn round(order: &Order, tests: &str, servers: &[(&str, &str)]) -> Result<Vec<Line>> {
    let env: Vec<_> = servers
        .iter()
        .map(|(variable, name)| (*variable, (*name).to_owned()))
        .collect();
    let names: Vec<&str> = servers.iter().map(|(_, name)| *name).collect();
    let mut lines = blackbox::run(order, tests, &env)?;
    for line in &mut lines {
        line.what = format!("{} on {}", line.what, names.join(", "));
    }
    Ok(lines)
}
