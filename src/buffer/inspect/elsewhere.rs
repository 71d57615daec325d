//! What is not where the segments are: in quarantine, or nowhere.

use std::{collections::BTreeSet, io::ErrorKind, path::Path};

use super::{
    super::{
        error::BufferError,
        files::{self, Files},
        quarantine::QUARANTINE,
        state,
    },
    Inspection, name_of,
};

impl Inspection {
    /// Those that the state file knows. A running router makes and removes some meanwhile: it says so before it removes
    /// one, so what is not there and not called removed afterwards is missing.
    pub(super) fn find_missing(&mut self, noted: &BTreeSet<u64>) {
        let is_there = |first: u64| {
            let path = files::segment_path(&self.path, first);
            let name = name_of(&path);
            self.files.len(&path).is_some() || self.quarantined.contains(&name)
        };
        let absent: Vec<u64> = noted
            .iter()
            .copied()
            .filter(|first| !is_there(*first))
            .collect();
        let Some(id) = self.id.filter(|_| !absent.is_empty()) else {
            return;
        };
        let still = state::read(&self.files, &self.path, id).segments;
        let absent = absent.into_iter().filter(|first| still.contains(first));
        let name = |first| name_of(&files::segment_path(&self.path, first));
        self.missing = absent.map(name).collect();
    }
}

/// The names of the files in quarantine, without the notes beside them.
///
/// # Errors
/// The directory cannot be listed.
pub(super) fn quarantined(files: &Files, dir: &Path) -> Result<Vec<String>, BufferError> {
    let path = dir.join(QUARANTINE);
    let mut names = match files.names(&path) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(BufferError::io("list", path)(error)),
    };
    names.retain(|name| {
        Path::new(name)
            .extension()
            .is_none_or(|ending| ending != "json")
    });
    names.sort_unstable();
    Ok(names)
}
