//! Ids of containers, from the links in `/var/log/containers`.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use crate::container::id_of;

/// The links are listed no more often than this.
const LIST_INTERVAL: Duration = Duration::from_secs(1);

/// Where links lead, and the ids in their names.
#[derive(Debug, Default)]
pub(crate) struct Links {
    ids: HashMap<PathBuf, String>,
    listed: Option<Instant>,
}

impl Links {
    /// The id of the container that writes `path`, a file below `pods`. The links are in `containers` beside that.
    pub(crate) fn id(&mut self, path: &Path) -> Option<String> {
        if let Some(id) = self.ids.get(path) {
            return Some(id.clone());
        }
        let pods = path.ancestors().nth(3)?;
        let now = Instant::now();
        let is_due = |at: Instant| now.saturating_duration_since(at) >= LIST_INTERVAL;
        if self.listed.is_none_or(is_due) {
            self.listed = Some(now);
            self.ids = list(&pods.with_file_name("containers"));
        }
        self.ids.get(path).cloned()
    }
}

fn list(folder: &Path) -> HashMap<PathBuf, String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return HashMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let link = entry.path();
            let id = id_of(&link)?;
            Some((folder.join(fs::read_link(link).ok()?), id))
        })
        .collect()
}
