//! Each arrow that points the wrong way is found, and the right ones are left alone.

use super::{super::testing::check, *};

const LIBRARIES: [(&str, &str); 2] = [
    ("plugins/sdk/src/lib.rs", ""),
    ("plugins/forward_protocol/src/lib.rs", ""),
];

#[track_caller]
fn check_manifest(folder: &str, dependencies: &str, expected: &[&str]) {
    let path = format!("{folder}/Cargo.toml");
    let mut files = vec![(path.as_str(), dependencies)];
    files.extend(LIBRARIES);
    files.push(("plugins/in_a/src/lib.rs", ""));
    files.push(("plugins/filters/src/lib.rs", ""));
    files.push(("plugins/parsers/src/lib.rs", ""));
    files.push(("plugins/formatters/src/lib.rs", ""));
    check(manifests, &files, expected);
}

#[test]
fn a_plugin_depends_on_libraries_only() {
    let fine = "[dependencies]\nsdk.workspace = true\nforward_protocol.workspace = true\nregex.workspace = true\n";
    check_manifest("plugins/out_b", fine, &[]);
    let text = "[dependencies]\nin_a.workspace = true\n[dev-dependencies]\nweir.workspace = true\n\
        [target.'cfg(unix)'.dependencies]\nfilters.workspace = true\n";
    let rest = "a plugin knows the SDK and libraries only";
    let expected = [
        format!("plugins/out_b/Cargo.toml:2: `out_b` may not depend on `in_a`: {rest}"),
        format!("plugins/out_b/Cargo.toml:4: `out_b` may not depend on `weir`: {rest}"),
        format!("plugins/out_b/Cargo.toml:6: `out_b` may not depend on `filters`: {rest}"),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check_manifest("plugins/out_b", text, &expected);
    let tests = "[dev-dependencies]\nparsers.workspace = true\nformatters.workspace = true\n";
    check_manifest("plugins/out_b", tests, &[]);
    let text = "[dependencies]\nparsers.workspace = true\n";
    let message =
        format!("plugins/out_b/Cargo.toml:2: `out_b` may not depend on `parsers`: {rest}");
    check_manifest("plugins/out_b", text, &[&message]);
    let text = "[dependencies]\nforward_protocol.workspace = true\n";
    let message =
        format!("plugins/sdk/Cargo.toml:2: `sdk` may not depend on `forward_protocol`: {rest}");
    check_manifest("plugins/sdk", text, &[&message]);
}

#[test]
fn versions_stand_in_the_root() {
    let text = "[dependencies]\nregex = \"1\"\nbytes = { path = \"../bytes\" }\nurl = { workspace = true }\n";
    let expected = [
        "xtask/Cargo.toml:2: `regex`: write `regex.workspace = true`, the version stands in the root",
        "xtask/Cargo.toml:3: `bytes`: write `bytes.workspace = true`, the version stands in the root",
    ];
    check_manifest("xtask", text, &expected);
}

#[track_caller]
fn check_import(path: &str, text: &str, upward: &[(usize, &str, &str)]) {
    let expected: Vec<String> = upward
        .iter()
        .map(|(line, room, target)| {
            format!("{path}:{line}: `{room}` imports from `{target}`, which stands above or beside it: hand it in as a trait object")
        })
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(imports, &[(path, text)], &expected);
}

#[test]
fn imports_that_point_down_are_fine() {
    let text = "use crate::{buffer::Buffer, output::{self, deliver::{a, b}}, telemetry};\nuse super::Pipeline;\nuse sdk::output;\n";
    check_import("src/pipeline/build.rs", text, &[]);
    check_import(
        "src/cli/mod.rs",
        "use crate::{plugins::PLUGINS, runtime};",
        &[],
    );
    check_import(
        "src/buffer/file.rs",
        "use super::super::config::A; // crate::cli::B",
        &[],
    );
    check_import("src/lib.rs", "use crate::cli::A;", &[]);
    check_import("plugins/sdk/src/output.rs", "use crate::cli::A;", &[]);
}

#[test]
fn imports_that_point_up_or_aside_are_found() {
    check_import(
        "src/buffer/file.rs",
        "use crate::{\n    config::A,\n    output::B,\n};\nuse super::super::cli::C;\n",
        &[(1, "buffer", "output"), (5, "buffer", "cli")],
    );
    check_import(
        "src/router/mod.rs",
        "fn a() { super::buffer::b(); }",
        &[(1, "router", "buffer")],
    );
    check_import(
        "src/telemetry/log.rs",
        "\nfn a() -> crate::config::A { todo() }",
        &[(2, "telemetry", "config")],
    );
    check_import(
        "src/config/mod.rs",
        "use crate::plugins::PLUGINS;",
        &[(1, "config", "plugins")],
    );
    check_import(
        "src/output/retry.rs",
        "use crate::{telemetry::{a::{b}, c}, router::{d, e}};",
        &[(1, "output", "router"), (1, "output", "router")],
    );
}

#[test]
fn an_inner_module_is_one_step_deeper() {
    let text = "mod tests {\n    use super::cli::A;\n}\nuse super::cli::B;\n";
    check_import("src/router/mod.rs", text, &[(4, "router", "cli")]);
    let text = "mod tests {\n    use super::super::cli::A;\n}\n";
    check_import("src/router/mod.rs", text, &[(2, "router", "cli")]);
}

#[test]
fn a_room_without_a_place_is_found() {
    let message = "src/cellar/mod.rs:1: `cellar` has no place in the order of rooms: give it one in xtask/src/tidy/arrows.rs";
    check(imports, &[("src/cellar/mod.rs", "")], &[message]);
}

#[test]
fn only_the_list_names_plugins() {
    let files = [
        ("plugins/in_a/src/lib.rs", ""),
        ("plugins/filters/src/lib.rs", ""),
        ("src/plugins.rs", "&in_a::PLUGIN"),
        (
            "src/pipeline/mod.rs",
            "use in_a;\nlet filters = 1; filters.len(); a::filters::b();\nfilters::grep::A;\n",
        ),
    ];
    let expected = [
        "src/pipeline/mod.rs:1: names the plugin `in_a`: only src/plugins.rs does",
        "src/pipeline/mod.rs:3: names the plugin `filters`: only src/plugins.rs does",
    ];
    check(plugin_names, &files, &expected);
}
