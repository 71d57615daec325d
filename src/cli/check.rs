//! `weir check`: reads a configuration and says everything that is wrong with it. Starts nothing, and reaches
//! destinations only with `--connect`.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    connect::{Reached, reach_all},
    exit, quickstart,
};
use crate::{
    config::{Config, Counts, Look, Text},
    plugins::PLUGINS,
};

/// Arguments of `weir check`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
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
    /// Refuse what weakens a promise, such as a buffer in memory: docs/PROMISES.md
    #[arg(long)]
    strict: bool,
    /// Reach the destination of every output too: nothing is delivered and nothing changed there
    #[arg(long)]
    connect: bool,
}

/// Checks; the number is the exit code.
pub(super) fn run(args: &CheckArgs, out: &mut (impl Write + IsTerminal)) -> u8 {
    let text = match &args.config {
        None => {
            let (name, text) = quickstart::choose();
            Ok(Text::built_in(name, text))
        }
        Some(path) => Text::read(path),
    };
    let text = match text {
        Ok(text) => text.strictly(args.strict),
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
    let (loaded, _) = text.load(PLUGINS);
    let report = text.report(&loaded.findings);
    let config = loaded.config.as_ref().filter(|_| args.connect);
    let reached = config.map(reach_all).unwrap_or_default();
    if args.json {
        let mut machines = report.for_machines();
        if args.connect {
            let connections: Vec<Value> = reached.iter().map(Reached::for_machines).collect();
            if let Some(machines) = machines.as_object_mut() {
                machines.insert("connections".to_owned(), connections.into());
            }
        }
        say(out, &format!("{machines:#}\n"));
    } else {
        let look = Look::for_terminal(out.is_terminal());
        say(out, &report.for_people(look));
        if let Some(config) = &loaded.config {
            say(out, &fine(&text.name, config.counts()));
        }
        for one in &reached {
            say(out, &one.for_people());
        }
    }
    let refused = args.deny_warnings && !loaded.findings.is_empty();
    if loaded.config.is_none() || refused {
        exit::CONFIG
    } else if reached.iter().all(Reached::is_there) {
        exit::OK
    } else {
        exit::FAILED
    }
}

/// The configuration of a text. What is wrong is said to `err`.
///
/// # Errors
/// The exit code.
pub(super) fn load(
    text: &Text,
    err: &mut (impl Write + IsTerminal),
) -> Result<(Config, Vec<PathBuf>), u8> {
    let (loaded, files) = text.load(PLUGINS);
    let report = text.report(&loaded.findings);
    let look = Look::for_terminal(err.is_terminal());
    say(err, &report.for_people(look));
    let config = loaded.config.map(|config| (config, files));
    config.ok_or(exit::CONFIG)
}

/// A file, or standard input for `-`. What is wrong is said to `err`.
///
/// # Errors
/// The exit code.
pub(super) fn read(path: &Path, err: &mut impl Write) -> Result<Text, u8> {
    Text::read(path).map_err(|message| {
        say(err, &unreadable(&message));
        exit::CONFIG
    })
}

/// The configuration of a file for commands that only want to know what is where: warnings are not said.
///
/// # Errors
/// The exit code.
pub(super) fn load_quietly(path: &Path, err: &mut (impl Write + IsTerminal)) -> Result<Config, u8> {
    let text = read(path, err)?;
    let (loaded, _) = text.load(PLUGINS);
    loaded.config.ok_or_else(|| {
        let look = Look::for_terminal(err.is_terminal());
        say(err, &text.report(&loaded.findings).for_people(look));
        exit::CONFIG
    })
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
mod tests;
