//! The command line: what it says, its exit codes, and that a wrong configuration starts nothing.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::harness::weir::{BINARY, Home};

fn weir(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().expect("weir runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn broken() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken");
    let entries = fs::read_dir(folder).expect("tests/config/broken");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "toml"))
        .collect()
}

#[test]
fn version_and_help() {
    let version = weir(&["--version"]);
    assert!(version.status.success());
    assert_eq!(
        text(&version).trim(),
        format!("weir {}", env!("CARGO_PKG_VERSION"))
    );
    let help = text(&weir(&["--help"]));
    for word in [
        "run",
        "check",
        "plugins",
        "health",
        "ELASTICSEARCH_URL",
        "Exit codes",
        "78",
    ] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
    assert_eq!(weir(&["--nonsense"]).status.code(), Some(64));
}

#[test]
fn plugins_are_listed_and_explained() {
    let list = text(&weir(&["plugins"]));
    for name in [
        "forward",
        "sample",
        "grep",
        "record_transformer",
        "elasticsearch",
        "file",
        "stdout",
        "null",
    ] {
        assert!(list.contains(name), "{name} is missing in\n{list}");
    }
    let one = text(&weir(&["plugins", "elasticsearch"]));
    for word in ["hosts", "index", "op_type", "compression"] {
        assert!(one.contains(word), "{word} is missing in\n{one}");
    }
    let unknown = weir(&["plugins", "elastcsearch"]);
    assert!(!unknown.status.success());
    assert!(
        text(&unknown).contains("elasticsearch"),
        "{}",
        text(&unknown)
    );
}

#[test]
fn thirty_broken_configurations_end_with_78_and_start_nothing() {
    let broken = broken();
    assert!(broken.len() >= 30, "{} configurations", broken.len());
    for path in broken {
        let folder = tempfile::tempdir().expect("a folder");
        for command in ["check", "run"] {
            let output = Command::new(BINARY)
                .args([command, "-c"])
                .arg(&path)
                .current_dir(folder.path())
                .output()
                .expect("weir runs");
            let said = text(&output);
            assert_eq!(
                output.status.code(),
                Some(78),
                "{command} {}:\n{said}",
                path.display()
            );
            let name = path.file_name().expect("a name").to_string_lossy();
            assert!(
                said.contains(&*name),
                "{command} does not name {name}:\n{said}"
            );
            assert!(
                said.contains("help"),
                "{command} {name} has no remedy:\n{said}"
            );
            let left = fs::read_dir(folder.path()).expect("the folder").count();
            assert_eq!(left, 0, "{command} {name} left something behind");
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let output = weir(&["check", "-c", "no/such/file.toml"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output).contains("no/such/file.toml"));
}

#[test]
fn a_port_that_is_taken_ends_with_74() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = format!(
        "[service.admin]\nlisten = \"{}\"\n[[source]]\ntype = \"sample\"\ntag = \"a\"\n[[match]]\ntag = \"**\"\ntype = \"null\"\n",
        taken.local_addr().expect("bound")
    );
    let home = Home::new(&config);
    let ended = home.spawn(&[]).wait_end(20);
    assert_eq!(ended.code(), Some(74));
}

#[test]
fn health_asks_a_probe() {
    let home = Home::new(&format!(
        "{}{}",
        crate::delivery::SERVICE,
        crate::delivery::TO_FILES
    ));
    let running = home.start();
    let url = format!("http://{}/readyz", running.admin());
    let output = weir(&["health", "--url", &url]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).starts_with("200"));
    running.kill();
    assert_eq!(weir(&["health", "--url", &url]).status.code(), Some(1));
}
