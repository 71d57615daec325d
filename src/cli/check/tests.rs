//! Tests of the command, with the real plugins.

use std::{
    fs::{self, File},
    io,
};

use super::*;
use crate::config::{self, Report};

/// A file that stands for standard output.
fn check(args: &[&str]) -> (u8, String) {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CheckArgs,
    }
    let line: Line = clap::Parser::parse_from([&["check"], args].concat());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let code = run(&line.args, &mut File::create(&path).unwrap());
    (code, fs::read_to_string(path).unwrap())
}

#[track_caller]
fn file(text: &str, args: &[&str]) -> (u8, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let (code, said) = check(&[&["-c", path], args].concat());
    (code, said.replace(path, "weir.toml"))
}

const GOOD: &str =
    "[[source]]\ntype = \"sample\"\ntag = \"a\"\n[[match]]\ntag = \"**\"\ntype = \"null\"\n";

#[test]
fn a_good_configuration_is_counted() {
    let expected = "weir.toml: ok (1 source, 0 filters, 1 match, 1 output)\n".to_owned();
    assert_eq!(file(GOOD, &[]), (exit::OK, expected));
    assert_eq!(check(&[]).0, exit::OK);
}

#[test]
fn a_broken_one_is_explained() {
    let (code, said) = file("[[source]]\ntype = \"forwrd\"\n", &[]);
    assert_eq!(code, exit::CONFIG);
    assert!(said.contains("write type = \"forward\""), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours in a file");
}

#[test]
fn machines_get_json() {
    let (code, said) = file("[[source]]\ntype = \"forwrd\"\n", &["--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &said["ok"], &said["errors"]),
        (exit::CONFIG, &json!(false), &json!(2))
    );
    let finding = &said["diagnostics"][1];
    assert_eq!(
        (&finding["code"], &finding["line"], &finding["column"]),
        (&json!("unknown-type"), &json!(2), &json!(8))
    );
}

/// Every TOML file of a folder of the repository: its name and its text.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let tables = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "toml"));
    tables
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_samples_are_without_a_finding() {
    struct Surroundings;
    impl config::Surroundings for Surroundings {
        fn env(&self, name: &str) -> Option<String> {
            (name == "ELASTICSEARCH_URL").then(|| "http://127.0.0.1:9200".to_owned())
        }
        fn read(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    let samples = files("config");
    assert!(samples.len() >= 3);
    for (name, text) in samples {
        let findings = config::load(&text, PLUGINS, &Surroundings).findings;
        let report = Report::new(&name, &text, &findings);
        assert!(findings.is_empty(), "{}", report.for_people(Look::Plain));
    }
}

#[test]
fn the_broken_configurations_are_broken_with_the_real_plugins_too() {
    for (name, _) in files("tests/config/broken") {
        let (code, said) = check(&["-c", &name]);
        assert_eq!(code, exit::CONFIG, "{name}");
        assert!(said.contains("help: "), "{name}: {said}");
    }
}

#[test]
fn warnings_fail_when_they_are_denied() {
    let idle = GOOD.replace("tag = \"**\"", "tag = \"a.**\"\nexcept = \"b\"");
    let (code, said) = file(&idle, &[]);
    assert_eq!(code, exit::OK);
    assert!(
        said.contains("warning[idle-except]") && said.contains("weir.toml: ok"),
        "{said}"
    );
    assert_eq!(file(&idle, &["--deny-warnings"]).0, exit::CONFIG);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    for args in [
        &["-c", "no/such/file.toml"][..],
        &["-c", "no/such/file.toml", "--json"],
    ] {
        let (code, said) = check(args);
        assert_eq!(code, exit::CONFIG);
        assert!(said.contains("no/such/file.toml"), "{said}");
    }
}
