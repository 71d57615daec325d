//! The one-folder contract: what every plugin has, and that the list of plugins is complete.

use super::{Finding, Repository};
use crate::tree::Tree;
use toml::{Table, Value};

/// The only file of the engine that names plugins.
pub(crate) const LIST: &str = "src/plugins.rs";
/// What a parameter table stands between.
pub(crate) const MARKERS: [&str; 2] = ["<!-- parameters -->", "<!-- /parameters -->"];

/// First part of the name of a package that is one plugin.
const KINDS: [&str; 5] = ["in_", "out_", "filter_", "parser_", "formatter_"];
/// Packages that hold one plugin per file.
const SHELVES: [&str; 3] = ["filters", "parsers", "formatters"];
/// What every package takes from the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// A plugin as the tree shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plugin {
    /// How `src/plugins.rs` names it: `in_forward`, `filters::grep`.
    pub(crate) rust_path: String,
    /// The README that describes it.
    pub(crate) readme: String,
    /// Its section there, by the second-level heading; `None` when the whole file is about it.
    pub(crate) section: Option<String>,
}

impl Plugin {
    /// The name by which `weir plugins` knows a plugin of a shelf: `filter_grep`, `parser_json`.
    pub(crate) fn kind_and_type(&self) -> String {
        let path = self.rust_path.split_once("::");
        let kind = path.map_or("", |(shelf, _)| shelf.trim_end_matches('s'));
        format!("{kind}_{}", self.type_name())
    }

    /// The value of `type` in a configuration.
    pub(crate) fn type_name(&self) -> &str {
        self.rust_path
            .split_once("::")
            .or_else(|| self.rust_path.split_once('_'))
            .map_or(&self.rust_path, |(_, name)| name)
    }
}

/// Whether a package holds one plugin, by its name.
pub(super) fn is_plugin(package: &str) -> bool {
    KINDS.iter().any(|kind| package.starts_with(kind))
}

/// Whether a package is a shelf of plugins.
pub(super) fn is_shelf(package: &str) -> bool {
    SHELVES.contains(&package)
}

/// Every plugin of the tree, in the order in which the list names them.
pub(crate) fn plugins(tree: &Tree) -> Vec<Plugin> {
    let mut found = Vec::new();
    for package in tree.names("plugins") {
        let readme = format!("plugins/{package}/README.md");
        if is_plugin(package) {
            found.push(Plugin {
                rust_path: package.to_owned(),
                readme,
                section: None,
            });
        } else if is_shelf(package) {
            found.extend(public_modules(tree, package).map(|module| Plugin {
                rust_path: format!("{package}::{module}"),
                readme: readme.clone(),
                section: Some(module.to_owned()),
            }));
        }
    }
    found.sort_by(|left, right| left.rust_path.cmp(&right.rust_path));
    found
}

/// The plugins of a shelf are its public modules.
fn public_modules<'a>(tree: &'a Tree, shelf: &str) -> impl Iterator<Item = &'a str> {
    tree.text(&format!("plugins/{shelf}/src/lib.rs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
}

/// The first line that fits, counted from 1; 1 when none does.
pub(super) fn line_of(text: &str, fits: impl Fn(&str) -> bool) -> usize {
    text.lines().position(fits).map_or(1, |index| index + 1)
}

/// Every package inherits what the workspace settles, and a plugin has its README and its descriptor.
pub(super) fn packages(repository: &Repository) -> Vec<Finding> {
    let tree = &repository.tree;
    let mut findings = Vec::new();
    for package in tree.names("plugins") {
        let folder = format!("plugins/{package}");
        manifest(tree, &folder, package, &mut findings);
        let code = format!("{folder}/src/lib.rs");
        if !tree.exists(&code) {
            findings.push(Finding::new(&code, 1, "is missing"));
        } else if is_plugin(package) {
            has_descriptor(tree, &code, &format!("{folder}/src/"), &mut findings);
        }
    }
    for Plugin {
        readme, section, ..
    } in plugins(tree)
    {
        if section.is_none() {
            let Some(text) = tree.text(&readme) else {
                findings.push(Finding::new(
                    &readme,
                    1,
                    "is missing: purpose, example, parameters",
                ));
                continue;
            };
            described(&readme, 1, text, &mut findings);
        }
    }
    manifest(tree, "xtask", "xtask", &mut findings);
    findings
}

fn manifest(tree: &Tree, folder: &str, package: &str, findings: &mut Vec<Finding>) {
    let path = format!("{folder}/Cargo.toml");
    let Some(text) = tree.text(&path) else {
        findings.push(Finding::new(&path, 1, "is missing"));
        return;
    };
    // What is no TOML is reported by the rule about dependencies.
    let manifest = text.parse::<Table>().unwrap_or_default();
    let own = manifest.get("package").and_then(Value::as_table);
    let own = own.cloned().unwrap_or_default();
    let name = own.get("name").and_then(Value::as_str).unwrap_or_default();
    if name != package {
        let message = format!("package `{name}` stands in the folder `{package}`: use one name");
        findings.push(Finding::new(
            &path,
            line_of(text, |line| line.starts_with("name")),
            message,
        ));
    }
    if own
        .get("description")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        findings.push(Finding::new(&path, 1, "has no description"));
    }
    let inherits = |value: Option<&Value>| {
        value
            .and_then(|value| value.get("workspace"))
            .and_then(Value::as_bool)
            == Some(true)
    };
    for field in INHERITED {
        if !inherits(own.get(field)) {
            let line = line_of(text, |line| line.starts_with(field));
            findings.push(Finding::new(
                &path,
                line,
                format!("write `{field}.workspace = true`"),
            ));
        }
    }
    let lints = manifest.get("lints");
    if lints
        .and_then(|lints| lints.get("workspace"))
        .and_then(Value::as_bool)
        != Some(true)
    {
        let message = "write `[lints]` and `workspace = true`";
        findings.push(Finding::new(&path, 1, message));
    }
}

