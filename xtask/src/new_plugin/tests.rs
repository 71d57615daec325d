//! Plugins are made in a small tree, and the rules of the house find nothing wrong with them.

use super::*;

const MANIFEST: &str = "[package]\nname = \"filters\"\ndescription = \"The shelf\"\nversion.workspace = true\n\
    edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\n\
    [dependencies]\nsdk.workspace = true\n\n[lints]\nworkspace = true\n";
const ROOT: &str = "[workspace.dependencies]\nsdk = { path = \"plugins/sdk\" }\nin_b = { path = \"plugins/in_b\" }\n\
    out_b = { path = \"plugins/out_b\" }\n\n[dependencies]\nin_b.workspace = true\nout_b.workspace = true\n";
const GREP: &str = "//! Grep.\npub static PLUGIN: Descriptor = A;\npub struct Config {}\n";
const README: &str =
    "# Filters\n\n## grep\n\n```toml\n```\n\n<!-- parameters -->\n<!-- /parameters -->\n";

fn small() -> Tree {
    Tree::of(&[
        ("Cargo.toml", ROOT),
        ("plugins/filters/Cargo.toml", MANIFEST),
        ("plugins/filters/README.md", README),
        ("plugins/filters/src/grep.rs", GREP),
        (
            "plugins/filters/src/lib.rs",
            "//! The shelf.\n\npub mod grep;\n",
        ),
        (
            "src/plugins.rs",
            "//! The list.\npub static PLUGINS: &[&Descriptor] = &[\n    &filters::grep::PLUGIN,\n];\n",
        ),
    ])
}

#[track_caller]
fn check(package: &str, files: &[&str]) {
    let before = small();
    let mut after = before.clone();
    create(&mut after, package).unwrap();
    let changed = after.differences(&before);
    assert_eq!(changed, files);
    let known = tidy::findings(before);
    let new: Vec<_> = tidy::findings(after)
        .into_iter()
        .filter(|finding| !known.contains(finding))
        .collect();
    assert_eq!(new, []);
}

#[test]
fn a_filter_goes_on_the_shelf() {
    let files = [
        "plugins/filters/README.md",
        "plugins/filters/src/add.rs",
        "plugins/filters/src/lib.rs",
        "src/plugins.rs",
    ];
    check("filter_add", &files);
}

#[test]
fn an_input_and_an_output_become_packages() {
    for package in ["in_a", "out_c"] {
        let folder = format!("plugins/{package}");
        let own = ["Cargo.toml", "README.md", "src/lib.rs"].map(|file| format!("{folder}/{file}"));
        check(
            package,
            &["Cargo.toml", &own[0], &own[1], &own[2], "src/plugins.rs"],
        );
    }
}

#[test]
fn nothing_of_the_templates_is_left() {
    let mut tree = small();
    for package in ["filter_add", "in_a", "out_c"] {
        create(&mut tree, package).unwrap();
    }
    for (path, text) in tree.texts() {
        assert!(!text.contains('@'), "{path}: {text}");
    }
}

#[track_caller]
fn check_refused(package: &str, message: &str) {
    let mut tree = small();
    let error = create(&mut tree, package).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
    assert_eq!(tree.differences(&small()).len(), 0, "nothing is written");
}

#[test]
fn bad_names_are_refused() {
    check_refused("parser_x", "does not begin with filter_, in_ or out_");
    check_refused("filter_", "is not a name");
    check_refused("in_Tail", "is not a name");
    check_refused("in_../x", "is not a name");
    check_refused("filter_match", "is not free");
    check_refused("filter_grep", "exists already");
}
