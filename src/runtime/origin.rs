//! Where the configuration comes from, so that it can be read again, and how a change of it is noticed.
//!
//! Contents are compared, not times or inodes: Kubernetes puts a new version in place by turning a link in a folder
//! above the file, and touches files that did not change (decision 19 on polling).

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use crate::config::{Loaded, Registry, Text, content_hash};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The file of the configuration.
#[derive(Debug)]
pub struct Origin {
    path: PathBuf,
    registry: Registry,
    /// Whether what weakens a promise is an error.
    strict: bool,
    tried: Mutex<Tried>,
}

/// What was read last, whether it was taken or not.
#[derive(Debug)]
struct Tried {
    /// The file itself, and those that its variables name.
    files: Vec<PathBuf>,
    /// Of what was in them.
    hash: u64,
}

impl Origin {
    /// The file at this path, of which `files` were read besides.
    pub fn new(path: &Path, registry: Registry, files: Vec<PathBuf>) -> Self {
        let files: Vec<_> = [path.to_owned()].into_iter().chain(files).collect();
        let hash = content_hash(&files);
        Self {
            path: path.to_owned(),
            registry,
            strict: false,
            tried: Mutex::new(Tried { files, hash }),
        }
    }

    /// With `strict`, what weakens a promise is an error whenever it is read.
    #[must_use]
    pub fn strictly(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks it. Blocking.
    ///
    /// # Errors
    /// A sentence: the file cannot be read.
    pub(super) fn load(&self) -> Result<(Text, Loaded), String> {
        // What changes between this look and the reading is seen as a change afterwards.
        let hash = |files: &[PathBuf]| content_hash(files);
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.hash = hash(&tried.files);
        let text = Text::read(&self.path)?.strictly(self.strict);
        let (loaded, files) = text.load(self.registry);
        let files: Vec<_> = [self.path.clone()].into_iter().chain(files).collect();
        if files != tried.files {
            tried.hash = hash(&files);
            tried.files = files;
        }
        Ok((text, loaded))
    }

    /// The hash of what is there now, if it is not what was read last. Blocking.
    fn news(&self) -> Option<u64> {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = content_hash(&tried.files);
        (hash != tried.hash).then_some(hash)
    }
}

/// Says when there is something new and it is the same at two looks: somebody may still be writing at the first.
pub(super) async fn watch(origin: Arc<Origin>, changed: mpsc::Sender<()>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        looks.tick().await;
        let own = Arc::clone(&origin);
        let news = tokio::task::spawn_blocking(move || own.news());
        let news = news.await.unwrap_or_default();
        if news.is_some() && news == seen && changed.send(()).await.is_err() {
            return;
        }
        seen = news;
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_turned_link_is_news_and_a_touched_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("v1", "a = 1"), ("v2", "a = 2"), ("v3", "a = 2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("weir.toml"), text).unwrap();
        }
        let turn = |version: &str| {
            symlink(version, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };
        turn("v1");
        symlink("..data/weir.toml", at("weir.toml")).unwrap();
        let origin = Origin::new(&at("weir.toml"), &[], Vec::new());
        assert_eq!(origin.news(), None);
        turn("v2");
        assert!(origin.news().is_some());
        drop(origin.load());
        assert_eq!(origin.news(), None);
        turn("v3");
        assert_eq!(origin.news(), None, "the same content in another file");
        fs::remove_file(at("..data")).unwrap();
        assert!(origin.news().is_some(), "gone is news");
    }
}
