//! Building the targets: the compiler writes down which edges run, which is what libFuzzer is led by.

use crate::{packages, process};
use anyhow::{Context as _, Result};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What makes the compiler count edges and report comparisons. The flags are those of cargo-fuzz without
/// `AddressSanitizer`, which our code, being without `unsafe`, would only be slowed down by, and without
/// `--cfg fuzzing`, under which some libraries skip their checksums.
const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// Builds the targets. Returns the folder of the programs.
pub(super) fn build(root: &Path, targets: &[&str]) -> Result<PathBuf> {
    packages::ensure_program("c++", "g++")?;
    let version = process::output(Command::new("rustc").arg("-vV").current_dir(root))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("read the answer of rustc -vV")?;
    let mut command = process::cargo();
    command.args(["build", "--quiet", "--package", "fuzz"]);
    for target in targets {
        command.args(["--bin", target]);
    }
    command.args(["--features", "engine", "--profile", "fuzz"]);
    // A target that is named keeps the flags away from build scripts; a folder of its own keeps what else is built.
    command.args(["--target", host, "--target-dir", "target/fuzz"]);
    process::run(command.env("RUSTFLAGS", FLAGS).current_dir(root))?;
    Ok(root.join("target/fuzz").join(host).join("fuzz"))
}
