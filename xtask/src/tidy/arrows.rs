//! Rules about who may know whom: packages by their manifests, rooms of the engine by their paths.

use super::{
    Finding, Repository,
    contract::{self, line_of},
    source::{Source, Token},
};
use toml::{Table, Value};

/// The rooms of `src/` from the top down, each with those it may import from.
const ROOMS: [(&str, &[&str]); 11] = [
    (
        "cli",
        &[
            "cat",
            "admin",
            "runtime",
            "pipeline",
            "output",
            "buffer",
            "router",
            "config",
            "telemetry",
            "plugins",
        ],
    ),
    ("cat", &[]),
    (
        "admin",
        &[
            "runtime",
            "pipeline",
            "output",
            "buffer",
            "router",
            "config",
            "telemetry",
        ],
    ),
    (
        "runtime",
        &[
            "pipeline",
            "output",
            "buffer",
            "router",
            "config",
            "telemetry",
        ],
    ),
    (
        "pipeline",
        &["output", "buffer", "router", "config", "telemetry"],
    ),
    ("output", &["buffer", "config", "telemetry"]),
    ("buffer", &["config", "telemetry"]),
    ("router", &["config", "telemetry"]),
    ("config", &["telemetry"]),
    ("telemetry", &[]),
    ("plugins", &[]),
];

/// Kinds of dependency tables in a manifest.
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Shelves that the tests of a plugin may use: what they hold is named in tables inside other plugins.
const FOR_TESTS: [&str; 2] = ["parsers", "formatters"];

/// A plugin depends on libraries of the house only, and every dependency is inherited.
pub(super) fn manifests(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours: Vec<&str> = repository.tree.names("plugins");
    for (path, text) in repository.tree.texts() {
        let Some(folder) = path
            .strip_suffix("/Cargo.toml")
            .filter(|folder| folder.starts_with("plugins/") || *folder == "xtask")
        else {
            continue;
        };
        let Ok(manifest) = text.parse::<Table>() else {
            findings.push(Finding::new(path, 1, "is not TOML"));
            continue;
        };
        for (kind, name, value) in dependencies(&manifest) {
            let line = line_of(text, |line| line.starts_with(name));
            if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                let message = format!(
                    "`{name}`: write `{name}.workspace = true`, the version stands in the root"
                );
                findings.push(Finding::new(path, line, message));
            }
            let package = folder.trim_start_matches("plugins/");
            let is_for_tests = kind == "dev-dependencies" && FOR_TESTS.contains(&name);
            if package != "xtask"
                && package != name
                && !is_for_tests
                && is_forbidden(package, name, &ours)
            {
                let message = format!(
                    "`{package}` may not depend on `{name}`: a plugin knows the SDK and libraries only"
                );
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    findings
}

/// Every dependency of a manifest, also those under `[target.*]`, with the kind of its table.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&'static str, &str, &Value)> {
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values().filter_map(Value::as_table));
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|table| DEPENDENCY_TABLES.map(|kind| (kind, table.get(kind))))
        .filter_map(|(kind, table)| Some((kind, table?.as_table()?)))
        .flat_map(|(kind, table)| {
            let named = table.iter();
            named.map(move |(name, value)| (kind, name.as_str(), value))
        })
}

/// Whether `package` may not depend on `name`: the engine, a plugin or a shelf; the SDK on nothing of ours.
fn is_forbidden(package: &str, name: &str, ours: &[&str]) -> bool {
    let is_library =
        ours.contains(&name) && !contract::is_plugin(name) && !contract::is_shelf(name);
    let is_ours = ours.contains(&name) || matches!(name, "weir" | "xtask");
    is_ours && (!is_library || package == "sdk")
}

