//! Taking a file away from a dead letter that may be in use, in order to replay it.
//!
//! The file is moved into `replaying` first, under the lock that a dead letter holds while it writes: so nothing is
//! appended to it any more, and what is refused meanwhile goes into another one. When everything has arrived it is
//! moved into `replayed`, or removed. A process that is killed in between leaves it in `replaying`, where the next
//! replay finds it.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    dead_letter::{DeadLetterError, failed},
    files::{Files, OpenFile},
};

/// Where files are while they are replayed, inside the directory of the dead letter.
pub(super) const REPLAYING: &str = "replaying";
/// Where they are afterwards.
const REPLAYED: &str = "replayed";
/// Locked in the directory of a dead letter while its files are written to or moved, and in `replaying` by a replay.
const LOCK: &str = "LOCK";
/// How long the other side may take to write or to move.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// A file that is being replayed by this process, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    files: Files,
    /// Keeps other replays away.
    _lock: OpenFile,
    /// Where the file is now.
    path: PathBuf,
    /// The directory of the dead letter.
    dir: PathBuf,
}

/// Takes the lock of a dead letter. Blocking.
///
/// # Errors
/// [`DeadLetterError::Io`], also when somebody does not let go of it.
pub(super) fn lock(files: &Files, dir: &Path) -> Result<OpenFile, DeadLetterError> {
    let path = dir.join(LOCK);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match files.try_lock(&path) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Ok(None) => return Err(failed("lock", &path)(ErrorKind::TimedOut.into())),
            Err(error) => return Err(failed("lock", &path)(error)),
        }
    }
}

impl Claim {
    /// Takes a file of a dead letter. `None` when another replay is under way, or the file is gone. Blocking.
    ///
    /// # Errors
    /// [`DeadLetterError::Io`].
    pub fn take(path: &Path) -> Result<Option<Self>, DeadLetterError> {
        let files = Files::system();
        let parent = folder_of(path);
        let is_taken = parent.file_name().is_some_and(|name| name == REPLAYING);
        let dir = if is_taken { folder_of(parent) } else { parent };
        let replaying = dir.join(REPLAYING);
        files
            .make_dir(&replaying)
            .map_err(failed("make directory", &replaying))?;
        let own = replaying.join(LOCK);
        let Some(own) = files.try_lock(&own).map_err(failed("lock", &own))? else {
            return Ok(None);
        };
        let path = if is_taken {
            path.to_owned()
        } else {
            // Where there is none, no dead letter has written anything.
            let has_lock = files.len(&dir.join(LOCK)).is_some();
            let _lock = has_lock.then(|| lock(&files, dir)).transpose()?;
            if files.len(path).is_none() {
                return Ok(None);
            }
            move_into(&files, &replaying, path)?
        };
        Ok(files.len(&path).is_some().then(|| Self {
            files,
            _lock: own,
            path,
            dir: dir.to_owned(),
        }))
    }

    /// Where the file is now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything in it has arrived: it is kept beside the others, or removed. Returns where it is.
    ///
    /// # Errors
    /// [`DeadLetterError::Io`].
    pub fn finish(self, remove: bool) -> Result<Option<PathBuf>, DeadLetterError> {
        if remove {
            self.files
                .remove(&self.path)
                .map_err(failed("remove", &self.path))?;
            return Ok(None);
        }
        let replayed = self.dir.join(REPLAYED);
        self.files
            .make_dir(&replayed)
            .map_err(failed("make directory", &replayed))?;
        move_into(&self.files, &replayed, &self.path).map(Some)
    }
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Moves a file into a directory, under its own name or one behind it that is free. Returns where it is.
fn move_into(files: &Files, dir: &Path, path: &Path) -> Result<PathBuf, DeadLetterError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, ending) = name.split_once('.').unwrap_or((&name, "ndjson"));
    let mut target = dir.join(&*name);
    // Numbers begin anew when all files have been taken away.
    let mut number = 1_u32;
    while files.len(&target).is_some() {
        number += 1;
        target = dir.join(format!("{stem}-{number}.{ending}"));
    }
    files.rename(path, &target).map_err(failed("move", path))?;
    for changed in [dir, folder_of(path)] {
        files.sync_dir(changed).map_err(failed("sync", changed))?;
    }
    Ok(target)
}
