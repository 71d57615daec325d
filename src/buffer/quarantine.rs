//! Quarantine: damaged bytes are copied aside before anything happens to them. Nothing here is ever deleted by us.

use std::{
    io::{self, IoSlice},
    ops::Range,
    path::{Path, PathBuf},
};

use sdk::event::Time;

use super::files::{Files, OpenFile};

/// Bytes that the quarantine of one buffer may hold; beyond it, whole segments are kept instead of copies.
const LIMIT_BYTES: u64 = 256 << 20;
const BLOCK: usize = 1 << 20;
/// Name of the directory, inside that of the buffer.
pub(super) const QUARANTINE: &str = "quarantine";

/// The quarantine of a buffer.
#[derive(Debug, Clone)]
pub(super) struct Quarantine {
    files: Files,
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
    pub(super) fn new(files: &Files, buffer: &Path) -> Self {
        Self {
            files: files.clone(),
            dir: buffer.join(QUARANTINE),
        }
    }

    /// Copies a range of a segment, with a note that says why.
    pub(super) fn keep(
        &self,
        file: &OpenFile,
        segment: u64,
        range: &Range<u64>,
        reason: &str,
    ) -> Kept {
        let len = range.end - range.start;
        let name = format!("{segment:016x}-{:08x}-{len}.bin", range.start);
        let path = self.dir.join(&name);
        if self.files.len(&path) == Some(len) {
            return Kept::Known;
        }
        match self
            .copy(file, range, &path)
            .and_then(|()| self.note(&path, segment, range, reason))
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

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// First sequences of the segments that are here.
    pub(super) fn segments(&self) -> Vec<u64> {
        self.files.segments(&self.dir).unwrap_or_default()
    }

    /// Whether a file of this name is here.
    pub(super) fn has(&self, path: &Path) -> bool {
        let name = path.file_name();
        name.is_some_and(|name| self.files.len(&self.dir.join(name)).is_some())
    }

    /// Moves a whole file here, if it is still there.
    pub(super) fn take_file(&self, path: &Path) -> io::Result<()> {
        self.files.make_dir(&self.dir)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        match self.files.rename(path, &self.dir.join(name)) {
            // It is gone: nothing can be kept.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            moved => moved?,
        }
        self.files.sync_dir(&self.dir)
    }

    fn copy(&self, file: &OpenFile, range: &Range<u64>, path: &Path) -> io::Result<()> {
        self.files.make_dir(&self.dir)?;
        if self.files.dir_bytes(&self.dir)? + (range.end - range.start) > LIMIT_BYTES {
            return Err(io::Error::other(
                "the quarantine is full; look at it, then move its files away",
            ));
        }
        self.files.remove(path)?;
        let copy = self.files.create_new(path)?;
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).map_or(BLOCK, |left| left.min(BLOCK));
            let bytes = file.read_at(at, len)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            copy.write_all(&mut [IoSlice::new(&bytes)])?;
            at += len as u64;
        }
        copy.sync_data()
    }

    /// What the copy is and where it came from, for people.
    fn note(&self, path: &Path, segment: u64, range: &Range<u64>, reason: &str) -> io::Result<()> {
        let note = serde_json::json!({
            "segment": format!("{segment:016x}"),
            "offset": range.start,
            "length": range.end - range.start,
            "reason": reason,
            "found": Time::now().secs,
        });
        let text = format!("{note}\n");
        self.files
            .replace(&path.with_extension("json"), text.as_bytes())
    }
}
