//! The one front door for developers: `cargo xtask` lists the commands, `cargo xtask COMMAND` runs one.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal tool talks on the terminal"
)]

mod assets;
mod bench;
mod campaign;
mod certificates;
mod chart;
mod clients;
mod deny;
mod docs;
mod fuzz;
mod http;
mod image;
mod new_plugin;
mod packages;
mod process;
mod python;
mod servers;
mod stamp;
mod test;
mod tidy;
mod tree;

use anyhow::bail;
use std::process::ExitCode;

/// One command of the front door.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[&str]) -> anyhow::Result<()>,
}

/// THE list of commands, in the order in which they are printed.
const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        about: "install what the tests need and run everything; --list, --only STEP...",
        run: test::run,
    },
    Command {
        name: "ci",
        about: "the same as test; .ci/run calls it",
        run: test::run,
    },
    Command {
        name: "tidy",
        about: "hold the rules that no compiler holds: arrows, budgets, names, paths",
        run: tidy::run,
    },
    Command {
        name: "docs",
        about: "fill the parameter tables and the schema for editors; --check",
        run: docs::run,
    },
    Command {
        name: "deny",
        about: "check licences, rivals and duplicates of what is built against deny.toml",
        run: deny::run,
    },
    Command {
        name: "new-plugin",
        about: "make a plugin that passes every check: filter_NAME, in_NAME or out_NAME",
        run: new_plugin::run,
    },
    Command {
        name: "servers",
        about: "download and start the real servers",
        run: servers::run,
    },
    Command {
        name: "clients",
        about: "install the real fluent loggers",
        run: clients::run,
    },
    Command {
        name: "assets",
        about: "check alert rules, dashboards and saved objects",
        run: assets::run,
    },
    Command {
        name: "chart",
        about: "lint, render and validate the Helm chart",
        run: chart::run,
    },
    Command {
        name: "image",
        about: "build and try the container image",
        run: image::run,
    },
    Command {
        name: "bench",
        about: "CPU time per record, what durability costs, and how fast a buffer is recovered",
        run: bench::run,
    },
    Command {
        name: "fuzz",
        about: "search with the fuzz targets: [TARGET]... [--seconds N | --runs N] [--seed N]",
        run: fuzz::run,
    },
    Command {
        name: "campaign",
        about: "long runs that look for rare faults; without a name it lists them",
        run: campaign::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[&str]) -> anyhow::Result<()> {
    let Some((name, rest)) = args.split_first() else {
        for command in COMMANDS {
            println!("{:<12} {}", command.name, command.about);
        }
        return Ok(());
    };
    match COMMANDS.iter().find(|command| command.name == *name) {
        Some(command) => (command.run)(rest),
        None => bail!("no command `{name}`; `cargo xtask` lists them"),
    }
}
