//! What variables are filled in from: the environment and files, behind a trait so that tests have their own.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
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
#[derive(Debug, Default)]
pub struct Process {
    folder: PathBuf,
    /// Every file that was read, or tried.
    files: Mutex<Vec<PathBuf>>,
}

impl Process {
    /// For a configuration in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            files: Mutex::default(),
        }
    }

    /// Every file that was read, or tried.
    pub fn into_files(self) -> Vec<PathBuf> {
        let files = self.files.into_inner();
        files.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Surroundings for Process {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        let path = self.folder.join(path);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push(path.clone());
        drop(files);
        let file = File::open(path)?;
        file.take(FILE_LIMIT_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_LIMIT_BYTES {
            return Err(io::Error::other("it is larger than 64 KiB"));
        }
        Ok(text)
    }
}
