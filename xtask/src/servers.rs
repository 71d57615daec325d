//! `cargo xtask servers`: real Elasticsearch and OpenSearch, downloaded once and started once.

mod account;
mod guard;
mod install;
mod java;
mod list;
mod process;
mod start;
mod state;

pub(crate) use self::list::Set;

use self::{
    list::{Java, SERVERS, Server},
    state::State,
};
use crate::tree;
use anyhow::{Context as _, Result, bail};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

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
        [] => ensure(Set::Daily),
        ["--campaign"] => ensure(Set::Campaign),
        ["--stop"] => stop_others(&[]),
        _ => bail!("usage: cargo xtask servers [--campaign | --stop]"),
    }
}

/// Makes sure that every server of a set runs and is healthy; one that already is stays as it is.
pub(crate) fn ensure(set: Set) -> Result<()> {
    let places = Places::find()?;
    let _lock = places.lock()?;
    let mut state = State::load(&places.target)?;
    let down: Vec<&Server> = SERVERS
        .iter()
        .filter(|server| server.set == set && !state.has_healthy(server))
        .collect();
    for server in &down {
        install::ensure(server, &places)?;
        state.stop(server.name)?;
    }
    // All at once: a start is mostly waiting. What was started is written down before it is waited for, so that
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
        java::ensure(java, &self.home)
    }
}

/// Makes a folder, with those above it.
fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}
