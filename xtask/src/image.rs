//! `cargo xtask image`: the container image, built from the Dockerfile and tried.

use anyhow::bail;

/// Runs the command.
pub(crate) fn run(_args: &[String]) -> anyhow::Result<()> {
    bail!("not written yet")
}

/// Runs the whole check, as `cargo xtask test` does.
pub(crate) fn check() -> anyhow::Result<()> {
    bail!("not written yet")
}
