//! Where images and containers are kept: below `target/`, apart from those of the system.

use crate::{process, stamp};
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Images, what is mounted, and the caches of builds.
const FOLDERS: [&str; 3] = ["root", "run", "cache"];

/// Images and containers of this command alone.
pub(crate) struct Store {
    folder: PathBuf,
    /// Another store, whose images are there as well.
    images: Option<PathBuf>,
}

impl Store {
    pub(super) fn open(target: &Path) -> Result<Self> {
        Self::at(target.join("store"), None)
    }

    /// A store for containers in `folder`, with the images of this one.
    pub(crate) fn beside(&self, folder: PathBuf) -> Result<Self> {
        Self::at(folder, Some(self.folder.join("root")))
    }

    fn at(folder: PathBuf, images: Option<PathBuf>) -> Result<Self> {
        // Podman writes down where its store is and refuses one that was moved.
        stamp::ensure(&folder, &folder.display().to_string(), || {
            for folder in FOLDERS.map(|name| folder.join(name)) {
                if folder.exists() {
                    fs::remove_dir_all(&folder)
                        .with_context(|| format!("remove {}", folder.display()))?;
                }
                fs::create_dir_all(&folder)
                    .with_context(|| format!("make {}", folder.display()))?;
            }
            Ok(())
        })?;
        Ok(Self { folder, images })
    }

    /// `buildah` or `podman` on this store.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, name) in [("--root", "root"), ("--runroot", "run")] {
            command.arg(option).arg(self.folder.join(name));
        }
        command.args(["--storage-driver", "overlay"]);
        if let Some(images) = &self.images {
            command.arg("--storage-opt");
            command.arg(format!("overlay.imagestore={}", images.display()));
        }
        // Steps run without a container runtime, which needs more of a machine than is sure to be there.
        command.env("BUILDAH_ISOLATION", "chroot");
        // The caches that a Dockerfile mounts are kept there.
        command.env("TMPDIR", self.folder.join("cache"));
        command
    }

    /// `podman` for containers: with the runtime that bears control groups of both versions, and without a journal.
    pub(crate) fn podman(&self) -> Command {
        let mut command = self.command("podman");
        command.args(["--runtime", "runc", "--events-backend", "file"]);
        // It complains that nothing keeps the time of health checks; they are run by hand. Failures are told anyway.
        command.args(["--log-level", "fatal"]);
        command
    }

    /// `podman run` for a container with this name, with limits that every machine grants.
    pub(crate) fn run(&self, name: &str) -> Command {
        let mut command = self.podman();
        command.args(["run", "--pull", "never", "--name", name]);
        for limit in ["nofile=1024:1024", "nproc=1024:1024"] {
            command.args(["--ulimit", limit]);
        }
        command
    }

    pub(super) fn has(&self, image: &str) -> bool {
        let mut inspect = self.command("podman");
        inspect.args(["image", "exists", image]);
        inspect.status().is_ok_and(|status| status.success())
    }

    /// The size of an image in bytes.
    pub(super) fn size(&self, image: &str) -> Result<u64> {
        let mut inspect = self.command("podman");
        inspect.args(["image", "inspect", "--format", "{{.Size}}", image]);
        let text = process::output(&mut inspect)?;
        text.trim().parse().context("read the size of the image")
    }
}
