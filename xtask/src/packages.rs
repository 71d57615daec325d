//! System packages: what is missing is installed through apt, and nothing else.

use crate::process;
use anyhow::{Context as _, Result, bail};
use std::process::{Command, Stdio};

/// Makes sure that these Debian packages are installed.
pub(crate) fn ensure(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!(
            "this machine has no apt: install {} by hand",
            missing.join(" ")
        );
    }
    println!("apt: installing {}", missing.join(" "));
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    // The lists of a fresh machine are empty or old, so they are fetched first.
    process::run(apt()?.args(["update", "--quiet"]))?;
    process::run(apt()?.args(install).args(&missing)).context("install the system packages")
}

/// Makes sure that a program can be started; `package` is the Debian package that brings it. One that was installed
/// in another way is as good.
pub(crate) fn ensure_program(program: &str, package: &str) -> Result<()> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    if found { Ok(()) } else { ensure(&[package]) }
}

fn is_installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    status.is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

/// apt as root: directly, or through sudo where that asks for nothing.
fn apt() -> Result<Command> {
    let id = process::output(Command::new("id").arg("--user"))?;
    let mut command = if id.trim() == "0" {
        Command::new("apt-get")
    } else if succeeds(Command::new("sudo").args(["--non-interactive", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "apt-get"]);
        sudo
    } else {
        bail!("installing system packages needs root, or sudo without a password");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_there_needs_no_package() {
        ensure_program("sh", "no-such-package").unwrap();
    }
}
