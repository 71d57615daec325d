//! The ballast: room on the volume that is given up, step by step, for what must be written when there is none.

use std::path::{Path, PathBuf};

use sdk::metrics::Gauge;

use super::files::{self, Files};

const FILE_NAME: &str = "ballast";
/// In how many steps it is given up: somebody else may take what a step gives free before it is used.
const STEPS: u64 = 16;

/// The ballast of a disk buffer.
#[derive(Debug)]
pub(super) struct Ballast {
    files: Files,
    path: PathBuf,
    /// Bytes of it when it is whole; 0 where there is none.
    len: u64,
    /// Bytes that are left of it.
    held: u64,
    gauge: Gauge,
}

impl Ballast {
    /// What an earlier process left of it, in a buffer that should have `len` bytes. It is not made yet.
    pub(super) fn find(files: &Files, dir: &Path, len: u64, gauge: Gauge) -> Self {
        let path = dir.join(FILE_NAME);
        let found = files.len(&path).unwrap_or(0);
        let ballast = Self {
            files: files.clone(),
            path,
            len,
            held: found.min(len),
            gauge,
        };
        if found > len {
            ballast.cut();
        }
        ballast.publish();
        ballast
    }

    /// Whether it is whole, if there is one.
    pub(super) fn is_whole(&self) -> bool {
        self.held >= self.len
    }

    /// Bytes that are missing from it.
    pub(super) fn missing(&self) -> u64 {
        self.len.saturating_sub(self.held)
    }

    /// Gives up a part of it. `false` when nothing is left.
    pub(super) fn release(&mut self) -> bool {
        if self.held == 0 {
            return false;
        }
        self.held -= (self.len / STEPS).clamp(1, self.held);
        self.cut();
        self.publish();
        true
    }

    /// Makes it whole, if there is room for that.
    pub(super) fn restore(&mut self) {
        let made = self.files.open_append(&self.path);
        match made.and_then(|file| file.allocate(self.len)) {
            Ok(()) => self.held = self.len,
            Err(error) if files::is_full(&error) => self.cut(),
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "the ballast cannot be made; going without");
                (self.len, self.held) = (0, 0);
                self.cut();
            }
        }
        self.publish();
    }

    /// Gives the file the length that it should have.
    fn cut(&self) {
        let result = match self.held {
            0 => self.files.remove(&self.path),
            held => self
                .files
                .open_append(&self.path)
                .and_then(|file| file.cut(held)),
        };
        if let Err(error) = result {
            tracing::error!(path = %self.path.display(), %error, "the ballast cannot be given up");
        }
    }

    fn publish(&self) {
        self.gauge.set(i64::try_from(self.held).unwrap_or(i64::MAX));
    }
}
