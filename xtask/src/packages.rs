//! System packages: what is missing is installed through apt, and nothing else.

use crate::process;
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

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

/// Unpacks these Debian packages below `folder`, without installing them: nothing is configured, nothing is started.
pub(crate) fn unpack(packages: &[&str], folder: &Path) -> Result<()> {
    println!("apt: unpacking {}", packages.join(" "));
    let archives = folder.join("archives");
    fs::create_dir_all(&archives).with_context(|| format!("make {}", archives.display()))?;
    // Whoever calls this may write here, which is not so for the account that apt would change to.
    let fetch = || {
        let mut command = Command::new("apt-get");
        command.args(["download", "--quiet", "--option", "APT::Sandbox::User=root"]);
        process::quiet(command.args(packages).current_dir(&archives))
    };
    if fetch().is_err() {
        process::run(apt()?.args(["update", "--quiet"]))?;
        fetch().context("download Debian packages")?;
    }
    for archive in fs::read_dir(&archives)? {
        let mut command = Command::new("dpkg-deb");
        command
            .arg("--extract")
            .arg(archive?.path())
            .arg(folder.join("root"));
        process::run(&mut command)?;
    }
    fs::remove_dir_all(&archives).with_context(|| format!("remove {}", archives.display()))
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
