//! What becomes of files that are over: a number at their end, or gzip.
//!
//! A file is first renamed to `NAME.N.rotating`, so that nobody adds to it, then compressed into `NAME.N.gz.tmp`,
//! synced, and renamed to `NAME.N.gz` (without the number when that is free); last, the renamed original is removed.
//! After a crash, `.rotating` beside its `.gz` only has to be removed, and alone it is compressed again.

mod gzip;
mod names;
mod shape;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sdk::{config::Zone, event::Time};

use crate::{
    Compress, Config,
    append::{Appender, Permissions, folder, sync_folder},
};
use names::Aside;
use shape::{Shape, Span};

/// Endings of names that have a meaning here.
pub(crate) const RESERVED_ENDINGS: [&str; 3] = [".gz", ".rotating", ".tmp"];

/// The rules of rotation.
#[derive(Debug)]
pub(crate) struct Rotation {
    compress: Compress,
    rotate_size: Option<u64>,
    base: String,
    shape: Shape,
    wait: Duration,
    zone: Zone,
    permissions: Permissions,
}

/// What a search found.
#[derive(Debug, Default)]
struct Found {
    /// Files whose time has passed.
    over: Vec<PathBuf>,
    /// Files that were set aside and are not compressed yet.
    aside: Vec<PathBuf>,
}

impl Rotation {
    pub(crate) fn new(config: &Config, base: &str, permissions: Permissions) -> Self {
        Self {
            compress: config.compress,
            rotate_size: config.rotate_size.map(|size| size.0),
            base: base.to_owned(),
            shape: Shape::new(&config.path),
            wait: config.timekey_wait.0,
            zone: config.timezone.clone(),
            permissions,
        }
    }

    /// No rotation at all.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            compress: Compress::Text,
            rotate_size: None,
            base: String::new(),
            shape: Shape::new("none"),
            wait: Duration::ZERO,
            zone: Zone::UTC,
            permissions: Permissions::default(),
        }
    }

    /// Whether files are compressed, so that there is something to look for.
    pub(crate) fn compresses(&self) -> bool {
        self.compress == Compress::Gzip
    }

    /// Whether a file of `len` bytes must make room for a new one before `more` bytes are added.
    pub(crate) fn is_full(&self, len: u64, more: usize) -> bool {
        len > 0
            && self
                .rotate_size
                .is_some_and(|limit| len.saturating_add(more as u64) > limit)
    }

    /// Gives the file at `path` another name. Nobody may be adding to it.
    pub(crate) fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let number = names::next_number(path, self.compress)?;
        let aside = match self.compress {
            Compress::Gzip => Aside::new(path, number).path(),
            Compress::Text => names::numbered(path, number),
        };
        fs::rename(path, &aside)?;
        sync_folder(folder(path))?;
        Ok(aside)
    }

    /// Sets aside what is over and compresses everything that was set aside, also before a restart. Ends early when
    /// `cancel` is set. One file that fails does not keep the others.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn sweep(
        &self,
        appender: &Appender,
        now: Time,
        cancel: &AtomicBool,
    ) -> io::Result<()> {
        let mut found = self.find(now)?;
        let mut result = Ok(());
        for path in found.over {
            match appender.while_quiet(&path, || self.set_aside(&path)) {
                Some(Ok(aside)) => found.aside.push(aside),
                Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                    result = result.and(Err(error));
                }
                // Moved away by somebody else, or still to be cut back.
                Some(Err(_)) | None => {}
            }
        }
        for path in found.aside {
            if cancel.load(Ordering::Relaxed) {
                break;
            }
            if let Some(aside) = Aside::parse(&path) {
                result = result.and(gzip::compress(&aside, self.permissions, cancel));
            }
        }
        result
    }

    fn find(&self, now: Time) -> io::Result<Found> {
        let mut found = Found::default();
        let names = self.shape.names(Span::Any);
        let current = self.shape.names(Span::At(now, self.zone.get()));
        let is_over = |path: &str, quiet: Duration| {
            self.shape.has_time()
                && names.is_match(path)
                && !current.is_match(path)
                && quiet >= self.wait
        };
        let depth_max = self.shape.depth_below(self.base.len());
        let mut folders = vec![(self.base.clone(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let listed = fs::read_dir(if folder.is_empty() { "." } else { &folder });
            let entries = match listed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                listed => listed?,
            };
            for entry in entries {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let (path, kind) = (format!("{folder}{name}"), entry.file_type()?);
                if kind.is_dir() && depth < depth_max {
                    folders.push((format!("{path}/"), depth + 1));
                } else if let (true, Some(aside)) = (kind.is_file(), Aside::parse(Path::new(&path)))
                {
                    if aside
                        .original()
                        .to_str()
                        .is_some_and(|original| names.is_match(original))
                    {
                        found.aside.push(path.into());
                    }
                } else if kind.is_file() && is_over(&path, quiet_for(&entry, now)) {
                    found.over.push(path.into());
                }
            }
        }
        Ok(found)
    }
}

/// How long nothing was added to a file.
fn quiet_for(entry: &fs::DirEntry, now: Time) -> Duration {
    let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.secs).unwrap_or_default());
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    let quiet = modified
        .ok()
        .and_then(|modified: SystemTime| now.duration_since(modified).ok());
    quiet.unwrap_or_default()
}
