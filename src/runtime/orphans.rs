//! Buffers in the data directory that belong to no output: of one that is gone from the configuration, or has another id
//! now. They are said and counted, and never touched.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sdk::metrics::{Gauge, Metrics};

use crate::buffer::Inspection;

/// What holds more bytes than this holds records; what holds less is looked into.
const LOOK_BYTES_MAX: u64 = 64 << 20;

/// Looks for them. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Orphans {
    /// Where buffers are by default.
    folder: PathBuf,
    count: Gauge,
    /// Those that were said.
    said: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Orphans {
    /// Below this `data_dir`.
    pub(super) fn new(data_dir: &Path, metrics: &Metrics) -> Self {
        let help = "Buffers with records in data_dir that belong to no output";
        Self {
            folder: data_dir.join("buffer"),
            count: metrics.gauge("orphan_buffers", help, &[]),
            said: Arc::default(),
        }
    }

    /// Counts them, and says those that are new. `owned` are the directories of outputs. Blocking.
    pub(super) fn look(&self, owned: &BTreeSet<PathBuf>) {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let owned: BTreeSet<PathBuf> = owned.iter().map(|path| real(path)).collect();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let found: BTreeSet<PathBuf> = paths
            .filter(|path| !owned.contains(&real(path)) && holds_records(path))
            .collect();
        self.count
            .set(i64::try_from(found.len()).unwrap_or(i64::MAX));
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for path in found.difference(&said) {
            let path = path.display();
            tracing::warn!(
                %path,
                "this buffer has records and no output: give an output its id, or look into it with `weir buffer ls`"
            );
        }
        *said = found;
    }
}

fn holds_records(path: &Path) -> bool {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let segments = entries.filter(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|ending| ending == "seg")
    });
    let lens = segments.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    let bytes: u64 = lens.sum();
    if bytes == 0 || bytes > LOOK_BYTES_MAX {
        return bytes > 0;
    }
    match Inspection::look(path) {
        Ok(inspection) => inspection.held().records > 0 || inspection.damage().next().is_some(),
        // Whatever it is, somebody should look at it.
        Err(_) => true,
    }
}
