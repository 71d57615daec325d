//! The proof that a new plugin passes every check: one of each kind, in a copy of the repository.

use super::create;
use crate::{
    docs, process,
    tidy::{self, Plugin},
    tree::Tree,
};
use anyhow::{Context as _, Result};
use std::{fs, path::Path};

/// One plugin of each kind; names that nobody would give.
const NAMES: [&str; 3] = ["filter_trial_keep", "in_trial_beat", "out_trial_count"];
/// The packages in which they stand.
const PACKAGES: [&str; 6] = [
    "--package",
    "filters",
    "--package",
    "in_trial_beat",
    "--package",
    "out_trial_count",
];
/// Where the copy stands; kept between runs so that cargo builds only what changed.
const COPY: &str = "target/new-plugin";
/// The copy shares what cargo builds on the way, but not the finished programs.
const SHARED_BUILD: &str = "\n[build]\nbuild-dir = \"..\"\ntarget-dir = \"target\"\n";

/// Makes the plugins in a copy of the repository and runs the checks there.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut tree = Tree::load(root)?;
    for name in NAMES {
        create(&mut tree, name)?;
    }
    let settings = tree.text(".cargo/config.toml").unwrap_or_default();
    tree.set(".cargo/config.toml", format!("{settings}{SHARED_BUILD}"));
    let manifest = another_version(tree.text("Cargo.toml").unwrap_or_default());
    tree.set("Cargo.toml", manifest);
    let copy = root.join(COPY);
    fs::create_dir_all(&copy).with_context(|| format!("make {COPY}"))?;
    tree.write_to(&copy)?;

    let cargo = |args: &[&str]| process::run(process::cargo().args(args).current_dir(&copy));
    cargo(&[&["fmt", "--check"], &PACKAGES[..]].concat())?;
    docs::update(&copy)?;
    tidy::report(Tree::load(&copy)?)?;
    let examples = tidy::plugins(&tree).into_iter();
    for plugin in examples.filter(|plugin| plugin.rust_path.contains("trial_")) {
        run_example(&tree, &plugin, &copy)?;
    }
    cargo(
        &[
            &["clippy", "--quiet", "--all-targets"],
            &PACKAGES[..],
            &["--", "-D", "warnings"],
        ]
        .concat(),
    )?;
    cargo(&[&["test", "--quiet", "--lib"], &PACKAGES[..]].concat())
}

/// The manifest with another version of our packages. Cargo tells packages apart by name and version, and would take
/// what it built from the copy for fresh in the repository, however that changes.
fn another_version(manifest: &str) -> String {
    let rename = |line: &str| match line.strip_prefix("version = ") {
        Some(version) => format!("version = \"{}-trial\"\n", version.trim_matches('"')),
        None => format!("{line}\n"),
    };
    manifest.lines().map(rename).collect()
}

/// Lets the router check the example of a plugin's manual.
fn run_example(tree: &Tree, plugin: &Plugin, copy: &Path) -> Result<()> {
    let page = tree.text(&plugin.readme).unwrap_or_default();
    let part = match &plugin.section {
        Some(name) => tidy::section(page, name).map_or("", |(_, text)| text),
        None => page,
    };
    let example = part
        .split_once("```toml\n")
        .and_then(|(_, rest)| rest.split_once("```"));
    let (example, _) = example.with_context(|| format!("{} has no example", plugin.readme))?;
    let path = copy.join("target/example.toml");
    fs::write(&path, example).context("write the example")?;
    let mut command = process::cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "weir",
        "--",
        "check",
        "--config",
    ]);
    process::run(command.arg(path).current_dir(copy))
}

#[cfg(test)]
mod tests {
    use super::another_version;

    #[test]
    fn only_our_version_is_another() {
        let manifest =
            "[workspace.package]\nversion = \"0.1.0\"\n[dependencies]\na = { version = \"1\" }\n";
        let expected = manifest.replace("0.1.0", "0.1.0-trial");
        assert_eq!(another_version(manifest), expected);
    }
}
