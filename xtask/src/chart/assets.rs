//! Alerts and dashboards in the chart: copies of those in `assets/`, since helm reads nothing outside of a chart.

use anyhow::{Context as _, Result, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const RULES: &str = "assets/prometheus/rules.yml";
const DASHBOARDS: &str = "assets/grafana";

/// Copies them into the chart, and removes what is no longer there.
pub(super) fn sync(root: &Path, chart: &str) -> Result<()> {
    let folder = root.join(chart).join("files");
    let wanted = wanted(root)?;
    for name in present(&folder)?.into_keys() {
        if !wanted.contains_key(&name) {
            fs::remove_file(folder.join(name))?;
        }
    }
    for (name, text) in wanted {
        let path = folder.join(name);
        let parent = path.parent().context("a file without a folder")?;
        fs::create_dir_all(parent)?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// An error unless the copies are equal.
pub(super) fn check(root: &Path, chart: &str) -> Result<()> {
    let (wanted, present) = (wanted(root)?, present(&root.join(chart).join("files"))?);
    for name in wanted.keys().chain(present.keys()) {
        ensure!(
            wanted.get(name) == present.get(name),
            "{chart}/files/{} differs from assets/: run `cargo xtask chart --sync`",
            name.display()
        );
    }
    Ok(())
}

/// What must be in the chart.
fn wanted(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let rules = root.join(RULES);
    if rules.is_file() {
        files.insert(PathBuf::from("rules.yml"), fs::read(rules)?);
    }
    let dashboards = root.join(DASHBOARDS);
    if dashboards.is_dir() {
        for (name, text) in present(&dashboards)? {
            if name
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.insert(Path::new("dashboards").join(name), text);
            }
        }
    }
    Ok(files)
}

/// The files of a folder, and of the folders in it.
fn present(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        if entry.file_type()?.is_dir() {
            let inner = present(&entry.path())?;
            files.extend(
                inner
                    .into_iter()
                    .map(|(path, text)| (name.join(path), text)),
            );
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_become_equal_and_stay_so() {
        let root = std::env::temp_dir().join(format!("weir-chart-assets-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(RULES, "groups: []");
        write("assets/grafana/overview.json", "{}");
        write("assets/grafana/README.md", "no dashboard");
        write("chart/files/dashboards/gone.json", "{}");
        assert!(check(&root, "chart").is_err());
        sync(&root, "chart").unwrap();
        check(&root, "chart").unwrap();
        assert!(!root.join("chart/files/dashboards/gone.json").exists());
        write("assets/grafana/overview.json", "{\"a\":1}");
        let error = check(&root, "chart").unwrap_err().to_string();
        assert!(error.contains("dashboards/overview.json"), "{error}");
        fs::remove_dir_all(&root).unwrap();
    }
}
