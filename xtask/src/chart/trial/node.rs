//! A node of a cluster, as far as an agent sees it: log files of pods, as containerd writes them.

use super::PERSONAL;
use anyhow::{Context as _, Result};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    ops::Range,
    path::{Path, PathBuf},
};

/// Namespace, pod, and its id.
const POD: &str = "shop_web-0_0d2e7a9c-7a55-4a44-8f0e-2f1e7f8a9b10";
const CONTAINER: &str = "app";
/// An aggregator of ours on the same node, whose log must not be read.
const OWN: &str = "logging_weir-0_1d2e7a9c-7a55-4a44-8f0e-2f1e7f8a9b10";

/// Folders of a node.
pub(super) struct Node {
    root: PathBuf,
    token: String,
}

impl Node {
    pub(super) fn new(root: &Path, token: &str) -> Self {
        Self {
            root: root.to_owned(),
            token: token.to_owned(),
        }
    }

    /// Where a path of the node is here.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn log(&self, pod: &str, container: &str) -> PathBuf {
        self.path("/var/log/pods")
            .join(pod)
            .join(container)
            .join("0.log")
    }

    /// A container writes these lines, and an aggregator writes about them.
    pub(super) fn write(&self, lines: Range<u64>) -> Result<()> {
        for (pod, container) in [(POD, CONTAINER), (OWN, "weir")] {
            let path = self.log(pod, container);
            let mut text = String::new();
            for line in lines.clone() {
                let (seconds, nanos) = (line / 1000 % 60, line % 1000 * 1_000_000);
                let (token, stream) =
                    (&self.token, if line % 2 == 0 { "stdout" } else { "stderr" });
                writeln!(
                    text,
                    "2026-01-02T03:04:{seconds:02}.{nanos:09}Z {stream} F line {line} of {token} from {PERSONAL}"
                )?;
            }
            let folder = path.parent().context("a log without a folder")?;
            fs::create_dir_all(folder)?;
            let mut file = File::options().append(true).create(true).open(&path)?;
            file.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// The kubelet moves the log away; the container goes on in a new one.
    pub(super) fn rotate(&self) -> Result<()> {
        let path = self.log(POD, CONTAINER);
        let old = path.with_file_name("0.log.20260102-030500");
        fs::rename(&path, old)?;
        File::create(&path)?;
        Ok(())
    }
}
