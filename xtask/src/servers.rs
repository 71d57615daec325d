//! `cargo xtask servers`: the real Elasticsearch and OpenSearch, downloaded once and started once.

mod account;
mod install;
mod process;
mod start;
mod state;

use self::state::State;
use crate::tree;
use anyhow::{Context as _, Result, bail};
use std::{
    fs::{self, File},
    ops::Range,
    path::{Path, PathBuf},
};

/// A server that the tests need.
#[derive(Debug)]
struct Server {
    /// Its name in the state file, and the name of its folders.
    name: &'static str,
    version: &'static str,
    /// Group and artifact of the distribution in the Maven registry.
    coordinates: &'static str,
    /// Its start script, below the unpacked distribution.
    program: &'static str,
    /// What its environment variables begin with.
    prefix: &'static str,
    java: Java,
    /// Ports to choose from: below those that the system hands out, so that no test takes one while a server is away.
    ports: Range<u16>,
    /// Settings besides those that all share.
    settings: &'static [&'static str],
}

/// The Java that runs a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Java {
    /// The one of the machine, version 17.
    Machine,
    /// Version 25, from a Python package.
    Packaged,
}

/// Both take plain HTTP without credentials. Elasticsearch has a long-term release line that runs on Java 17;
/// OpenSearch 3 needs a newer one.
const SERVERS: &[Server] = &[
    Server {
        name: "elasticsearch",
        version: "8.19.21",
        coordinates: "org.elasticsearch.distribution.integ-test-zip:elasticsearch",
        program: "bin/elasticsearch",
        prefix: "ES",
        java: Java::Machine,
        ports: 29200..29220,
        settings: &["xpack.security.enabled=false"],
    },
    Server {
        name: "opensearch",
        version: "3.8.0",
        coordinates: "org.opensearch.distribution.integ-test-zip:opensearch",
        program: "bin/opensearch",
        prefix: "OPENSEARCH",
        java: Java::Packaged,
        ports: 29220..29240,
        settings: &[],
    },
];

/// Where things stand.
#[derive(Debug)]
struct Places {
    /// Downloads, the state file and the lock.
    target: PathBuf,
    /// What the account of the servers must reach: unpacked distributions and running nodes.
    home: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    match args {
        [] => ensure(),
        ["--stop"] => stop_others(&[]),
        _ => bail!("usage: cargo xtask servers [--stop]"),
    }
}

/// Makes sure that every server runs and is healthy; one that already is stays as it is.
pub(crate) fn ensure() -> Result<()> {
    let places = Places::find()?;
    let _lock = places.lock()?;
    let mut state = State::load(&places.target)?;
    let down: Vec<&Server> = SERVERS
        .iter()
        .filter(|server| !state.has_healthy(server))
        .collect();
    for server in &down {
        install::ensure(server, &places)?;
        state.stop(server.name)?;
    }
    // Both at once: a start is mostly waiting. What was started is written down before it is waited for, so that
    // `--stop` finds it after a failure, too.
    for server in &down {
        state.started(server.name, start::start(server, &places)?);
        state.save(&places.target)?;
    }
    for server in &down {
        start::wait_until_healthy(server, &state, &places)?;
    }
    for (name, entry) in state.entries() {
        println!("{name} {} at {}", entry.version, entry.url);
    }
    Ok(())
}

/// The names of the servers that run.
pub(crate) fn running() -> Result<Vec<String>> {
    let state = State::load(&Places::find()?.target)?;
    Ok(state
        .entries()
        .filter(|(_, entry)| entry.process.is_alive())
        .map(|(name, _)| name.to_owned())
        .collect())
}

/// Ends the servers that this command started, but for those named.
pub(crate) fn stop_others(keep: &[String]) -> Result<()> {
    let places = Places::find()?;
    let _lock = places.lock()?;
    let mut state = State::load(&places.target)?;
    let names: Vec<String> = state.entries().map(|(name, _)| name.to_owned()).collect();
    for name in names.iter().filter(|name| !keep.contains(name)) {
        println!("stopping {name}");
        state.stop(name)?;
        state.save(&places.target)?;
    }
    Ok(())
}

impl Places {
    fn find() -> Result<Self> {
        let target = tree::root()?.join("target/servers");
        fs::create_dir_all(&target).with_context(|| format!("make {}", target.display()))?;
        let home = account::reachable_home(&target)?;
        Ok(Self { target, home })
    }

    /// One command at a time installs, starts or stops. The lock ends with the file.
    fn lock(&self) -> Result<File> {
        let file =
            File::create(self.target.join("lock")).context("open the lock of the servers")?;
        file.lock().context("wait for the lock of the servers")?;
        Ok(file)
    }

    /// The unpacked distribution of a server.
    fn distribution(&self, server: &Server) -> PathBuf {
        self.home
            .join(format!("{}-{}", server.name, server.version))
    }

    /// Configuration, data and logs of the running node.
    fn node(&self, server: &Server) -> PathBuf {
        self.home.join("run").join(server.name)
    }

    fn java(&self, java: Java) -> Result<PathBuf> {
        match java {
            Java::Machine => install::machine_java(),
            Java::Packaged => Ok(install::packaged_java(&self.home)),
        }
    }
}

/// Makes a folder, with those above it.
fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}
