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
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn open(target: &Path) -> Result<Self> {
        let folder = target.join("store");
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
        Ok(Self { folder })
    }

    /// `buildah` or `podman` on this store.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, name) in [("--root", "root"), ("--runroot", "run")] {
            command.arg(option).arg(self.folder.join(name));
        }
        command.args(["--storage-driver", "overlay"]);
        // Steps run without a container runtime, which needs more of a machine than is sure to be there.
        command.env("BUILDAH_ISOLATION", "chroot");
        // The caches that a Dockerfile mounts are kept there.
        command.env("TMPDIR", self.folder.join("cache"));
        command
    }

    /// `podman` for containers: with the runtime that bears control groups of both versions, and without a journal.
    pub(super) fn podman(&self) -> Command {
        let mut command = self.command("podman");
        command.args(["--runtime", "runc", "--events-backend", "file"]);
        // It complains that nothing keeps the time of health checks; they are run by hand. Failures are told anyway.
        command.args(["--log-level", "fatal"]);
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
