//! `cargo xtask bench`: CPU time per record beside a decoded tree.

use anyhow::bail;

/// Runs the command.
pub(crate) fn run(_args: &[String]) -> anyhow::Result<()> {
    bail!("not written yet")
}
