//! Python environments below `target/`, each with exactly the packages of a list.

use crate::{packages, process, stamp};
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Makes an empty environment in a folder that may exist.
pub(crate) fn environment(folder: &Path) -> Result<PathBuf> {
    packages::ensure_program("python3", "python3")?;
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(folder);
    process::run(&mut make).context("make a Python environment; Debian needs python3-venv")?;
    Ok(folder.to_path_buf())
}

/// Makes sure that an environment holds the packages of a list, one a line; nothing happens when it already does.
pub(crate) fn ensure(folder: &Path, requirements: &str) -> Result<()> {
    stamp::ensure(folder, requirements, || {
        environment(folder)?;
        let list = folder.join("requirements.txt");
        fs::write(&list, requirements).with_context(|| format!("write {}", list.display()))?;
        let mut install = Command::new(folder.join("bin/pip"));
        install.args(["install", "--quiet", "--requirement"]);
        process::run(install.arg(&list))
    })
}
