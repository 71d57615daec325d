//! Each gap in a plugin's folder or in the list is found.

use super::{super::testing::check, *};

const MANIFEST: &str = "[package]\nname = \"in_a\"\ndescription = \"Input: a\"\nversion.workspace = true\n\
    edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\n\
    [lints]\nworkspace = true\n";
const CODE: &str = "//! A.\npub static PLUGIN: Descriptor = A;\npub struct Config {}\n";
const README: &str = "# in_a\n\n```toml\n```\n\n<!-- parameters -->\n<!-- /parameters -->\n";

#[track_caller]
fn check_package(manifest: &str, code: &str, readme: &str, expected: &[&str]) {
    let xtask = MANIFEST.replace("in_a", "xtask");
    let files = [
        ("plugins/in_a/Cargo.toml", manifest),
        ("plugins/in_a/src/lib.rs", code),
        ("plugins/in_a/README.md", readme),
        ("xtask/Cargo.toml", &xtask),
    ];
    check(packages, &files, expected);
}

#[test]
fn a_whole_folder_is_fine() {
    check_package(MANIFEST, CODE, README, &[]);
}

#[test]
fn what_a_manifest_must_inherit_is_found() {
    let manifest = MANIFEST
        .replace("in_a", "in_b")
        .replace("Input: a", "")
        .replace("edition.workspace = true", "edition = \"2021\"")
        .replace("[lints]\nworkspace = true\n", "");
    let expected = [
        "plugins/in_a/Cargo.toml:2: package `in_b` stands in the folder `in_a`: use one name",
        "plugins/in_a/Cargo.toml:1: has no description",
        "plugins/in_a/Cargo.toml:5: write `edition.workspace = true`",
        "plugins/in_a/Cargo.toml:1: write `[lints]` and `workspace = true`",
    ];
    check_package(&manifest, CODE, README, &expected);
}

#[test]
fn a_missing_descriptor_example_or_marker_is_found() {
    let expected = [
        "plugins/in_a/src/lib.rs:1: has no `pub static PLUGIN: Descriptor`",
        "plugins/in_a/src/lib.rs:1: has no `pub struct Config`, here or in a file below",
        "plugins/in_a/README.md:1: has no example between ```toml and ```",
        "plugins/in_a/README.md:1: needs `<!-- parameters -->` and `<!-- /parameters -->`, once and in this order",
    ];
    check_package(
        MANIFEST,
        "//! A.\n",
        "# in_a\n<!-- parameters -->\n",
        &expected,
    );
}

#[test]
fn missing_files_are_found() {
    let expected = [
        "plugins/in_a/Cargo.toml:1: is missing",
        "plugins/in_a/src/lib.rs:1: is missing",
        "plugins/in_a/README.md:1: is missing: purpose, example, parameters",
        "xtask/Cargo.toml:1: is missing",
    ];
    check(packages, &[("plugins/in_a/src/other.rs", "")], &expected);
}

const SHELF: &str =
    "# Filters\n\n## grep\n\n```toml\n```\n<!-- parameters -->\n<!-- /parameters -->\n";

#[test]
fn a_plugin_on_a_shelf_has_its_section_and_its_descriptor() {
    let mut files = vec![
        ("plugins/filters/src/lib.rs", "mod inner;\npub mod grep;\n"),
        ("plugins/filters/src/grep.rs", CODE),
        ("plugins/filters/README.md", SHELF),
    ];
    check(shelves, &files, &[]);
    files[0].1 = "pub mod grep;\npub mod add;\n";
    files.push((
        "plugins/filters/src/add.rs",
        "//! Adds.\npub struct Config {}\n",
    ));
    let expected = [
        "plugins/filters/src/lib.rs:1: the modules are not sorted",
        "plugins/filters/src/add.rs:1: has no `pub static PLUGIN: Descriptor`",
        "plugins/filters/README.md:1: has no section `## add`",
    ];
    check(shelves, &files, &expected);
}

#[test]
fn a_section_ends_at_the_next_heading() {
    let text = "# A\n## b\none\n### c\ntwo\n## d\nthree\n";
    assert_eq!(section(text, "b"), Some((2, "## b\none\n### c\ntwo\n")));
    assert_eq!(section(text, "d"), Some((6, "## d\nthree\n")));
    assert_eq!(section(text, "e"), None);
}

#[test]
fn the_list_is_complete_and_sorted() {
    let mut files = vec![
        ("plugins/in_a/src/lib.rs", ""),
        ("plugins/out_b/src/lib.rs", ""),
        ("plugins/sdk/src/lib.rs", ""),
        ("plugins/filters/src/lib.rs", "pub mod grep;\n"),
        (
            LIST,
            "    &filters::grep::PLUGIN,\n    &in_a::PLUGIN,\n    &out_b::PLUGIN,\n",
        ),
    ];
    check(list, &files, &[]);
    files[4].1 = "    &out_b::PLUGIN,\n    &in_a::PLUGIN,\n";
    let expected = [
        "src/plugins.rs:2: `filters::grep` is missing",
        "src/plugins.rs:2: `in_a` stands behind `out_b`: sort the list",
    ];
    check(list, &files, &expected);
}

#[test]
fn a_plugin_knows_its_type() {
    let files = [
        ("plugins/in_tail/src/lib.rs", ""),
        (
            "plugins/filters/src/lib.rs",
            "pub mod record_transformer;\n",
        ),
    ];
    let plugins = plugins(&Tree::of(&files));
    let types: Vec<_> = plugins.iter().map(Plugin::type_name).collect();
    assert_eq!(types, ["record_transformer", "tail"]);
}
