//! Compressing a file that was set aside, so that a crash at any moment loses nothing.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use flate2::{Compression, write::GzEncoder};

use super::names::{Aside, with};
use crate::append::{Permissions, folder, sync_folder};

/// Bytes between two looks at `cancel`.
const STEP_BYTES: usize = 64 * 1024;

/// Compresses a file and removes the original. Does nothing more when `cancel` is set.
///
/// # Errors
/// What the system says; the original is still there then.
pub(crate) fn compress(
    aside: &Aside,
    permissions: Permissions,
    cancel: &AtomicBool,
) -> io::Result<()> {
    let (from, archive) = (aside.path(), aside.archive());
    // The archive gets its name only when it is whole, so one that is there is from before a crash.
    if !archive.try_exists()? {
        let unfinished = with(&archive, ".tmp");
        if !write(&from, &unfinished, permissions, cancel)? {
            return fs::remove_file(&unfinished);
        }
        fs::rename(&unfinished, &archive)?;
        sync_folder(folder(&archive))?;
    }
    fs::remove_file(&from)
}

/// Writes and syncs the compressed file; `false` when it was cancelled.
fn write(
    from: &Path,
    to: &Path,
    permissions: Permissions,
    cancel: &AtomicBool,
) -> io::Result<bool> {
    let mut original = File::open(from)?;
    let metadata = original.metadata()?;
    let mode = permissions
        .file
        .unwrap_or_else(|| metadata.permissions().mode() & 0o7777);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(to)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    let mut step = vec![0; STEP_BYTES];
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match original.read(&mut step)? {
            0 => break,
            len => encoder.write_all(step.get(..len).unwrap_or_default())?,
        }
    }
    let file = encoder.finish()?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.set_modified(metadata.modified()?)?;
    file.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use flate2::read::MultiGzDecoder;

    use super::*;

    fn unpacked(path: &Path) -> String {
        let mut text = String::new();
        MultiGzDecoder::new(File::open(path).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn a_crash_at_any_moment_loses_nothing_and_doubles_nothing() {
        let go = AtomicBool::new(false);
        let lines = "line\n".repeat(50_000);
        // How far the process came before the crash: (unfinished archive, whole archive).
        for (unfinished, whole) in [(false, false), (true, false), (false, true)] {
            let folder = tempfile::tempdir().unwrap();
            let aside = Aside::new(&folder.path().join("a.log"), 2);
            fs::write(aside.path(), &lines).unwrap();
            if whole {
                compress(&aside, Permissions::default(), &go).unwrap();
                fs::write(aside.path(), &lines).unwrap();
            }
            if unfinished {
                fs::write(with(&aside.archive(), ".tmp"), "half of").unwrap();
            }
            compress(&aside, Permissions::default(), &go).unwrap();
            let names: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert_eq!(names, ["a.log.2.gz"]);
            assert_eq!(unpacked(&aside.archive()), lines);
        }
    }

    #[test]
    fn a_cancelled_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let aside = Aside::new(&folder.path().join("a.log"), 0);
        fs::write(aside.path(), "x\n").unwrap();
        compress(&aside, Permissions::default(), &AtomicBool::new(true)).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["a.log.0.rotating"]);
    }
}
