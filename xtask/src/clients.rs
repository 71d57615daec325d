//! `cargo xtask clients`: the real programs that the tests speak to: fluent loggers in pinned versions, the Docker engine,
//! and the servers of the folder beside this file.
//!
//! The programs around them are in `tests/clients`; its README says how they are called.

mod kubernetes;
mod nginx;
mod postgres;
mod rsyslog;

use crate::{packages, process, python, stamp, tree};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path, process::Command};

/// What pins the versions of the Node loggers.
const NODE_FILES: [&str; 2] = ["package.json", "package-lock.json"];
/// A Maven plugin that copies the dependencies of a project.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
/// The engine in the version of the system's Debian, and a program that runs in a container without anything else.
const DOCKER: [&str; 4] = ["docker.io", "containerd", "runc", "busybox-static"];
/// Libraries that the programs of `DOCKER` load.
const DOCKER_LIBRARIES: [&str; 3] = ["libdevmapper1.02.1", "libsystemd0", "libseccomp2"];

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
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
    java(&sources.join("java"), &target.join("java")).context("the Java logger")?;
    docker(&target.join("docker")).context("the Docker engine")?;
    kubernetes::ensure(&target.join("kubernetes")).context("the Kubernetes API server")?;
    nginx::ensure(&target.join("nginx")).context("nginx")?;
    postgres::ensure(&target.join("postgres")).context("PostgreSQL")?;
    rsyslog::ensure(&target.join("rsyslog")).context("rsyslog")?;
    println!(
        "the loggers for Python, Node, Go and Java, and the servers they are tested with, are in target/clients"
    );
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

/// Copies what the project file names, and compiles the sender against it.
fn java(sources: &Path, target: &Path) -> Result<()> {
    packages::ensure_program("mvn", "maven")?;
    packages::ensure_program("javac", "openjdk-17-jdk-headless")?;
    let (project, sender) = (sources.join("pom.xml"), sources.join("Send.java"));
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let made_from = read(&project)? + &read(&sender)?;
    stamp::ensure(target, &made_from, || {
        let libraries = target.join("lib");
        // Those of an older version would be found first, or last.
        if libraries.exists() {
            fs::remove_dir_all(&libraries)?;
        }
        let mut copy = Command::new("mvn");
        copy.args(["-q", "-B", COPY, "-f"]).arg(&project);
        copy.arg(format!("-DoutputDirectory={}", libraries.display()));
        process::quiet(&mut copy)?;
        let mut compile = Command::new("javac");
        compile.arg("-cp").arg(libraries.join("*"));
        compile.arg("-d").arg(target.join("classes"));
        process::run(compile.arg(&sender))
    })
}

/// Unpacks the engine. An engine that is installed would start at once, and change the network of the machine.
fn docker(target: &Path) -> Result<()> {
    packages::ensure(&DOCKER_LIBRARIES)?;
    stamp::ensure(target, &DOCKER.join(" "), || {
        packages::unpack(&DOCKER, target)
    })
}
