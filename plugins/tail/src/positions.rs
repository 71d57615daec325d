//! The file with the positions: one line of JSON for each stream, replaced as a whole.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::identity::{FileId, Print};

/// Its name below the state directory.
const NAME: &str = "positions.jsonl";
/// What its first line says.
const VERSION: u32 = 1;

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) id: FileId,
    pub(crate) print: Print,
    /// Everything before is stored.
    pub(crate) offset: u64,
    /// Length as last seen.
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_gzip: bool,
}

/// What is stored of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamMarks {
    pub(crate) path: String,
    /// When it was looked at last, in seconds since 1970.
    pub(crate) seen: f64,
    /// Oldest first.
    pub(crate) files: Vec<Mark>,
}

/// What is stored of an engine.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stored {
    pub(crate) streams: Vec<StreamMarks>,
    pub(crate) done: Vec<Mark>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Version(u32),
    Stream(StreamMarks),
    Done(Mark),
    /// The number of lines before, so that a file that was cut is told.
    End(usize),
}

/// Where positions are kept.
#[derive(Debug, Clone)]
pub(crate) struct Positions {
    dir: PathBuf,
}

/// Why positions cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PositionsError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} was written by another version; remove it to begin anew")]
    Version { path: PathBuf },
}

impl Positions {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// Reads what was stored. `None` when nothing was. A damaged file is moved aside, and what is whole of it is used.
    pub(crate) fn load(&self) -> Result<Option<Stored>, PositionsError> {
        let path = self.path();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PositionsError::Io { path, source }),
        };
        let (stored, is_whole) =
            parse(&text).ok_or_else(|| PositionsError::Version { path: path.clone() })?;
        if !is_whole {
            let aside = self.dir.join("positions.damaged");
            tracing::error!(
                path = %path.display(), aside = %aside.display(),
                "the file with the positions is damaged; what is lost of it is read again"
            );
            fs::copy(&path, &aside).map_err(|source| PositionsError::Io { path, source })?;
        }
        Ok(Some(stored))
    }

    /// Replaces the file: after a crash it is the old one or the new one.
    pub(crate) fn store(&self, text: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let path = self.path();
        let next = path.with_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(text)?;
        file.sync_data()?;
        fs::rename(&next, &path)?;
        sync_dir(&self.dir)
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads the text of a file, and says whether it is whole. `None` for a version that is not known.
fn parse(text: &[u8]) -> Option<(Stored, bool)> {
    let mut stored = Stored::default();
    let (mut lines, mut is_whole, mut has_end) = (0, true, false);
    for line in text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Version(VERSION)) => {}
            Ok(Line::Version(_)) => return None,
            Ok(Line::Stream(marks)) => stored.streams.push(marks),
            Ok(Line::Done(mark)) => stored.done.push(mark),
            Ok(Line::End(count)) => {
                has_end = true;
                is_whole &= count == lines;
            }
            Err(_) => is_whole = false,
        }
        lines += 1;
    }
    Some((stored, is_whole && has_end))
}

/// The text of a file.
pub(crate) fn text<'a>(
    streams: impl Iterator<Item = StreamMarks>,
    done: impl Iterator<Item = &'a Mark>,
) -> Vec<u8> {
    let mut out = Vec::new();
    let lines = std::iter::once(Line::Version(VERSION))
        .chain(streams.map(Line::Stream))
        .chain(done.cloned().map(Line::Done));
    let mut count = 0;
    for line in lines {
        push(&mut out, &line);
        count += 1;
    }
    push(&mut out, &Line::End(count));
    out
}

fn push(out: &mut Vec<u8>, line: &Line) {
    // Text and numbers can always be written.
    if serde_json::to_writer(&mut *out, line).is_ok() {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(ino: u64) -> Mark {
        Mark {
            id: FileId { dev: 1, ino },
            print: Print::of(&ino.to_le_bytes()),
            offset: 10,
            size: 20,
            is_gzip: false,
        }
    }

    fn stored() -> Stored {
        Stored {
            streams: vec![StreamMarks {
                path: "/var/log/a b\n.log".into(),
                seen: 12.5,
                files: vec![mark(1), mark(2)],
            }],
            done: vec![mark(3)],
        }
    }

    #[test]
    fn what_is_stored_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let positions = Positions::new(dir.path().join("state/tail"));
        assert_eq!(positions.load().unwrap(), None);
        let Stored { streams, done } = stored();
        positions
            .store(&text(streams.into_iter(), done.iter()))
            .unwrap();
        assert_eq!(positions.load().unwrap(), Some(stored()));
    }

    #[test]
    fn a_cut_file_is_told_and_gives_what_it_can() {
        let Stored { streams, done } = stored();
        let whole = text(streams.into_iter(), done.iter());
        assert_eq!(parse(&whole), Some((stored(), true)));
        for cut in 0..whole.len() - 1 {
            let (stored, is_whole) = parse(&whole[..cut]).unwrap();
            assert!(!is_whole && stored.streams.len() <= 1, "{cut}");
        }
        assert_eq!(parse(b"{\"version\":9}\n"), None);
    }
}
