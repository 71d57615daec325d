//! A container that podman runs. It goes with its value, whether it has ended or not.

use super::until;
use crate::{image, image::kernel, process};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs::File,
    process::{Child, Stdio},
};

pub(super) struct Running<'a> {
    store: &'a image::Store,
    name: String,
    /// The podman that waits for its end.
    child: Child,
}

impl<'a> Running<'a> {
    /// Runs a container with these words; what it writes goes to the log.
    pub(super) fn start(
        store: &'a image::Store,
        name: String,
        words: &[String],
        log: &File,
    ) -> Result<Self> {
        let mut run = store.run(&name);
        run.args(["--rm", "--log-driver=none"]).args(words);
        run.stdin(Stdio::null());
        run.stdout(log.try_clone()?).stderr(log.try_clone()?);
        let child = run.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { store, name, child })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An error when it has ended.
    pub(super) fn is_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended with {status}", self.name),
            None => Ok(()),
        }
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn wait(&mut self) -> Result<()> {
        let mut ended = None;
        until(&format!("{} has ended", self.name), || {
            ended = self.child.try_wait()?;
            Ok(ended.is_some())
        })?;
        let status = ended.context("no status")?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// Asks it to end with TERM, and ends it after a while.
    pub(super) fn stop(&mut self, grace_seconds: u64) -> Result<()> {
        self.is_running()?;
        let mut stop = self.store.podman();
        stop.args(["stop", "--time", &grace_seconds.to_string(), &self.name]);
        process::run(stop.stdout(Stdio::null()))?;
        self.wait()
    }

    /// An error unless the kernel says that it is this user, may do nothing and has this limit of memory.
    pub(super) fn is_confined(&self, user: &str, limit: Option<u64>) -> Result<()> {
        let mut inspect = self.store.podman();
        inspect.args(["inspect", "--format", "{{.State.Pid}}", &self.name]);
        let pid = process::output(&mut inspect)?;
        let pid = pid.trim();
        kernel::has_no_rights(pid, user).with_context(|| self.name.clone())?;
        if let Some(limit) = limit {
            let found = kernel::memory_limit(pid).with_context(|| self.name.clone())?;
            ensure!(
                found == limit,
                "{} may have {found} bytes of memory instead of {limit}",
                self.name
            );
        }
        Ok(())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut remove = self.store.podman();
        remove.args(["rm", "--force", "--ignore", "--time", "0", &self.name]);
        // What cannot be removed ends with the processes and mounts of the trial.
        drop(remove.stdout(Stdio::null()).status());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
