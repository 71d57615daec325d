//! A stand-in for the Rust image that the Dockerfile begins with: the distribution's packages with a C compiler, and
//! the toolchain of this machine, which is mounted while the image is built.

use super::store::Store;
use crate::process;
use anyhow::{Context as _, Result};
use std::{fs, path::Path, process::Command};

/// Its name holds what it is made from, so that another recipe makes another image.
const NAME: &str = "localhost/stand-in/rust";
/// Packages besides the smallest system. The Rust image has curl too, which the trial of the chart needs.
const PACKAGES: &str = "gcc,make,libc6-dev,ca-certificates,curl";
/// Where the toolchain is mounted.
const TOOLCHAIN: &str = "/usr/local/rust";
/// What the Rust image has in its environment.
const ENVIRONMENT: [&str; 2] = [
    "PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "CARGO_HOME=/usr/local/cargo",
];

/// Makes the image unless it is there; the result is its name.
pub(super) fn ensure(store: &Store, target: &Path) -> Result<String> {
    let (mirror, suite) = distribution()?;
    let name = format!("{NAME}:{suite}-{}", PACKAGES.replace(',', "-"));
    if store.has(&name) {
        return Ok(name);
    }
    println!("making {name}");
    let system = target.join("system");
    if system.exists() {
        fs::remove_dir_all(&system).with_context(|| format!("remove {}", system.display()))?;
    }
    let mut bootstrap = Command::new("debootstrap");
    bootstrap.args([
        "--variant=minbase",
        &format!("--include={PACKAGES}"),
        &suite,
    ]);
    bootstrap.arg(&system).arg(&mirror);
    process::quiet(&mut bootstrap)?;
    commit(store, &system, &name)?;
    fs::remove_dir_all(&system).with_context(|| format!("remove {}", system.display()))?;
    Ok(name)
}

/// Makes an image from a folder.
fn commit(store: &Store, system: &Path, name: &str) -> Result<()> {
    let mut from = store.command("buildah");
    let container = process::output(from.args(["from", "scratch"]))?;
    let container = container.trim();
    process::run(
        store
            .command("buildah")
            .args(["add", "--quiet", container])
            .arg(system)
            .arg("/"),
    )?;
    let mut config = store.command("buildah");
    config.arg("config");
    for variable in ENVIRONMENT {
        config.args(["--env", variable]);
    }
    process::run(config.arg(container))?;
    let mut commit = store.command("buildah");
    process::run(commit.args(["commit", "--quiet", "--rm", container, name]))
}

/// Where the machine has its packages from, and the name of its distribution.
fn distribution() -> Result<(String, String)> {
    let mut list = Command::new("apt-get");
    list.args([
        "indextargets",
        "--format",
        "$(SITE) $(RELEASE)",
        "Created-By: Packages",
    ]);
    let targets = process::output(&mut list)?;
    let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let suite = suite_in(&release).context("/etc/os-release names no VERSION_CODENAME")?;
    let mirror =
        mirror_in(&targets, suite).with_context(|| format!("apt has no packages of {suite}"))?;
    Ok((mirror.to_owned(), suite.to_owned()))
}

fn suite_in(release: &str) -> Option<&str> {
    release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
}

/// The first site that has the distribution itself; its updates and others are further lines.
fn mirror_in<'a>(targets: &'a str, suite: &str) -> Option<&'a str> {
    targets.lines().find_map(|line| {
        let (address, release) = line.split_once(' ')?;
        (release == suite).then_some(address)
    })
}

/// What is mounted while the image is built: the toolchain, and the authorities that this machine trusts.
pub(super) fn volumes() -> Result<Vec<String>> {
    let toolchain = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let mut volumes = vec![format!("{}:{TOOLCHAIN}:ro", toolchain.trim())];
    if let Some(file) = std::env::var_os("SSL_CERT_FILE") {
        let file = file.to_string_lossy();
        volumes.push(format!("{file}:/etc/ssl/certs/ca-certificates.crt:ro"));
    }
    Ok(volumes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_of_the_distribution_is_found() {
        let targets = "http://a/debian bookworm-updates\nhttp://b/debian bookworm\nhttp://c/debian bookworm\n";
        assert_eq!(mirror_in(targets, "bookworm"), Some("http://b/debian"));
        assert_eq!(mirror_in(targets, "trixie"), None);
        assert_eq!(
            suite_in("ID=debian\nVERSION_CODENAME=bookworm\n"),
            Some("bookworm")
        );
    }
}
