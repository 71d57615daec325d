//! What the buffer does with files, composed of the calls of a [`Store`].

use std::{
    io::{self, ErrorKind, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    error::BufferError,
    segment,
    store::{Handle, Mode, Stat, Store, System, Volume},
};

/// Blocks in which a file is filled up, in bytes.
const FILL_BLOCK: usize = 64 << 10;
/// Pauses before a lock that somebody has is tried again, in milliseconds.
const LOCK_PAUSES_MS: [u64; 3] = [20, 80, 200];

/// The file system that a buffer uses. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Files(Arc<dyn Store>);

/// An open file. What is written goes to its end.
#[derive(Debug)]
pub(super) struct OpenFile(Box<dyn Handle>);

impl Files {
    /// That of this machine.
    pub(super) fn system() -> Self {
        Self(Arc::new(System))
    }

    /// Another one.
    #[cfg(test)]
    pub(super) fn of(store: impl Store + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// How long a pause before another try lasts.
    pub(super) fn lasts(&self, pause: Duration) -> Duration {
        self.0.lasts(pause)
    }

    /// Calls until it works, as often as there are pauses, in milliseconds, and once more.
    pub(super) fn patiently<T>(
        &self,
        pauses_ms: &[u64],
        mut call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        for pause_ms in pauses_ms {
            match call() {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    thread::sleep(self.lasts(Duration::from_millis(*pause_ms)));
                }
                answer => return answer,
            }
        }
        call()
    }

    /// Makes a directory with its parents, and makes that durable.
    pub(super) fn make_dir(&self, path: &Path) -> io::Result<()> {
        if again(|| self.0.stat(path)).is_ok_and(|stat| stat.is_dir) {
            return Ok(());
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) => Path::new("."),
            None => return Err(ErrorKind::InvalidInput.into()),
        };
        self.make_dir(parent)?;
        match again(|| self.0.make_dir(path)) {
            // Two outputs may make the same parent at once.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !again(|| self.0.stat(path))?.is_dir {
                    return Err(ErrorKind::NotADirectory.into());
                }
            }
            made => made?,
        }
        self.sync_dir(parent)
    }

    /// Makes changes of names in a directory durable.
    pub(super) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    /// Takes the lock of a directory. It is held as long as the file is open, and given back by `kill -9` too.
    pub(super) fn lock(&self, dir: &Path) -> Result<OpenFile, BufferError> {
        let path = dir.join("LOCK");
        let fail = |what| BufferError::io(what, path.clone());
        let mut opened = again(|| self.0.open(&path, Mode::Lock));
        for pause_ms in LOCK_PAUSES_MS {
            if !matches!(&opened, Err(error) if error.kind() == ErrorKind::WouldBlock) {
                break;
            }
            // Who held it may just be ending, or may have begun another program that has not closed it yet.
            thread::sleep(self.lasts(Duration::from_millis(pause_ms)));
            opened = again(|| self.0.open(&path, Mode::Lock));
        }
        let file = match opened {
            Ok(file) => OpenFile(file),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // What it says is for people only; an unreadable file is no worse than an empty one.
                let holder = self.read_small(&path, 256).unwrap_or_default();
                let holder = String::from_utf8_lossy(&holder);
                let holder = match holder.trim() {
                    "" => "another process",
                    holder => holder,
                };
                return Err(BufferError::InUse {
                    path: dir.to_owned(),
                    holder: holder.to_owned(),
                });
            }
            Err(source) => return Err(fail("lock")(source)),
        };
        let holder = format!("process {}\n", std::process::id());
        let written = file
            .cut(0)
            .and_then(|()| file.write_all(&mut [IoSlice::new(holder.as_bytes())]));
        if let Err(error) = written {
            // The lock itself is held; on a full disk, only its text is missing.
            tracing::warn!(path = %path.display(), %error, "the lock cannot tell who holds it");
        }
        Ok(file)
    }

    /// Takes a lock that is held as long as the file is open. `None` when somebody else has it.
    pub(super) fn try_lock(&self, path: &Path) -> io::Result<Option<OpenFile>> {
        match again(|| self.0.open(path, Mode::Lock)) {
            Ok(file) => Ok(Some(OpenFile(file))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The segments of a directory, oldest first.
    pub(super) fn segments(&self, dir: &Path) -> io::Result<Vec<u64>> {
        let names = self.names(dir)?;
        let mut found: Vec<u64> = names
            .iter()
            .filter_map(|name| segment::parse_name(name))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Makes a file that must not exist yet, for reading and writing.
    pub(super) fn create_new(&self, path: &Path) -> io::Result<OpenFile> {
        again(|| self.0.open(path, Mode::CreateNew)).map(OpenFile)
    }

    /// Opens a file for reading; its length comes along.
    pub(super) fn open(&self, path: &Path) -> io::Result<(OpenFile, u64)> {
        let file = OpenFile(again(|| self.0.open(path, Mode::Read))?);
        let len = file.len()?;
        Ok((file, len))
    }

    /// Opens a file for appending, made when it is missing.
    pub(super) fn open_append(&self, path: &Path) -> io::Result<OpenFile> {
        again(|| self.0.open(path, Mode::Append)).map(OpenFile)
    }

    /// The whole of a small file; at most `max` bytes of it.
    pub(super) fn read_small(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        let (file, len) = self.open(path)?;
        let len = usize::try_from(len.min(max)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        let read = file.fill(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Replaces a file as a whole: afterwards it has either the old or the new content.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let fresh = path.with_extension("tmp");
        self.remove(&fresh)?;
        let file = self.create_new(&fresh)?;
        file.write_all(&mut [IoSlice::new(bytes)])?;
        file.sync_data()?;
        self.rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |parent| self.sync_dir(parent))
    }

    /// Removes a file; that it is gone already is no error.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        match again(|| self.0.unlink(path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves a file.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        again(|| self.0.rename(from, to))
    }

    /// Sum of the lengths of the files right in a directory; what is in directories below it does not count.
    pub(super) fn dir_bytes(&self, path: &Path) -> io::Result<u64> {
        let len = |name: &String| match again(|| self.0.stat(&path.join(name))) {
            // Taken away meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Ok(stat) if stat.is_dir => Ok(0),
            stat => stat.map(|stat| stat.len),
        };
        self.names(path)?
            .iter()
            .try_fold(0, |sum, name| Ok(sum + len(name)?))
    }

    /// What is known of a name.
    pub(super) fn stat(&self, path: &Path) -> io::Result<Stat> {
        again(|| self.0.stat(path))
    }

    /// The length of a file; `None` when there is none, or it cannot be told.
    pub(super) fn len(&self, path: &Path) -> Option<u64> {
        self.stat(path).ok().map(|stat| stat.len)
    }

    /// When a file was made, in seconds since 1970; when it was last written where the file system does not know.
    pub(super) fn begun_secs(&self, path: &Path) -> Option<u64> {
        self.stat(path).ok()?.begun_secs
    }

    /// Names of the files right in a directory.
    pub(super) fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        again(|| self.0.list(path))
    }

    /// What is known of the volume; `None` when the system does not say.
    pub(super) fn volume(&self, path: &Path) -> Option<Volume> {
        self.0.volume(path).ok()
    }
}

impl OpenFile {
    /// Reads `len` bytes at `offset`. `None` when the file ends before.
    pub(super) fn read_at(&self, offset: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; len];
        Ok((self.fill(&mut bytes, offset)? == len).then_some(bytes))
    }

    /// Reads until `bytes` is full or the file ends; returns how many were read.
    fn fill(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(left) = bytes.get_mut(filled..).filter(|left| !left.is_empty()) {
            match again(|| self.0.read_at(left, offset + filled as u64))? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Writes all slices at the end, with as few calls as there can be.
    pub(super) fn write_all(&self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match again(|| self.0.write_vectored(slices))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut slices, written),
            }
        }
        Ok(())
    }

    /// Takes so much room on the volume, with a content that does not matter.
    pub(super) fn allocate(&self, len: u64) -> io::Result<()> {
        match again(|| self.0.allocate(len)) {
            Err(error) if error.kind() == ErrorKind::Unsupported => self.fill_up(len),
            answer => answer,
        }
    }

    /// The same by writing: bytes that cannot be compressed, where a file system does that.
    fn fill_up(&self, len: u64) -> io::Result<()> {
        let mut left = len;
        let mut block = vec![0; FILL_BLOCK];
        while left > 0 {
            fastrand::fill(&mut block);
            let size = usize::try_from(left).map_or(FILL_BLOCK, |left| left.min(FILL_BLOCK));
            let part = block.get(..size).unwrap_or_default();
            self.write_all(&mut [IoSlice::new(part)])?;
            left -= size as u64;
        }
        Ok(())
    }

    /// Makes what was written durable, and the length. Never to be called again after an error: the pages may count
    /// as clean by then, so that success would prove nothing.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    /// Cuts it at `len`; writing goes on there.
    pub(super) fn cut(&self, len: u64) -> io::Result<()> {
        again(|| self.0.set_len(len))
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> io::Result<u64> {
        again(|| self.0.len())
    }
}

/// Where the segment that begins with this sequence lies.
pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(segment::file_name(first))
}

/// Whether an error means that the volume has no room, which may pass.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Whether an error means that this process, or the system, has run out of something, which will pass.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| [Errno::MFILE, Errno::NFILE, Errno::NOMEM].contains(&errno))
}

/// Calls until no signal comes in between.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}
