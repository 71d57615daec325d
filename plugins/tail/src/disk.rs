//! What is there now of a stream: the live file, and what rotation has moved away.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    gzip::Gzip,
    identity::{FileId, PRINT_BYTES, Print, head_of},
    siblings::{self, Age},
};

/// A file that is there.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    /// Length on disk, in bytes.
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) is_gzip: bool,
}

/// The files of a stream.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) live: Option<Found>,
    /// Oldest first.
    pub(crate) rotated: Vec<Found>,
}

impl Found {
    pub(crate) fn new(path: PathBuf, meta: &Metadata, is_gzip: bool) -> Self {
        Self {
            path,
            id: FileId::of(meta),
            size: meta.size(),
            modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            is_gzip,
        }
    }

    /// The first bytes of its text.
    pub(crate) fn head(&self) -> io::Result<Vec<u8>> {
        let file = File::open(&self.path)?;
        if !self.is_gzip {
            return head_of(&file);
        }
        let mut head = vec![0; PRINT_BYTES];
        let len = Gzip::new(file)?.read_at(0, &mut head)?;
        head.truncate(len);
        Ok(head)
    }

    /// Whether it holds the text that `print` was taken of.
    pub(crate) fn is_proven(&self, print: Print) -> bool {
        print.len > 0 && self.head().is_ok_and(|head| print.proves(&head))
    }
}

impl Disk {
    /// Looks at `path` and, where its links lead, at what stands beside it. `real` is where they led before: a file that is
    /// gone still has its rotated ones there.
    pub(crate) fn look(path: &Path, real: &Path) -> io::Result<Self> {
        let live = match fs::metadata(path) {
            Ok(meta) if meta.is_file() => Some(Found::new(path.to_owned(), &meta, false)),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            live,
            rotated: rotated(real)?,
        })
    }
}

fn rotated(real: &Path) -> io::Result<Vec<Found>> {
    let (Some(folder), Some(name)) = (real.parent(), real.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(Vec::new());
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: Vec<(Age, Found)> = Vec::new();
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let Some((age, is_gzip)) = file_name
            .to_str()
            .and_then(|other| siblings::rotated(name, other))
        else {
            continue;
        };
        if let Ok(meta) = fs::metadata(entry.path())
            && meta.is_file()
        {
            found.push((age, Found::new(entry.path(), &meta, is_gzip)));
        }
    }
    // While one is being compressed both are there; the plain one is whole.
    found.sort_by(|(age, one), (other, two)| age.cmp(other).then(one.is_gzip.cmp(&two.is_gzip)));
    found.dedup_by(|(age, _), (other, _)| age == other);
    Ok(found.into_iter().map(|(_, found)| found).collect())
}
