//! `weir assets`: what monitoring systems need to know of Weir, built into the program.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::exit;

/// One file: where it belongs below `assets`, and its text.
type Asset = (&'static str, &'static str);

macro_rules! asset {
    ($path:literal) => {
        ($path, include_str!(concat!("../../assets/", $path)))
    };
}

const PROMETHEUS: &[Asset] = &[
    asset!("prometheus/rules.yml"),
    asset!("prometheus/rules_test.yml"),
];
const GRAFANA: &[Asset] = &[
    asset!("grafana/weir-overview.json"),
    asset!("grafana/weir-agents.json"),
    asset!("grafana/weir-aggregator.json"),
    asset!("grafana/weir-elasticsearch.json"),
];
const KIBANA: &[Asset] = &[asset!("kibana/fluentd.ndjson"), asset!("kibana/ecs.ndjson")];

/// Arguments of `weir assets`.
#[derive(Debug, Args)]
pub(super) struct AssetsArgs {
    /// What for
    system: System,
    /// One file, such as weir-overview or rules; without it, the first is printed, and all are written into --dir
    name: Option<String>,
    /// Write the files into this folder instead of printing
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// List the files instead of printing
    #[arg(long)]
    list: bool,
}

/// Who needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    /// Alert rules, and their test
    Prometheus,
    /// Dashboards
    Grafana,
    /// Data view, searches and dashboards, by the schema of the records
    Kibana,
}

impl System {
    fn assets(self) -> &'static [Asset] {
        match self {
            Self::Prometheus => PROMETHEUS,
            Self::Grafana => GRAFANA,
            Self::Kibana => KIBANA,
        }
    }
}

/// Prints or writes them; the number is the exit code.
pub(super) fn run(args: &AssetsArgs, out: &mut impl Write, err: &mut impl Write) -> u8 {
    let wanted: Vec<&Asset> = args
        .system
        .assets()
        .iter()
        .filter(|(path, _)| args.name.as_deref().is_none_or(|name| is_named(path, name)))
        .collect();
    let Some((_, first)) = wanted.first() else {
        let name = args.name.as_deref().unwrap_or_default();
        let text = format!("error: no file {name:?}\n  help: `--list` shows what there is\n");
        // Nobody to tell is no reason to fail otherwise.
        drop(err.write_all(text.as_bytes()));
        return exit::USAGE;
    };
    if args.list {
        for (path, _) in &wanted {
            drop(writeln!(out, "{}", file_name(path)));
        }
        return exit::OK;
    }
    let Some(dir) = &args.dir else {
        drop(out.write_all(first.as_bytes()));
        return exit::OK;
    };
    match write_all(dir, &wanted) {
        Ok(()) => exit::OK,
        Err(error) => {
            drop(writeln!(err, "error: {error}"));
            exit::IO
        }
    }
}

fn write_all(dir: &Path, assets: &[&Asset]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (path, text) in assets {
        std::fs::write(dir.join(file_name(path)), text)?;
    }
    Ok(())
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether a file is meant, with its ending or without.
fn is_named(path: &str, name: &str) -> bool {
    let file = file_name(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    file == name || stem == name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(system: System, name: Option<&str>, list: bool) -> (u8, String, String) {
        let args = AssetsArgs {
            system,
            name: name.map(str::to_owned),
            dir: None,
            list,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (code, text(out), text(err))
    }

    #[test]
    fn every_file_is_built_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut there = Vec::new();
        for folder in std::fs::read_dir(&root).expect("assets").flatten() {
            for file in std::fs::read_dir(folder.path())
                .expect("a folder")
                .flatten()
            {
                let path = file.path();
                let path = path.strip_prefix(&root).expect("below").to_string_lossy();
                there.push(path.into_owned());
            }
        }
        let mut ours: Vec<String> = [PROMETHEUS, GRAFANA, KIBANA]
            .concat()
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .collect();
        there.sort();
        ours.sort();
        assert_eq!(ours, there);
    }

    #[test]
    fn a_file_is_printed_by_name_or_the_first() {
        assert!(
            ask(System::Prometheus, None, false)
                .1
                .contains("WeirRecordsLost")
        );
        let (code, text, _) = ask(System::Grafana, Some("weir-agents"), false);
        assert!(code == exit::OK && text.contains("\"uid\": \"weir-agents\""));
        let (code, _, error) = ask(System::Kibana, Some("other"), false);
        assert!(code == exit::USAGE && error.contains("--list"));
        assert_eq!(
            ask(System::Kibana, None, true).1,
            "fluentd.ndjson\necs.ndjson\n"
        );
    }
}
