//! Adding to files so that a try that fails leaves them as they were.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::rotate::Rotation;

/// Locks, shared by all files: two files may have the same one.
const LOCKS: usize = 16;

/// Permissions of what is made, where they were configured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Permissions {
    pub(crate) file: Option<u32>,
    pub(crate) dir: Option<u32>,
}

/// Files that still have to be cut back, and to what length.
type Uncut = HashMap<PathBuf, u64>;

/// Adds to files. A file is open only while it is written, so other programs may move it away at any time.
#[derive(Debug)]
pub(crate) struct Appender {
    sync: bool,
    permissions: Permissions,
    locks: [Mutex<Uncut>; LOCKS],
}

impl Appender {
    pub(crate) fn new(sync: bool, permissions: Permissions) -> Self {
        Self {
            sync,
            permissions,
            locks: Default::default(),
        }
    }

    /// Adds `text`, whole lines, to the file at `path`, which is made when it is not there. Returns whether a file
    /// was set aside before, to be compressed.
    ///
    /// # Errors
    /// What the system says; the file is then as it was, or will be before anything else is added to it.
    pub(crate) fn append(&self, path: &Path, text: &[u8], rotation: &Rotation) -> io::Result<bool> {
        let mut uncut = self.lock(path);
        let mut file = self.open(path)?;
        if let Some(len) = uncut.get(path) {
            if file.metadata()?.len() > *len {
                file.set_len(*len)?;
            }
            uncut.remove(path);
        }
        let is_full = rotation.is_full(file.metadata()?.len(), text.len());
        if is_full {
            drop(file);
            rotation.set_aside(path)?;
            file = self.open(path)?;
        }
        match extend(&mut file, text, self.sync) {
            Ok(()) => Ok(is_full),
            Err(Failed { error, cut_to }) => {
                uncut.extend(cut_to.map(|len| (path.to_owned(), len)));
                Err(error)
            }
        }
    }

    /// Does something with a file while nobody adds to it; `None` when it still has to be cut back.
    pub(crate) fn while_quiet<T>(&self, path: &Path, act: impl FnOnce() -> T) -> Option<T> {
        let uncut = self.lock(path);
        (!uncut.contains_key(path)).then(act)
    }

    fn lock(&self, path: &Path) -> MutexGuard<'_, Uncut> {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default();
        let [first, ..] = &self.locks;
        self.locks
            .get(index)
            .unwrap_or(first)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        self.make_folders(folder(path))?;
        let file = options
            .create(true)
            .mode(self.permissions.file.unwrap_or(0o644))
            .open(path)?;
        if let Some(mode) = self.permissions.file {
            // The mode above is cut down by the process's mask; what was asked for is meant exactly.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        self.sync_folder(folder(path))?;
        Ok(file)
    }

    fn make_folders(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        for missing in missing.into_iter().rev() {
            match DirBuilder::new()
                .mode(self.permissions.dir.unwrap_or(0o755))
                .create(missing)
            {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            if let Some(mode) = self.permissions.dir {
                fs::set_permissions(missing, fs::Permissions::from_mode(mode))?;
            }
            self.sync_folder(folder(missing))?;
        }
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.sync { sync_folder(path) } else { Ok(()) }
    }
}

/// The folder of a file; `.` where the path names none.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// What adding needs of a file.
trait Target {
    fn len(&self) -> io::Result<u64>;
    fn ends_a_line(&self, len: u64) -> io::Result<bool>;
    fn write(&mut self, text: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

impl Target for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn ends_a_line(&self, len: u64) -> io::Result<bool> {
        let Some(last) = len.checked_sub(1) else {
            return Ok(true);
        };
        let mut byte = [0];
        self.read_exact_at(&mut byte, last)?;
        Ok(byte == *b"\n")
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.write_all(text)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Why nothing was added.
#[derive(Debug)]
struct Failed {
    error: io::Error,
    /// The length that the file should have, when it could not be cut back to it.
    cut_to: Option<u64>,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self {
            error,
            cut_to: None,
        }
    }
}

/// Adds whole lines, or nothing. A file that ends within a line, as after a loss of power, gets its line ended first.
fn extend(file: &mut impl Target, text: &[u8], sync: bool) -> Result<(), Failed> {
    let before = file.len()?;
    let whole = file.ends_a_line(before)?;
    let mut add = || {
        if !whole {
            file.write(b"\n")?;
        }
        file.write(text)?;
        if sync { file.sync() } else { Ok(()) }
    };
    let Err(error) = add() else { return Ok(()) };
    let cut_to = file.cut(before).err().map(|_| before);
    Err(Failed { error, cut_to })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file on a disk of limited size.
    #[derive(Debug)]
    struct Disk {
        data: Vec<u8>,
        size: usize,
        sync_fails: bool,
        cut_fails: bool,
    }

    impl Target for Disk {
        fn len(&self) -> io::Result<u64> {
            Ok(self.data.len() as u64)
        }
        fn ends_a_line(&self, _: u64) -> io::Result<bool> {
            Ok(self.data.last().is_none_or(|byte| *byte == b'\n'))
        }
        fn write(&mut self, text: &[u8]) -> io::Result<()> {
            let room = self.size.saturating_sub(self.data.len()).min(text.len());
            self.data.extend_from_slice(&text[..room]);
            if room == text.len() {
                Ok(())
            } else {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        fn sync(&mut self) -> io::Result<()> {
            if self.sync_fails {
                Err(io::Error::other("EIO"))
            } else {
                Ok(())
            }
        }
        fn cut(&mut self, len: u64) -> io::Result<()> {
            if self.cut_fails {
                return Err(io::Error::other("EIO"));
            }
            self.data.truncate(usize::try_from(len).unwrap());
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn all_or_nothing_is_added(
            before in "([a-z]{0,5}\n){0,3}[a-z]{0,3}",
            text in "([a-z]{1,5}\n){1,4}",
            size in 0_usize..60,
            sync in any::<bool>(),
            sync_fails in any::<bool>(),
            cut_fails in any::<bool>(),
        ) {
            let size = size.max(before.len());
            let mut disk = Disk { data: before.clone().into_bytes(), size, sync_fails, cut_fails };
            let newline = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
            let whole = format!("{before}{newline}{text}");
            let works = whole.len() <= size && !(sync && sync_fails);
            match extend(&mut disk, text.as_bytes(), sync) {
                Ok(()) => {
                    prop_assert!(works);
                    prop_assert_eq!(disk.data, whole.into_bytes());
                }
                Err(failed) => {
                    prop_assert!(!works);
                    prop_assert_eq!(failed.cut_to, cut_fails.then_some(before.len() as u64));
                    if !cut_fails {
                        prop_assert_eq!(disk.data, before.into_bytes());
                    }
                }
            }
        }
    }

    #[test]
    fn a_file_that_could_not_be_cut_back_is_cut_before_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "one\nhal").unwrap();
        let appender = Appender::new(true, Permissions::default());
        appender.lock(&path).insert(path.clone(), 4);
        assert_eq!(appender.while_quiet(&path, || ()), None);
        assert!(!appender.append(&path, b"two\n", &Rotation::none()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(appender.while_quiet(&path, || ()), Some(()));
    }
}
