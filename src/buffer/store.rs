//! The file system as the buffer sees it: a trait shaped like system calls, so that tests can put another in its place.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, IoSlice, Write},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::FallocateFlags;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Mode {
    /// For reading.
    Read,
    /// For reading and appending; there must be no such file yet.
    CreateNew,
    /// For appending; made when it is missing.
    Append,
    /// As [`Mode::Append`], and locked until it is closed; `WouldBlock` when somebody else has the lock.
    Lock,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) is_dir: bool,
    /// Length in bytes.
    pub(super) len: u64,
    /// When it was made, in seconds since 1970; when it was last written where the file system does not know.
    pub(super) begun_secs: Option<u64>,
}

/// What is known of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Volume {
    /// Bytes that this process may still write to it.
    pub(super) free: u64,
    /// Bytes in all.
    pub(super) total: u64,
}

/// A file system. Each method is one system call, or as good as one.
pub(super) trait Store: fmt::Debug + Send + Sync {
    /// `open`
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn Handle>>;
    /// `mkdir`
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// `fsync` of a directory: names that were made, moved or removed in it are durable afterwards.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// `rename`
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// `unlink`
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// `stat`
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// What is known of the volume.
    fn volume(&self, path: &Path) -> io::Result<Volume>;
    /// How long a pause before another try lasts here. A simulation need not wait for anything to pass.
    fn lasts(&self, pause: Duration) -> Duration {
        pause
    }
}

/// An open file.
pub(super) trait Handle: fmt::Debug + Send + Sync {
    /// `pread`
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// `writev`, always at the end of the file.
    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// `fallocate`: gives the file so many bytes, without a content.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// `fdatasync`
    fn sync_data(&self) -> io::Result<()>;
    /// `ftruncate`
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
}

/// The file system of this machine.
#[derive(Debug)]
pub(super) struct System;

impl Store for System {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn Handle>> {
        let mut options = OpenOptions::new();
        match mode {
            Mode::Read => options.read(true),
            Mode::CreateNew => options.read(true).append(true).create_new(true),
            Mode::Append | Mode::Lock => options.append(true).create(true),
        };
        let file = options.open(path)?;
        if mode == Mode::Lock {
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
                TryLockError::Error(error) => error,
            })?;
        }
        Ok(Box::new(file))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        fs::read_dir(path)?.map(name).collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = fs::metadata(path)?;
        let begun = metadata.created().or_else(|_| metadata.modified());
        let since = |begun: SystemTime| begun.duration_since(UNIX_EPOCH).ok();
        Ok(Stat {
            is_dir: metadata.is_dir(),
            len: metadata.len(),
            begun_secs: begun.ok().and_then(since).map(|since| since.as_secs()),
        })
    }

    fn volume(&self, path: &Path) -> io::Result<Volume> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Volume {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

impl Handle for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Write::write_vectored(&mut &*self, slices)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(
            self,
            FallocateFlags::empty(),
            0,
            len,
        )?)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
}
