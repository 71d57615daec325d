//! One file of a stream: the live one, or one that rotation has moved away.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tokio::time::Instant;

use crate::{
    disk::Found,
    gzip::Gzip,
    identity::{FileId, Print, head_of, read_fully_at},
    positions::Mark,
};

/// One file of a stream, and how far it was read.
pub(crate) struct Generation {
    /// Unique within the engine; grows from file to file of a stream.
    pub(crate) number: u64,
    /// Where it was seen last.
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    pub(crate) print: Print,
    /// Offset of the next byte to read.
    pub(crate) read: u64,
    /// Everything before is stored, or counted out for a reason.
    pub(crate) safe: u64,
    /// Length as last seen, of the text.
    pub(crate) size: u64,
    /// When it was written to last, as last seen.
    pub(crate) modified: SystemTime,
    /// Compressed: it does not grow.
    pub(crate) is_gzip: bool,
    /// The length is not only what a compressed file says of itself.
    is_measured: bool,
    /// Since when it is no longer at the watched path.
    pub(crate) rotated: Option<Instant>,
    /// It cannot be read any more.
    pub(crate) is_gone: bool,
    /// Bytes of it that were lost: what is read behind them does not continue what was read before. 0 once that is seen.
    pub(crate) torn_bytes: u64,
    /// A last line without an end was seen at this length: there is nothing to do before it grows.
    pub(crate) stuck: Option<u64>,
    /// Times that it could not be read.
    pub(crate) failures: u32,
    handle: Option<Handle>,
}

enum Handle {
    Plain(File),
    Gzip(Box<Gzip>),
}

impl Handle {
    fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(gzip) => gzip.file(),
        }
    }
}

impl Generation {
    /// A file that was read up to `at`.
    pub(crate) fn open(number: u64, found: &Found, at: u64) -> io::Result<Self> {
        let mut generation = Self {
            number,
            path: found.path.clone(),
            id: found.id,
            print: Print::default(),
            read: at,
            safe: at,
            size: found.size,
            modified: found.modified,
            is_gzip: found.is_gzip,
            is_measured: false,
            rotated: None,
            is_gone: false,
            torn_bytes: 0,
            stuck: None,
            failures: 0,
            handle: None,
        };
        generation.attach(found)?;
        Ok(generation)
    }

    /// One of which nothing but a stored mark is known yet.
    pub(crate) fn marked(number: u64, path: &Path, mark: &Mark) -> Self {
        Self {
            number,
            path: path.to_owned(),
            id: mark.id,
            print: mark.print,
            read: mark.offset,
            safe: mark.offset,
            size: mark.size,
            modified: SystemTime::UNIX_EPOCH,
            is_gzip: mark.is_gzip,
            is_measured: false,
            rotated: None,
            is_gone: false,
            torn_bytes: 0,
            stuck: None,
            failures: 0,
            handle: None,
        }
    }

    /// Goes on in `found`, which holds the same text.
    pub(crate) fn attach(&mut self, found: &Found) -> io::Result<()> {
        let file = File::open(&found.path)?;
        let meta = file.metadata()?;
        if !found.is_gzip && !self.print.fits(&head_of(&file)?) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.path.clone_from(&found.path);
        self.id = FileId::of(&meta);
        self.is_gzip = found.is_gzip;
        if found.is_gzip {
            self.size = Gzip::stated_len(&file)?.max(self.read);
            self.is_measured = false;
            let mut gzip = Box::new(Gzip::new(file)?);
            if self.print.is_short() {
                let mut head = vec![0; crate::identity::PRINT_BYTES];
                let len = gzip.read_at(0, &mut head)?;
                self.print = Print::of(head.get(..len).unwrap_or_default());
            }
            self.handle = Some(Handle::Gzip(gzip));
        } else {
            self.size = meta.size();
            self.is_measured = true;
            if self.print.is_short() {
                self.print = Print::of(&head_of(&file)?);
            }
            self.handle = Some(Handle::Plain(file));
        }
        self.stuck = None;
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.handle.is_some()
    }

    pub(crate) fn close(&mut self) {
        self.handle = None;
    }

    /// Whether the open file has lost its last name.
    pub(crate) fn is_unlinked(&self) -> bool {
        let meta = self.handle.as_ref().map(|handle| handle.file().metadata());
        matches!(meta, Some(Ok(meta)) if meta.nlink() == 0)
    }

    /// The same, unless the open file was cut: then its length says nothing of the text that is gone.
    pub(crate) fn measure_unless(&mut self, is_cut: bool) {
        if !is_cut {
            self.measure();
        }
    }

    /// Takes the length anew from the open file.
    pub(crate) fn measure(&mut self) {
        if let Some(Handle::Plain(file)) = &self.handle
            && let Ok(meta) = file.metadata()
        {
            self.size = meta.size();
        }
    }

    /// Whether the file still begins as it did and is not shorter than what was read; learns more of its first bytes.
    /// Of a compressed one and of one that is closed, nothing is asked.
    pub(crate) fn verify(&mut self) -> io::Result<bool> {
        let Some(Handle::Plain(file)) = &self.handle else {
            return Ok(true);
        };
        let mut head = [0; crate::identity::PRINT_BYTES];
        // While it grows, look at what a better print could be made of, and else at no more than is needed.
        let want = if self.print.is_short() {
            head.len()
        } else {
            self.print.len
        };
        let len = read_fully_at(file, 0, head.get_mut(..want).unwrap_or_default())?;
        let head = head.get(..len).unwrap_or_default();
        if !self.print.fits(head) {
            return Ok(false);
        }
        if len > self.print.len {
            self.print = Print::of(head);
        }
        Ok(true)
    }

    /// Reads text from the place that comes next; how many bytes.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.handle {
            None => Ok(0),
            Some(Handle::Plain(file)) => read_fully_at(file, self.read, buf),
            Some(Handle::Gzip(gzip)) => {
                let len = gzip.read_at(self.read, buf)?;
                if len < buf.len() {
                    self.size = self.read + len as u64;
                    self.is_measured = true;
                }
                Ok(len)
            }
        }
    }

    /// Whether there may be something to read.
    pub(crate) fn has_unread(&self) -> bool {
        let may_have_more = self.size > self.read || (self.is_gzip && !self.is_measured);
        !self.is_gone && self.is_open() && may_have_more && self.stuck != Some(self.size)
    }

    /// Bytes that are known to be there and are not read.
    pub(crate) fn unread(&self) -> u64 {
        if self.is_gone {
            return 0;
        }
        self.size.saturating_sub(self.read)
    }

    /// It cannot be read any more; how many bytes were not.
    pub(crate) fn give_up(&mut self) -> u64 {
        let lost = self.unread();
        self.is_gone = true;
        self.torn_bytes += lost;
        self.handle = None;
        self.read = self.read.max(self.size);
        lost
    }

    /// Back to what is safe; how many bytes cannot be read again.
    pub(crate) fn rewind(&mut self) -> u64 {
        self.stuck = None;
        if self.is_gone {
            let lost = self.read.saturating_sub(self.safe);
            self.safe = self.read;
            return lost;
        }
        self.read = self.safe;
        0
    }

    /// What is stored of it.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            id: self.id,
            print: self.print,
            offset: self.safe,
            size: self.size,
            is_gzip: self.is_gzip,
        }
    }
}
