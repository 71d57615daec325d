//! `cargo xtask servers`: the real Elasticsearch and OpenSearch, downloaded once and started once.

use anyhow::bail;

/// Runs the command.
pub(crate) fn run(_args: &[String]) -> anyhow::Result<()> {
    bail!("not written yet")
}

/// Makes sure that everything is in place for the tests; cheap when it already is.
pub(crate) fn ensure() -> anyhow::Result<()> {
    bail!("not written yet")
}
