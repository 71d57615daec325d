//! `cargo xtask clients`: the real fluent loggers that the tests send with, in pinned versions.
//!
//! The programs around them are in `tests/clients`; its README says how they are called.

use crate::{packages, process, python, stamp, tree};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path, process::Command};

/// What pins the versions of the Node loggers.
const NODE_FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Runs the command.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask clients");
    }
    ensure()
}

/// Makes sure that everything is in place for the tests; cheap when it already is.
pub(crate) fn ensure() -> Result<()> {
    let root = tree::root()?;
    let (sources, target) = (root.join("tests/clients"), root.join("target/clients"));
    let requirements = fs::read_to_string(sources.join("python/requirements.txt"))
        .context("read the versions of the Python logger")?;
    python::ensure(&target.join("python"), &requirements).context("the Python logger")?;
    node(&sources.join("node"), &target.join("node")).context("the Node loggers")?;
    go(&sources.join("go"), &target.join("go")).context("the Go logger")?;
    println!("the loggers for Python, Node and Go are in target/clients");
    Ok(())
}

/// Installs what the lock file names, no more and no less.
fn node(sources: &Path, target: &Path) -> Result<()> {
    packages::ensure_program("npm", "npm")?;
    let mut pinned = Vec::new();
    for name in NODE_FILES {
        let path = sources.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        pinned.push((name, text));
    }
    let all: String = pinned.iter().map(|(_, text)| text.as_str()).collect();
    stamp::ensure(target, &all, || {
        for (name, text) in &pinned {
            fs::write(target.join(name), text)?;
        }
        let mut install = Command::new("npm");
        install.args(["ci", "--silent", "--no-audit", "--no-fund"]);
        process::run(install.current_dir(target))
    })
}

/// Builds the sender. Go itself knows when there is nothing to do.
fn go(sources: &Path, target: &Path) -> Result<()> {
    packages::ensure_program("go", "golang-go")?;
    let mut build = Command::new("go");
    build.args(["build", "-mod=readonly", "-o"]);
    build.arg(target.join("send")).arg(".");
    process::run(build.current_dir(sources))
}
