//! A configuration as text: where it comes from, and its hash.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{Diagnostic, Loaded, Process, Registry, Report, load_as};

/// Largest configuration, in bytes.
const LIMIT_BYTES: u64 = 8 << 20;

/// A text and where it comes from.
#[derive(Debug, Clone)]
pub struct Text {
    /// What messages call it: the path of the file.
    pub name: String,
    content: String,
    /// What relative paths of `${file:PATH}` count from.
    folder: PathBuf,
    strict: bool,
}

impl Text {
    /// A text that is part of the program.
    pub fn built_in(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            content: text.to_owned(),
            folder: PathBuf::new(),
            strict: false,
        }
    }

    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut content = String::new();
        let (name, read) = if path == Path::new("-") {
            let read = io::stdin()
                .take(LIMIT_BYTES + 1)
                .read_to_string(&mut content);
            ("standard input".to_owned(), read)
        } else {
            let file = File::open(path);
            let read =
                file.and_then(|file| file.take(LIMIT_BYTES + 1).read_to_string(&mut content));
            (path.display().to_string(), read)
        };
        match read {
            Err(error) => Err(format!("cannot read {name}: {error}")),
            Ok(_) if content.len() as u64 > LIMIT_BYTES => {
                Err(format!("cannot read {name}: it is larger than 8 MiB"))
            }
            Ok(_) => Ok(Self {
                name,
                content,
                folder: path.parent().map(Path::to_owned).unwrap_or_default(),
                strict: false,
            }),
        }
    }

    /// With `strict`, what weakens a promise is an error, as with `[service] strict`.
    #[must_use]
    pub fn strictly(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// Checks it and makes a configuration of it. Returns also the files that its variables named.
    pub fn load(&self, registry: Registry) -> (Loaded, Vec<PathBuf>) {
        let surroundings = Process::new(&self.folder);
        let loaded = load_as(&self.content, registry, &surroundings, self.strict);
        (loaded, surroundings.into_files())
    }

    /// What was found in it, ready to be shown.
    pub fn report<'a>(&'a self, findings: &'a [Diagnostic]) -> Report<'a> {
        Report::new(&self.name, &self.content, findings)
    }

    /// The same text has the same hash in every process and every version.
    pub fn hash(&self) -> u64 {
        fnv1a(self.content.bytes())
    }
}

/// FNV-1a.
fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A hash of what is in these files now. A file that cannot be read counts as one of its own.
pub fn content_hash(paths: &[PathBuf]) -> u64 {
    let contents = paths.iter().flat_map(|path| {
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| {
            let mut file = file.take(LIMIT_BYTES + 1);
            file.read_to_end(&mut content)
        });
        // What is between two files is in neither of them as a length.
        let len = read.map_or(u64::MAX, |len| len as u64).to_le_bytes();
        len.into_iter().chain(content)
    });
    fnv1a(contents)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_hash_of_contents_sees_every_change_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["a", "b"].map(|name| folder.path().join(name));
        let hash = || content_hash(&[one.clone(), other.clone()]);
        let neither = hash();
        fs::write(&one, "xy").unwrap();
        fs::write(&other, "z").unwrap();
        let both = hash();
        fs::write(&one, "x").unwrap();
        fs::write(&other, "yz").unwrap();
        assert!(both != neither && hash() != both);
        // The same content in another inode is the same.
        fs::remove_file(&one).unwrap();
        fs::write(&one, "xy").unwrap();
        fs::write(&other, "z").unwrap();
        assert_eq!(hash(), both);
    }
}