/// A plugin has its descriptor in `path`, and its `Config` there or in a file below `folder`.
fn has_descriptor(tree: &Tree, path: &str, folder: &str, findings: &mut Vec<Finding>) {
    let has = |text: &str, start: &str| text.lines().any(|line| line.starts_with(start));
    let text = tree.text(path).unwrap_or_default();
    if !has(text, "pub static PLUGIN: ") {
        let message = "has no `pub static PLUGIN: Descriptor`";
        findings.push(Finding::new(path, 1, message));
    }
    let config = "pub struct Config";
    let below = tree.rust().filter(|(file, _)| file.starts_with(folder));
    if !has(text, config) && !below.into_iter().any(|(_, text)| has(text, config)) {
        let message = "has no `pub struct Config`, here or in a file below";
        findings.push(Finding::new(path, 1, message));
    }
}

/// A README, or a section of one, has an example and the two markers, once and in order.
fn described(path: &str, line: usize, text: &str, findings: &mut Vec<Finding>) {
    if !text.lines().any(|line| line.trim() == "```toml") {
        findings.push(Finding::new(
            path,
            line,
            "has no example between ```toml and ```",
        ));
    }
    let marks: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| MARKERS.contains(line))
        .collect();
    if marks != MARKERS {
        let message = format!(
            "needs `{}` and `{}`, once and in this order",
            MARKERS[0], MARKERS[1]
        );
        findings.push(Finding::new(path, line, message));
    }
}

/// The section under `## name`, with its first line counted from 1.
pub(crate) fn section<'a>(text: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let heading = format!("## {name}");
    let mut start = None;
    let mut offset = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let is_heading = line.starts_with("# ") || line.starts_with("## ");
        if let (Some((first, from)), true) = (start, is_heading) {
            return Some((first, text.get(from..offset)?));
        }
        if line.trim_end() == heading {
            start = Some((number, offset));
        }
        offset += line.len();
    }
    let (first, from) = start?;
    Some((first, text.get(from..)?))
}

/// A plugin on a shelf is one file with a descriptor and one section of the README.
pub(super) fn shelves(repository: &Repository) -> Vec<Finding> {
    let tree = &repository.tree;
    let mut findings = Vec::new();
    for shelf in tree
        .names("plugins")
        .into_iter()
        .filter(|name| is_shelf(name))
    {
        let entry = format!("plugins/{shelf}/src/lib.rs");
        let readme = format!("plugins/{shelf}/README.md");
        let modules: Vec<&str> = public_modules(tree, shelf).collect();
        if !modules.is_sorted() {
            let line = line_of(tree.text(&entry).unwrap_or_default(), |line| {
                line.starts_with("pub mod ")
            });
            findings.push(Finding::new(&entry, line, "the modules are not sorted"));
        }
        for module in modules {
            let file = format!("plugins/{shelf}/src/{module}.rs");
            let folder = format!("plugins/{shelf}/src/{module}/mod.rs");
            let code = if tree.exists(&folder) { folder } else { file };
            let parts = format!("plugins/{shelf}/src/{module}/");
            has_descriptor(tree, &code, &parts, &mut findings);
            match section(tree.text(&readme).unwrap_or_default(), module) {
                Some((line, text)) => described(&readme, line, text, &mut findings),
                None => findings.push(Finding::new(
                    &readme,
                    1,
                    format!("has no section `## {module}`"),
                )),
            }
        }
    }
    findings
}

/// The list names every plugin, in order.
pub(super) fn list(repository: &Repository) -> Vec<Finding> {
    let text = repository.tree.text(LIST).unwrap_or_default();
    let named: Vec<(usize, &str)> = (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| {
            let name = line.trim().strip_prefix('&')?.strip_suffix("::PLUGIN,")?;
            Some((number, name))
        })
        .collect();
    let mut findings = Vec::new();
    for Plugin { rust_path, .. } in plugins(&repository.tree) {
        if !named.iter().any(|(_, name)| *name == rust_path) {
            let line = named.last().map_or(1, |(line, _)| *line);
            findings.push(Finding::new(
                LIST,
                line,
                format!("`{rust_path}` is missing"),
            ));
        }
    }
    for ((_, before), (line, name)) in named.iter().zip(named.iter().skip(1)) {
        if before >= name {
            findings.push(Finding::new(
                LIST,
                *line,
                format!("`{name}` stands behind `{before}`: sort the list"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests;
