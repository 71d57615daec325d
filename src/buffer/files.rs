//! Every operation on the file system that the buffer needs. Tests put faults in here.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, IoSlice, Read as _, Seek as _, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{error::BufferError, segment};

/// Makes a directory with its parents, and makes that durable.
pub(super) fn make_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Makes changes of names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Takes the lock of a directory; it is held as long as the file is open, also over `kill -9` of another process.
pub(super) fn lock(dir: &Path) -> Result<File, BufferError> {
    let path = dir.join("LOCK");
    let fail = |what| BufferError::io(what, path.clone());
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(fail("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // What it says is for people only; an unreadable file is no worse than an empty one.
            drop(file.take(256).read_to_string(&mut holder));
            let holder = if holder.trim().is_empty() {
                "another process"
            } else {
                holder.trim()
            };
            return Err(BufferError::InUse {
                path: dir.to_owned(),
                holder: holder.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(fail("lock")(source)),
    }
    file.set_len(0).map_err(fail("write"))?;
    file.rewind().map_err(fail("write"))?;
    writeln!(file, "process {}", std::process::id()).map_err(fail("write"))?;
    Ok(file)
}

/// The segments of a directory, oldest first.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(entry?.file_name().to_str().and_then(segment::parse_name));
    }
    found.sort_unstable();
    Ok(found)
}

/// Where the segment that begins with this sequence lies.
pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(segment::file_name(first))
}

/// Makes a file that must not exist yet, for reading and writing.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

/// Opens a file for reading; its length comes along.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// Opens a file for appending, made when it is missing.
pub(super) fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The whole of a small file; at most `max` bytes of it.
pub(super) fn read_small(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads `len` bytes at `offset`. `None` when the file ends before.
pub(super) fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; len];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes all slices at the end of a file, with as few calls as there can be.
pub(super) fn write_all(mut file: &File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    #[cfg(test)]
    super::tests::faults::before_write(file, slices)?;
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes what was written to a file durable, and its length.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    #[cfg(test)]
    super::tests::faults::before_sync(file)?;
    file.sync_data()
}

/// Cuts a file at `len` and goes on writing there.
pub(super) fn cut(mut file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.seek(io::SeekFrom::Start(len)).map(drop)
}

/// Replaces a file as a whole: afterwards it has either the old or the new content.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes a file; that it is gone already is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Moves a file.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Sum of the lengths of the files right in a directory.
pub(super) fn dir_bytes(path: &Path) -> io::Result<u64> {
    fs::read_dir(path)?.try_fold(0, |sum, entry| Ok(sum + entry?.metadata()?.len()))
}

/// The length of a file; `None` when there is none.
pub(super) fn len(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// Names of the files right in a directory.
pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    fs::read_dir(path)?.map(name).collect()
}

/// Bytes that this process may still write to the volume; `None` when the system does not say.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path)
        .ok()
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether an error means that the volume has no room, which may pass.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}
