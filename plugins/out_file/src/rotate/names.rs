//! Names of files that are over.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Compress, append::folder};

const ROTATING: &str = ".rotating";

/// A file that was set aside to be compressed: `NAME.N.rotating`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    original: PathBuf,
    number: u32,
}

impl Aside {
    pub(crate) fn new(original: &Path, number: u32) -> Self {
        Self {
            original: original.to_owned(),
            number,
        }
    }

    /// Reads the name of a file; `None` when it was not set aside.
    pub(crate) fn parse(path: &Path) -> Option<Self> {
        let (original, number) = path.to_str()?.strip_suffix(ROTATING)?.rsplit_once('.')?;
        Some(Self::new(Path::new(original), number.parse().ok()?))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        with(&self.original, &format!(".{}{ROTATING}", self.number))
    }

    /// Where it was.
    pub(crate) fn original(&self) -> &Path {
        &self.original
    }

    /// Where it will be, compressed. The first one has no number.
    pub(crate) fn archive(&self) -> PathBuf {
        match self.number {
            0 => with(&self.original, ".gz"),
            number => with(&self.original, &format!(".{number}.gz")),
        }
    }
}

/// The name of a file that is over and stays as it is.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    with(path, &format!(".{number}"))
}

/// `path` with `ending` behind it.
pub(crate) fn with(path: &Path, ending: &str) -> PathBuf {
    let mut whole = OsString::from(path);
    whole.push(ending);
    whole.into()
}

/// The number for the next file of this name that is over: above all that are there.
pub(crate) fn next_number(path: &Path, compress: Compress) -> io::Result<u32> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let mut next = match compress {
        Compress::Gzip => 0,
        Compress::Text => 1,
    };
    for entry in fs::read_dir(folder(path))? {
        let other = entry?.file_name();
        let ending = other.to_str().and_then(|other| other.strip_prefix(name));
        if let Some(number) = ending.and_then(number_of) {
            next = next.max(number.saturating_add(1));
        }
    }
    Ok(next)
}

/// The number in the ending of a name.
fn number_of(ending: &str) -> Option<u32> {
    if ending == ".gz" {
        return Some(0);
    }
    let ending = ending.strip_prefix('.')?;
    let number = ending
        .strip_suffix(".gz")
        .or(ending.strip_suffix(ROTATING))
        .unwrap_or(ending);
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_made() {
        let aside = Aside::new(Path::new("d/a.log"), 7);
        assert_eq!(aside.path(), Path::new("d/a.log.7.rotating"));
        assert_eq!(aside.archive(), Path::new("d/a.log.7.gz"));
        assert_eq!(Aside::parse(&aside.path()), Some(aside));
        assert_eq!(Aside::new(Path::new("a"), 0).archive(), Path::new("a.gz"));
        for foreign in ["a.log", "a.log.rotating", "a.log.x.rotating", "a.log.7.gz"] {
            assert_eq!(Aside::parse(Path::new(foreign)), None, "{foreign}");
        }
    }

    #[test]
    fn the_next_number_is_above_all_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let next = || {
            (
                next_number(&path, Compress::Gzip).unwrap(),
                next_number(&path, Compress::Text).unwrap(),
            )
        };
        assert_eq!(next(), (0, 1));
        for (name, expected) in [
            ("a.log.gz", (1, 1)),
            ("b.log.9.gz", (1, 1)),
            ("a.log.3.gz", (4, 4)),
            ("a.log.5.rotating", (6, 6)),
            ("a.log.7", (8, 8)),
            ("a.log.old", (8, 8)),
        ] {
            fs::write(folder.path().join(name), "").unwrap();
            assert_eq!(next(), expected, "{name}");
        }
    }
}
