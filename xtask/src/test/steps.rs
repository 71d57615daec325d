//! THE list of steps of `cargo xtask test`, and the short ones among them.

use crate::{
    assets, chart, clients, deny, docs, fuzz, image, new_plugin, packages, process, servers, tidy,
    tree::Tree,
};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{path::Path, process::Command};

/// One step; the path is the root of the repository.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn(&Path) -> Result<()>,
}

/// What the steps need from the system besides a Rust toolchain, Python, Node, Go and Java.
const PACKAGES: &[&str] = &["git", "python3-venv", "strace", "e2fsprogs", "mount"];
/// A snapshot that differs is a failure, not a new file in the checkout.
const SNAPSHOTS: [(&str, &str); 1] = [("INSTA_UPDATE", "no")];
/// The test target that needs servers and clients.
const BLACK_BOX: &str = "blackbox";

/// Every step, in order: the quick ones first, and each before what needs it.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "packages",
        about: "missing system packages",
        run: |_| packages::ensure(PACKAGES),
    },
    Step {
        name: "fmt",
        about: "format",
        run: |root| cargo(root, "fmt --all --check"),
    },
    Step {
        name: "tidy",
        about: "the rules of the house",
        run: |root| tidy::report(Tree::load(root)?),
    },
    Step {
        name: "deny",
        about: "licences, rivals, duplicates",
        run: |_| deny::run(&[]),
    },
    Step {
        name: "clippy",
        about: "lints, warnings denied",
        run: clippy,
    },
    Step {
        name: "rustdoc",
        about: "links in the documentation of the code",
        run: rustdoc,
    },
    Step {
        name: "docs",
        about: "generated pages are fresh",
        run: docs::check,
    },
    Step {
        name: "unit",
        about: "unit, property and documentation tests",
        run: unit,
    },
    Step {
        name: "new-plugin",
        about: "a new plugin of each kind passes all checks",
        run: new_plugin::check,
    },
    Step {
        name: "fuzz",
        about: "every fuzz target from its corpus on, 60 s in all",
        run: fuzz::check,
    },
    Step {
        name: "servers",
        about: "real Elasticsearch, also with its security, and OpenSearch",
        run: |_| servers::ensure(servers::Set::Daily),
    },
    Step {
        name: "clients",
        about: "real fluent loggers",
        run: |_| clients::ensure(),
    },
    Step {
        name: "assets",
        about: "alert rules, dashboards and saved objects",
        run: |_| assets::check(),
    },
    Step {
        name: "blackbox",
        about: "the built binary, spoken to from outside",
        run: black_box,
    },
    Step {
        name: "image",
        about: "the container image",
        run: |_| image::check(),
    },
    Step {
        name: "chart",
        about: "the Helm chart",
        run: |_| chart::check(),
    },
];

/// Runs cargo with the words of `line`.
fn cargo(root: &Path, line: &str) -> Result<()> {
    let words = line.split(' ');
    process::run(process::cargo().args(words).current_dir(root))
}

/// Lints everything, and the engine once more with its deliberate defects.
fn clippy(root: &Path) -> Result<()> {
    cargo(root, "clippy --workspace --all-targets -- -D warnings")?;
    cargo(
        root,
        "clippy --package weir --features defects --all-targets -- -D warnings",
    )
}

fn rustdoc(root: &Path) -> Result<()> {
    let mut command = process::cargo();
    command.args(["doc", "--workspace", "--no-deps", "--quiet"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings").current_dir(root))
}

/// Everything that cargo tests, but for the black box. Deliberate defects are there, and switched on by no one but the
/// test that they are noticed by.
fn unit(root: &Path) -> Result<()> {
    let mut command = process::cargo();
    command.current_dir(root);
    command.args(["test", "--workspace", "--features", "weir/defects"]);
    command.args(["--no-fail-fast", "--lib", "--bins"]);
    for target in test_targets(&metadata(root)?) {
        command.args(["--test", &target]);
    }
    let tests = process::run(command.envs(SNAPSHOTS));
    let examples = cargo(root, "test --workspace --no-fail-fast --doc");
    tests.and(examples)
}

fn metadata(root: &Path) -> Result<Value> {
    let mut command = process::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = process::output(command.current_dir(root))?;
    serde_json::from_str(&text).context("read the answer of cargo metadata")
}

/// The integration tests of all packages, but for the black box.
fn test_targets(metadata: &Value) -> Vec<String> {
    let list = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut found: Vec<String> = list(metadata, "packages")
        .iter()
        .flat_map(|package| list(package, "targets"))
        .filter(|target| list(target, "kind").iter().any(|kind| kind == "test"))
        .filter_map(|target| Some(target.get("name")?.as_str()?.to_owned()))
        .filter(|name| name != BLACK_BOX)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn black_box(root: &Path) -> Result<()> {
    let mut command = process::cargo();
    command.args(["test", "--features", "defects", "--test", BLACK_BOX]);
    process::run(command.envs(SNAPSHOTS).current_dir(root))
}

/// What git sees as changed, one line per file; nothing outside a checkout.
pub(super) fn changes(root: &Path) -> Vec<String> {
    let mut command = Command::new("git");
    command.args(["status", "--porcelain"]).current_dir(root);
    let listing = command.output().map(|output| output.stdout);
    String::from_utf8_lossy(&listing.unwrap_or_default())
        .lines()
        .map(String::from)
        .collect()
}

/// An error when git sees changes that it did not see before.
pub(super) fn unchanged(before: &[String], root: &Path) -> Result<()> {
    let mut new = changes(root);
    new.retain(|line| !before.contains(line));
    if new.is_empty() {
        return Ok(());
    }
    bail!("a step changed or left {}", new.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_tests_are_found_but_for_the_black_box() {
        let target = |name: &str, kind: &str| serde_json::json!({ "name": name, "kind": [kind] });
        let metadata = serde_json::json!({ "packages": [
            { "targets": [target("weir", "lib"), target("tidy", "test"), target("blackbox", "test")] },
            { "targets": [target("cases", "test")] },
        ] });
        assert_eq!(test_targets(&metadata), ["cases", "tidy"]);
    }

    #[test]
    fn every_step_has_its_own_name() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
