//! Quarantine: damaged bytes are copied aside before anything happens to them. Nothing here is ever deleted by us.

use std::{
    fs::File,
    io::{self, IoSlice},
    ops::Range,
    path::{Path, PathBuf},
};

use sdk::event::Time;

use super::files;

/// Bytes that the quarantine of one buffer may hold; beyond it, whole segments are kept instead of copies.
const LIMIT_BYTES: u64 = 256 << 20;
const BLOCK: usize = 1 << 20;

/// The quarantine of a buffer.
#[derive(Debug, Clone)]
pub(super) struct Quarantine {
    dir: PathBuf,
}

/// What became of damaged bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// They were copied now.
    Copied,
    /// They had been copied before.
    Known,
    /// They could not be copied.
    Lost,
}

impl Kept {
    /// Whether the bytes exist nowhere but in the segment.
    pub(super) fn is_lost(self) -> bool {
        self == Self::Lost
    }
}

impl Quarantine {
    /// The quarantine inside a buffer directory.
    pub(super) fn new(buffer: &Path) -> Self {
        Self {
            dir: buffer.join("quarantine"),
        }
    }

    /// Copies a range of a segment, with a note that says why.
    pub(super) fn keep(&self, file: &File, segment: u64, range: &Range<u64>, reason: &str) -> Kept {
        let len = range.end - range.start;
        let name = format!("{segment:016x}-{:08x}-{len}.bin", range.start);
        let path = self.dir.join(&name);
        if files::len(&path) == Some(len) {
            return Kept::Known;
        }
        match self
            .copy(file, range, &path)
            .and_then(|()| note(&path, segment, range, reason))
        {
            Ok(()) => {
                let copy = path.display();
                tracing::warn!(segment, offset = range.start, len, reason, %copy, "bytes put into quarantine");
                Kept::Copied
            }
            Err(error) => {
                tracing::error!(segment, offset = range.start, len, reason, %error, "damaged bytes could not be copied");
                Kept::Lost
            }
        }
    }

    /// Moves a whole file here.
    pub(super) fn take_file(&self, path: &Path) -> io::Result<()> {
        files::make_dir(&self.dir)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        files::rename(path, &self.dir.join(name))?;
        files::sync_dir(&self.dir)
    }

    fn copy(&self, file: &File, range: &Range<u64>, path: &Path) -> io::Result<()> {
        files::make_dir(&self.dir)?;
        if files::dir_bytes(&self.dir)? + (range.end - range.start) > LIMIT_BYTES {
            return Err(io::Error::other(
                "the quarantine is full; look at it, then move its files away",
            ));
        }
        files::remove(path)?;
        let copy = files::create_new(path)?;
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).map_or(BLOCK, |left| left.min(BLOCK));
            let bytes = files::read_at(file, at, len)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            files::write_all(&copy, &mut [IoSlice::new(&bytes)])?;
            at += len as u64;
        }
        copy.sync_all()
    }
}

/// What the copy is and where it came from, for people.
fn note(path: &Path, segment: u64, range: &Range<u64>, reason: &str) -> io::Result<()> {
    let note = serde_json::json!({
        "segment": format!("{segment:016x}"),
        "offset": range.start,
        "length": range.end - range.start,
        "reason": reason,
        "found": Time::now().secs,
    });
    files::replace(&path.with_extension("json"), format!("{note}\n").as_bytes())
}
