//! `weir check`: reads a configuration and says everything that is wrong with it. Starts nothing.

use std::{
    fs::File,
    io::{self, IsTerminal, Read as _, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{exit, quickstart};
use crate::{
    config::{self, Config, Counts, Loaded, Look, Process, Report},
    plugins::PLUGINS,
};

/// Largest configuration, in bytes.
const LIMIT_BYTES: u64 = 8 << 20;

/// Arguments of `weir check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The configuration; `-` reads standard input. Without it, the quick start is checked
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
}

/// A text and where it comes from.
struct Input {
    name: String,
    text: String,
    /// What relative paths of `${file:PATH}` count from.
    folder: PathBuf,
}

impl Input {
    fn built_in(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            folder: PathBuf::new(),
        }
    }

    /// Reads a file, or standard input for `-`. The error is a sentence.
    fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        let (name, read) = if path == Path::new("-") {
            let read = io::stdin().take(LIMIT_BYTES + 1).read_to_string(&mut text);
            ("standard input".to_owned(), read)
        } else {
            let file = File::open(path);
            let read = file.and_then(|file| file.take(LIMIT_BYTES + 1).read_to_string(&mut text));
            (path.display().to_string(), read)
        };
        match read {
            Err(error) => Err(format!("cannot read {name}: {error}")),
            Ok(_) if text.len() as u64 > LIMIT_BYTES => {
                Err(format!("cannot read {name}: it is larger than 8 MiB"))
            }
            Ok(_) => Ok(Self {
                name,
                text,
                folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            }),
        }
    }

    fn load(&self) -> Loaded {
        config::load(&self.text, PLUGINS, &Process::new(&self.folder))
    }
}

/// Checks; the number is the exit code.
pub(super) fn run(args: &CheckArgs, out: &mut (impl Write + IsTerminal)) -> u8 {
    let input = match &args.config {
        None => {
            let (name, text) = quickstart::choose();
            Ok(Input::built_in(name, text))
        }
        Some(path) => Input::read(path),
    };
    let input = match input {
        Ok(input) => input,
        Err(message) => {
            let text = if args.json {
                unreadable_json(&message)
            } else {
                unreadable(&message)
            };
            say(out, &text);
            return exit::CONFIG;
        }
    };
    let loaded = input.load();
    let report = Report::new(&input.name, &input.text, &loaded.findings);
    if args.json {
        say(out, &format!("{:#}\n", report.for_machines()));
    } else {
        let look = Look::for_terminal(out.is_terminal());
        say(out, &report.for_people(look));
        if let Some(config) = &loaded.config {
            say(out, &fine(&input.name, config.counts()));
        }
    }
    let refused = args.deny_warnings && !loaded.findings.is_empty();
    if loaded.config.is_none() || refused {
        exit::CONFIG
    } else {
        exit::OK
    }
}

/// A text as a configuration. What is wrong is said to `err`.
///
/// # Errors
/// The exit code.
pub(super) fn load_text(
    name: &str,
    text: &str,
    err: &mut (impl Write + IsTerminal),
) -> Result<Config, u8> {
    load(&Input::built_in(name, text), err)
}

/// A file, or standard input for `-`, as a configuration. What is wrong is said to `err`.
///
/// # Errors
/// The exit code.
pub(super) fn load_file(path: &Path, err: &mut (impl Write + IsTerminal)) -> Result<Config, u8> {
    match Input::read(path) {
        Ok(input) => load(&input, err),
        Err(message) => {
            say(err, &unreadable(&message));
            Err(exit::CONFIG)
        }
    }
}

fn load(input: &Input, err: &mut (impl Write + IsTerminal)) -> Result<Config, u8> {
    let loaded = input.load();
    let report = Report::new(&input.name, &input.text, &loaded.findings);
    say(
        err,
        &report.for_people(Look::for_terminal(err.is_terminal())),
    );
    loaded.config.ok_or(exit::CONFIG)
}

fn unreadable(message: &str) -> String {
    format!("error: {message}\n  help: give the path of a TOML file, or - for standard input\n")
}

fn unreadable_json(message: &str) -> String {
    let finding = json!({ "code": "unreadable-file", "severity": "error", "message": message });
    let report = json!({ "ok": false, "errors": 1, "warnings": 0, "diagnostics": [finding] });
    format!("{report:#}\n")
}

fn fine(name: &str, counts: Counts) -> String {
    let count = |count: usize, one: &str, many: &str| {
        let word = if count == 1 { one } else { many };
        format!("{count} {word}")
    };
    format!(
        "{name}: ok ({}, {}, {}, {})\n",
        count(counts.sources, "source", "sources"),
        count(counts.filters, "filter", "filters"),
        count(counts.matches, "match", "matches"),
        count(counts.outputs, "output", "outputs"),
    )
}

/// Nobody to tell is no reason to fail: the exit code says it too.
fn say(out: &mut impl Write, text: &str) {
    drop(out.write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
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
}
