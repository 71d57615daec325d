//! The command line: arguments, and one file per command.

mod assets;
mod buffer;
mod cat;
mod check;
mod connect;
mod dead;
mod health;
mod places;
mod plugins;
mod quickstart;
mod reach;
mod run;
mod schema;
mod tags;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::telemetry::process;

/// Exit codes. Tests and the chart rely on them.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// A command found something wrong, such as a probe that is not 200.
    pub const FAILED: u8 = 1;
    /// Wrong arguments.
    pub const USAGE: u8 = 64;
    /// A bug: the start-up panicked.
    pub const BUG: u8 = 70;
    /// A disk, directory or port could not be used.
    pub const IO: u8 = 74;
    /// A component failed under `failure = "stop"`.
    pub const COMPONENT: u8 = 75;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
}

const AFTER_HELP: &str = "\
Try it without a configuration:
  weir                                     forward on 24224, day files in ./data, probes and metrics on 24231
  ELASTICSEARCH_URL=http://host:9200 weir  the same into Elasticsearch

Exit codes:
  0 done   1 failed   64 wrong arguments   70 bug   74 disk or port   75 a component with failure = \"stop\"   78 configuration

Signals:
  TERM, INT drain and end   QUIT ends at once   USR1 delivers what waits   HUP, USR2 read the configuration again

Environment:
  WEIR_LOG  what to log, such as debug or weir=debug; overrides [service.log] level";

/// A log router that replaces Fluentd: the forward protocol in, a durable buffer, Elasticsearch out.
#[derive(Debug, Parser)]
#[command(name = "weir", version = VERSION, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a configuration; without one, the quick start
    Run(run::RunArgs),
    /// Check a configuration: every error at once, nothing is started
    Check(check::CheckArgs),
    /// List the plugins, or show the parameters of one
    Plugins(plugins::PluginsArgs),
    /// Print the JSON Schema of a configuration, for editors
    Schema,
    /// Print alert rules, dashboards and saved objects for Prometheus, Grafana and Kibana
    Assets(assets::AssetsArgs),
    /// Ask a probe of a running router
    Health(health::HealthArgs),
    /// Send records from standard input to a router, as fluent-cat does, and wait until they are stored
    Cat(Box<cat::CatArgs>),
    /// Look at what a buffer holds: list, print, verify, export
    #[command(subcommand)]
    Buffer(buffer::BufferCommand),
    /// Look at dead letters, and send them again
    #[command(subcommand)]
    Dead(dead::DeadCommand),
}

/// Says what is wrong and what to do about it. Nobody to tell is no reason to fail: the exit code says it too.
fn complain(err: &mut impl Write, message: &str, help: &str) {
    drop(write!(err, "error: {message}\n  help: {help}\n"));
}

/// Runs the command line. `live_heap` asks the allocator of the binary for the bytes that are in use.
pub fn main(live_heap: fn() -> Option<usize>) -> ExitCode {
    process::watch_heap(live_heap);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            };
            // Printing help to a closed pipe is no reason to fail.
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    let mut out = std::io::stdout().lock();
    let code = match cli
        .command
        .unwrap_or_else(|| Command::Run(run::RunArgs::default()))
    {
        Command::Run(args) => {
            drop(out);
            return ExitCode::from(run::run(&args));
        }
        Command::Check(args) => check::run(&args, &mut out),
        Command::Plugins(args) => plugins::run(&args, &mut out),
        Command::Schema => schema::run(&mut out),
        Command::Assets(args) => assets::run(&args, &mut out, &mut std::io::stderr()),
        Command::Cat(args) => cat::run(&args, &mut std::io::stderr()),
        Command::Buffer(command) => buffer::run(&command, &mut out, &mut std::io::stderr()),
        Command::Dead(command) => dead::run(&command, &mut out, &mut std::io::stderr()),
        Command::Health(args) => {
            let (code, text) = match health::run(&args) {
                Ok(text) => (exit::OK, text),
                Err(text) => (exit::FAILED, text),
            };
            drop(writeln!(out, "{text}"));
            code
        }
    };
    ExitCode::from(code)
}
