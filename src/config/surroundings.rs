//! What variables are filled in from: the environment and files, behind a trait so that tests have their own.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Largest file that `${file:PATH}` reads, in bytes.
const FILE_LIMIT_BYTES: u64 = 64 * 1024;

/// Where values of variables come from.
pub trait Surroundings {
    /// A variable of the environment.
    fn env(&self, name: &str) -> Option<String>;

    /// The text of a small file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// Those of this process. Relative paths count from the folder of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Process {
    folder: PathBuf,
}

impl Process {
    /// For a configuration in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }
}

impl Surroundings for Process {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        let file = File::open(self.folder.join(path))?;
        file.take(FILE_LIMIT_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_LIMIT_BYTES {
            return Err(io::Error::other("it is larger than 64 KiB"));
        }
        Ok(text)
    }
}
