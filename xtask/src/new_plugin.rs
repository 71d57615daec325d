//! `cargo xtask new-plugin KIND_NAME`: a small plugin that works and passes every check, to be changed into another.
//!
//! A filter goes on the shelf: one file, a section of the README, a line in `lib.rs`. An input or an output
//! becomes a package. The list of plugins and the manifests get their lines in order.

mod insert;
mod trial;

use crate::{
    docs, tidy,
    tree::{self, Tree},
};
use anyhow::{Context as _, Result, bail, ensure};

pub(crate) use self::trial::check;

/// Where filters stand.
const SHELF: &str = "plugins/filters";
/// Names that Rust or the shelf needs for itself.
const TAKEN: [&str; 14] = [
    "as", "box", "const", "dyn", "else", "enum", "if", "in", "lib", "match", "mod", "move",
    "tests", "type",
];

/// What a kind of plugin is made from.
struct Kind {
    prefix: &'static str,
    code: &'static str,
    readme: &'static str,
    description: &'static str,
    dependencies: &'static [&'static str],
    dev_dependencies: &'static [&'static str],
}

const FILTER: Kind = Kind {
    prefix: "filter_",
    code: include_str!("../templates/filter.rs.tmpl"),
    readme: include_str!("../templates/filter.md.tmpl"),
    description: "",
    dependencies: &[],
    dev_dependencies: &[],
};

const INPUT: Kind = Kind {
    prefix: "in_",
    code: include_str!("../templates/input.rs.tmpl"),
    readme: include_str!("../templates/input.md.tmpl"),
    description: "Input: an event with a fixed message, at an interval",
    dependencies: &["schemars", "sdk", "serde", "serde_json", "tokio", "tracing"],
    dev_dependencies: &[],
};

const OUTPUT: Kind = Kind {
    prefix: "out_",
    code: include_str!("../templates/output.rs.tmpl"),
    readme: include_str!("../templates/output.md.tmpl"),
    description: "Output: takes records up to a size and counts them",
    dependencies: &["schemars", "sdk", "serde", "serde_json"],
    dev_dependencies: &["tokio"],
};

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let [name] = args else {
        bail!("usage: cargo xtask new-plugin filter_NAME | in_NAME | out_NAME");
    };
    let root = tree::root()?;
    let before = Tree::load(&root)?;
    let mut after = before.clone();
    create(&mut after, name)?;
    for path in after.write_changes(&before, &root)? {
        println!("{path}");
    }
    println!("building weir, to fill the parameter table ...");
    docs::update(&root)?;
    println!("{name} works and is tested. Change it into what you want, then run");
    println!("  cargo xtask docs");
    println!("  cargo xtask test --only fmt tidy clippy unit docs");
    Ok(())
}

/// Adds a plugin to the tree.
fn create(tree: &mut Tree, package: &str) -> Result<()> {
    let kinds = [FILTER, INPUT, OUTPUT];
    let kind = kinds.iter().find(|kind| package.starts_with(kind.prefix));
    let Some((kind, name)) = kind.and_then(|kind| Some((kind, package.strip_prefix(kind.prefix)?)))
    else {
        bail!("`{package}` does not begin with filter_, in_ or out_");
    };
    let plain =
        |letter: char| letter == '_' || letter.is_ascii_lowercase() || letter.is_ascii_digit();
    ensure!(
        name.starts_with(|letter: char| letter.is_ascii_lowercase()) && name.chars().all(plain),
        "`{name}` is not a name: write lower-case letters, digits and `_`, a letter first"
    );
    let rust_path = if kind.prefix == FILTER.prefix {
        ensure!(
            !TAKEN.contains(&name),
            "`{name}` is not free: choose another name"
        );
        format!("filters::{name}")
    } else {
        package.to_owned()
    };
    let twin = tidy::plugins(tree)
        .iter()
        .any(|plugin| plugin.rust_path == rust_path);
    ensure!(!twin, "`{rust_path}` exists already");
    if kind.prefix == FILTER.prefix {
        put_on_shelf(tree, name)?;
    } else {
        make_package(tree, kind, package, name)?;
    }
    edit(tree, tidy::LIST, |text| {
        insert::list_entry(text, &rust_path)
    })
}

fn put_on_shelf(tree: &mut Tree, name: &str) -> Result<()> {
    let code = format!("{SHELF}/src/{name}.rs");
    ensure!(!tree.exists(&code), "{code} exists already");
    tree.set(code, fill(FILTER.code, name, name));
    edit(tree, &format!("{SHELF}/src/lib.rs"), |text| {
        insert::module(text, name)
    })?;
    let section = fill(FILTER.readme, name, name);
    edit(tree, &format!("{SHELF}/README.md"), |text| {
        Some(insert::section(text, name, &section))
    })
}

fn make_package(tree: &mut Tree, kind: &Kind, package: &str, name: &str) -> Result<()> {
    let folder = format!("plugins/{package}");
    ensure!(!tree.exists(&folder), "{folder} exists already");
    let testing = "sdk = { workspace = true, features = [\"testing\"] }\n".to_owned();
    let manifest = include_str!("../templates/manifest.toml.tmpl")
        .replace("@description@", kind.description)
        .replace("@dependencies@", &inherited(kind.dependencies))
        .replace(
            "@dev_dependencies@",
            &(testing + &inherited(kind.dev_dependencies)),
        );
    tree.set(
        format!("{folder}/Cargo.toml"),
        fill(&manifest, package, name),
    );
    tree.set(
        format!("{folder}/README.md"),
        fill(kind.readme, package, name),
    );
    tree.set(
        format!("{folder}/src/lib.rs"),
        fill(kind.code, package, name),
    );
    edit(tree, "Cargo.toml", |text| {
        insert::manifest_lines(text, package)
    })
}

/// One line per dependency, as a manifest has them.
fn inherited(names: &[&str]) -> String {
    let mut lines = String::new();
    for name in names {
        lines += name;
        lines += ".workspace = true\n";
    }
    lines
}

fn fill(template: &str, package: &str, name: &str) -> String {
    template
        .replace("@package@", package)
        .replace("@name@", name)
}

/// Changes a file; an error that names it when there is no place for the change.
fn edit(tree: &mut Tree, path: &str, change: impl FnOnce(&str) -> Option<String>) -> Result<()> {
    let text = tree
        .text(path)
        .with_context(|| format!("{path} is missing"))?;
    let changed = change(text).with_context(|| format!("{path} has no place for the plugin"))?;
    tree.set(path, changed);
    Ok(())
}

#[cfg(test)]
mod tests;