/// Imports inside `src/` point downwards.
pub(super) fn imports(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in repository.rust() {
        let Some(module) = module_of(path) else {
            continue;
        };
        let Some(room) = module.first() else {
            continue;
        };
        let Some((_, below)) = ROOMS.iter().find(|(name, _)| name == room) else {
            let message = format!(
                "`{room}` has no place in the order of rooms: give it one in xtask/src/tidy/arrows.rs"
            );
            findings.push(Finding::new(path, 1, message));
            continue;
        };
        for (line, target) in imported_rooms(source, &module) {
            let known = ROOMS.iter().any(|(name, _)| *name == target);
            if known && target != *room && !below.contains(&target.as_str()) {
                let message = format!(
                    "`{room}` imports from `{target}`, which stands above or beside it: hand it in as a trait object"
                );
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    findings
}

/// The path of the module that a file of `src/` holds; `None` for the root and for files elsewhere.
fn module_of(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") {
        return None;
    }
    Some(path.split('/').map(String::from).collect())
}

/// The rooms that paths from `crate` or through `super` lead to, with their lines.
fn imported_rooms(source: &Source, module: &[String]) -> Vec<(usize, String)> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    let mut inner = InnerModules::default();
    for (index, token) in tokens.iter().enumerate() {
        inner.step(source, index);
        let starts = matches!(token.text.as_str(), "crate" | "super")
            && source.token(index + 1) == "::"
            && source.before(index) != "::";
        if !starts {
            continue;
        }
        let mut paths = Vec::new();
        expand(tokens, index, &mut Vec::new(), &mut paths);
        let base: Vec<String> = module.iter().chain(&inner.names).cloned().collect();
        let lines = paths.into_iter().filter_map(|path| {
            let room = resolve(&base, &path)?;
            Some((token.line, room))
        });
        found.extend(lines);
    }
    found
}

/// The inline modules around the token that is looked at.
#[derive(Default)]
struct InnerModules {
    names: Vec<String>,
    /// For each open brace whether it opened a module.
    braces: Vec<bool>,
}

impl InnerModules {
    fn step(&mut self, source: &Source, index: usize) {
        match source.token(index) {
            "{" => {
                let is_module = index >= 2 && source.token(index - 2) == "mod";
                if is_module {
                    self.names.push(source.token(index - 1).to_owned());
                }
                self.braces.push(is_module);
            }
            "}" if self.braces.pop() == Some(true) => {
                self.names.pop();
            }
            _ => {}
        }
    }
}

/// Spreads `a::{b, c::{d}}` from `at` on into whole paths and returns where it ends.
fn expand(
    tokens: &[Token],
    at: usize,
    prefix: &mut Vec<String>,
    out: &mut Vec<Vec<String>>,
) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let depth = prefix.len();
    let mut at = at;
    loop {
        if text(at) == "{" {
            at += 1;
            while !matches!(text(at), "}" | "") {
                at = expand(tokens, at, prefix, out).max(at + 1);
                while !matches!(text(at), "," | "}" | "") {
                    at += 1;
                }
                if text(at) == "," {
                    at += 1;
                }
            }
            at += 1;
            break;
        }
        prefix.push(text(at).to_owned());
        if text(at + 1) != "::" {
            out.push(prefix.clone());
            at += 1;
            break;
        }
        at += 2;
    }
    prefix.truncate(depth);
    at
}

/// The room that a path leads to from inside the module `base`; `None` for the root itself.
fn resolve(base: &[String], path: &[String]) -> Option<String> {
    let mut place: Vec<&str> = base.iter().map(String::as_str).collect();
    for step in path {
        match step.as_str() {
            "crate" => place.clear(),
            "super" => drop(place.pop()),
            "self" => {}
            name => place.push(name),
        }
    }
    place.first().map(|room| (*room).to_owned())
}

/// Only the list names the packages of plugins.
pub(super) fn plugin_names(repository: &Repository) -> Vec<Finding> {
    let packages: Vec<&str> = repository
        .tree
        .names("plugins")
        .into_iter()
        .filter(|name| contract::is_plugin(name) || contract::is_shelf(name))
        .collect();
    let mut findings = Vec::new();
    for (path, source) in repository.rust() {
        if !path.starts_with("src/") || path == contract::LIST {
            continue;
        }
        for (index, token) in source.tokens.iter().enumerate() {
            let before = source.before(index);
            let is_path = source.token(index + 1) == "::" && !matches!(before, "::" | ".");
            let is_import = before == "use" && matches!(source.token(index + 1), ";" | "as");
            if packages.contains(&token.text.as_str()) && (is_path || is_import) {
                let message = format!(
                    "names the plugin `{}`: only {} does",
                    token.text,
                    contract::LIST
                );
                findings.push(Finding::new(path, token.line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
