//! The repository in memory: every file that is or would be tracked, by its path from the root.

use anyhow::{Context as _, Result, bail};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Folders that never hold sources. Consulted only where git does not say what is tracked.
const SKIPPED: [&str; 5] = [".git", "target", "data", "node_modules", "__pycache__"];

/// Files by path, with `/` between folders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

/// The root of the repository, from wherever in it the command was called.
pub(crate) fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("find the current folder")?;
    for folder in here.ancestors() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if manifest.lines().any(|line| line.trim() == "[workspace]") {
            return Ok(folder.to_path_buf());
        }
    }
    bail!("{} is not inside the repository", here.display())
}

impl Tree {
    /// Reads the files below `root`: as git lists them, or all of them where git knows nothing.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let paths = match listed_by_git(root) {
            Some(paths) => paths,
            None => walk(root)?,
        };
        for path in paths {
            // A file that git still lists may be gone from the disk.
            if let Ok(bytes) = fs::read(root.join(&path)) {
                tree.files.insert(path, bytes);
            }
        }
        Ok(tree)
    }

    /// Every path, sorted.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The text of a file; `None` when it is missing or not UTF-8.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// Every file that is text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.paths()
            .filter_map(|path| Some((path, self.text(path)?)))
    }

    /// Every Rust file.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| has_ending(path, "rs"))
    }

    /// Whether a file or a folder stands there.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path) || self.paths().any(|file| file.starts_with(&folder))
    }

    /// Names directly below a folder, files and folders alike, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .paths()
            .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'))
            .filter_map(|below| below.split('/').next())
            .collect();
        names.dedup();
        names
    }

    /// Adds or replaces a file.
    pub(crate) fn set(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.files.insert(path.into(), text.into().into_bytes());
    }

    /// Makes `folder` hold exactly this tree. A file that is the same already keeps its time of change,
    /// so that cargo builds only what differs.
    pub(crate) fn write_to(&self, folder: &Path) -> Result<()> {
        for path in walk_if_there(folder)? {
            if !self.files.contains_key(&path) {
                fs::remove_file(folder.join(&path)).with_context(|| format!("remove {path}"))?;
            }
        }
        self.files
            .iter()
            .try_for_each(|(path, bytes)| write_if_different(&folder.join(path), bytes))
    }

    /// The paths of files that are not the same in `before`.
    pub(crate) fn differences(&self, before: &Self) -> Vec<&str> {
        self.files
            .iter()
            .filter(|(path, bytes)| before.files.get(*path) != Some(*bytes))
            .map(|(path, _)| path.as_str())
            .collect()
    }

    /// Writes the files that differ from `before` below `root`, and returns their paths.
    pub(crate) fn write_changes(&self, before: &Self, root: &Path) -> Result<Vec<&str>> {
        let changed = self.differences(before);
        for path in &changed {
            let bytes = self.files.get(*path).map_or(&[][..], Vec::as_slice);
            write_if_different(&root.join(path), bytes)?;
        }
        Ok(changed)
    }
}

#[cfg(test)]
impl Tree {
    /// A small tree for a test.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.set(*path, *text);
        }
        tree
    }
}

/// Whether a file name ends like this, behind its last dot.
pub(crate) fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, own)| own == ending)
}

fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let listing = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(listing.stdout).ok()?;
    Some(
        text.split('\0')
            .filter(|path| !path.is_empty())
            .map(String::from)
            .collect(),
    )
}

fn walk_if_there(folder: &Path) -> Result<Vec<String>> {
    if folder.is_dir() {
        walk(folder)
    } else {
        Ok(Vec::new())
    }
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            if SKIPPED.iter().any(|skipped| name == *skipped) {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if let Some(below) = path.strip_prefix(root)?.to_str() {
                found.push(below.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn write_if_different(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))?;
    if bytes.starts_with(b"#!") {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
