//! `cargo xtask docs`: fills what the manuals take from the code: parameter tables, and the schema for editors.
//!
//! The doc comments of the `Config` types are the manual. The built binary prints them, so that page,
//! terminal and code cannot differ.

use crate::{
    process,
    tidy::{self, Plugin},
    tree::{self, Tree},
};
use anyhow::{Context as _, Result, bail};
use std::path::Path;

/// What a parameter table stands between.
const OPEN: &str = "<!-- parameters -->";
const CLOSE: &str = "<!-- /parameters -->";
/// The schema of the whole configuration, for editors.
const SCHEMA: &str = "docs/config.schema.json";

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let root = tree::root()?;
    match args {
        [] => {
            for path in update(&root)? {
                println!("{path}");
            }
            Ok(())
        }
        ["--check"] => check(&root),
        _ => bail!("usage: cargo xtask docs [--check]"),
    }
}

/// Writes every generated part below `root` and returns the paths of what changed.
pub(crate) fn update(root: &Path) -> Result<Vec<String>> {
    let before = Tree::load(root)?;
    let after = generate(&before, root)?;
    let written = after.write_changes(&before, root)?;
    Ok(written.into_iter().map(String::from).collect())
}

/// An error when a generated part is not what would be written now.
pub(crate) fn check(root: &Path) -> Result<()> {
    let before = Tree::load(root)?;
    let after = generate(&before, root)?;
    let stale = after.differences(&before);
    if stale.is_empty() {
        return Ok(());
    }
    bail!("stale: {}; run `cargo xtask docs`", stale.join(", "))
}

fn generate(before: &Tree, root: &Path) -> Result<Tree> {
    let mut tree = before.clone();
    for plugin in tidy::plugins(before) {
        // An input and an output may have one name, or a parser and a formatter; with its kind it is one of them.
        let name = match plugin.section {
            None => plugin.rust_path.as_str(),
            Some(_) => &plugin.kind_and_type(),
        };
        let table = weir(root, &["plugins", name, "--markdown"])?;
        fill(&mut tree, &plugin, &table)?;
    }
    let commands = weir(root, &["--help"])?;
    if commands
        .lines()
        .any(|line| line.trim_start().starts_with("schema "))
    {
        let schema = weir(root, &["schema"])?;
        tree.set(SCHEMA, format!("{}\n", schema.trim_end()));
    }
    Ok(tree)
}

/// What the binary prints, built from the tree below `root`.
fn weir(root: &Path, args: &[&str]) -> Result<String> {
    let mut command = process::cargo();
    command.args(["run", "--quiet", "--package", "weir", "--"]);
    process::output(command.args(args).current_dir(root))
}

/// Puts the table of a plugin between its markers.
fn fill(tree: &mut Tree, plugin: &Plugin, table: &str) -> Result<()> {
    let path = plugin.readme.as_str();
    let page = tree
        .text(path)
        .with_context(|| format!("{path} is missing"))?;
    let part = match &plugin.section {
        None => page,
        Some(name) => {
            let section = tidy::section(page, name);
            section
                .with_context(|| format!("{path} has no section `## {name}`"))?
                .1
        }
    };
    let filled = between_markers(part, table)
        .with_context(|| format!("{path} lacks {OPEN} and {CLOSE} for {}", plugin.rust_path))?;
    let page = page.replacen(part, &filled, 1);
    tree.set(path, page);
    Ok(())
}

fn between_markers(part: &str, table: &str) -> Option<String> {
    let (before, rest) = part.split_once(OPEN)?;
    let (_, behind) = rest.split_once(CLOSE)?;
    Some(format!(
        "{before}{OPEN}\n\n{}\n\n{CLOSE}{behind}",
        table.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_between_its_markers_and_only_there() {
        let page = "# Filters\n\n## a\n\n<!-- parameters -->\n<!-- /parameters -->\n\n## b\n\n\
            <!-- parameters -->\nold\n<!-- /parameters -->\nrest\n";
        let mut tree = Tree::of(&[
            ("plugins/filters/src/lib.rs", "pub mod a;\npub mod b;\n"),
            ("plugins/filters/README.md", page),
        ]);
        let plugins = tidy::plugins(&tree);
        fill(&mut tree, &plugins[1], "| new |\n").unwrap();
        let text = tree.text("plugins/filters/README.md").unwrap();
        assert_eq!(text, page.replace("old", "\n| new |\n"));
        fill(&mut tree, &plugins[1], "| new |\n").unwrap();
        assert_eq!(
            tree.text("plugins/filters/README.md").unwrap(),
            page.replace("old", "\n| new |\n")
        );
    }

    #[test]
    fn missing_markers_are_an_error_that_names_the_page() {
        let mut tree = Tree::of(&[("plugins/in_a/README.md", "# in_a\n")]);
        let plugin = tidy::plugins(&tree).remove(0);
        let error = fill(&mut tree, &plugin, "").unwrap_err();
        assert!(
            error.to_string().contains("plugins/in_a/README.md"),
            "{error}"
        );
    }
}
