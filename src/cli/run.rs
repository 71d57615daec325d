//! `weir run`: checks the configuration, opens the admin port, runs until a signal.

use std::{io::Write as _, path::PathBuf, time::Duration};

use clap::Args;
use sdk::{budget::Budget, metrics::Metrics, monitor::Process};

use super::{check, exit, quickstart};
use crate::{
    admin,
    config::{Config, LogFormat, Service, Text},
    plugins::PLUGINS,
    runtime::{self, Control, End, Gauges, Health, Origin, Roster, Shared, StartError},
    telemetry::{
        ledger::Ledger,
        log::{self, Style},
    },
};

/// How often the console says what arrived.
const CONSOLE_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `weir run`.
#[derive(Debug, Default, Args)]
pub(super) struct RunArgs {
    /// The configuration; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the configuration again whenever its file changes, or a file that it names
    #[arg(long, requires = "config")]
    watch: bool,
    /// Refuse a configuration that weakens a promise, such as a buffer in memory: docs/PROMISES.md
    #[arg(long)]
    strict: bool,
}

/// Runs; the number is the exit code.
pub(super) fn run(args: &RunArgs) -> u8 {
    let loaded = match load(args) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    start_log(&loaded.config.service);
    match start(loaded, args) {
        Ok(code) => code,
        Err(Failure { code, message }) => {
            tracing::error!("cannot start: {message}");
            code
        }
    }
}

struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn io(error: &impl ToString) -> Self {
        Self {
            code: exit::IO,
            message: error.to_string(),
        }
    }
}

/// A configuration that was read.
struct Loaded {
    config: Config,
    /// Of its text.
    hash: u64,
    /// Where it can be read again; `None` for the quick start and standard input.
    origin: Option<Origin>,
}

fn load(args: &RunArgs) -> Result<Loaded, u8> {
    let mut stderr = std::io::stderr().lock();
    let text = if let Some(path) = &args.config {
        check::read(path, &mut stderr)?
    } else {
        let (name, text) = quickstart::choose();
        quickstart::greet(name);
        Text::built_in(name, text)
    };
    let text = text.strictly(args.strict);
    let (config, files) = check::load(&text, &mut stderr)?;
    let path = args.config.as_ref().filter(|path| path.as_os_str() != "-");
    Ok(Loaded {
        config,
        hash: text.hash(),
        origin: path.map(|path| Origin::new(path, PLUGINS, files).strictly(args.strict)),
    })
}

fn start_log(service: &Service) {
    let style = match service.log.format {
        LogFormat::Auto => Style::detect(),
        LogFormat::Text => Style::Text,
        LogFormat::Json => Style::Json,
    };
    log::start(style, service.log.level.as_str());
}

fn start(loaded: Loaded, args: &RunArgs) -> Result<u8, Failure> {
    let Loaded {
        config,
        hash,
        origin,
    } = loaded;
    let service = &config.service;
    let shared = share(service, origin.as_ref());
    let gauges = Gauges::of(&shared);
    let (control, requests) = Control::new(service.admin.token.clone());
    let (health, admin) = (shared.health.clone(), &service.admin);
    let bound = admin::start(admin, health, gauges.clone(), control.clone())
        .map_err(|error| Failure::io(&error))?;
    tracing::info!("admin port listening on {bound}");

    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("worker");
    if let Some(workers) = service.workers {
        builder.worker_threads(workers);
    }
    let runtime = builder.build().map_err(|error| Failure::io(&error))?;
    if args.config.is_none() && quickstart::is_watched() {
        runtime.spawn(console(gauges));
    }
    let start = runtime::Start {
        config,
        hash,
        origin,
        watch: args.watch,
        control: (control, requests),
    };
    let end = runtime.block_on(runtime::run(start, shared));
    // Blocking work that is stuck must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    code(end)
}

/// What the process shares from the start.
fn share(service: &Service, origin: Option<&Origin>) -> Shared {
    let shared = Shared {
        ledger: Ledger::new(&Metrics::new()),
        health: Health::new(service.admin.ready.fail_on_backpressure),
        budget: Budget::new(service.memory_budget_bytes()),
        roster: Roster::default(),
        plugins: PLUGINS,
    };
    build_info(shared.ledger.metrics());
    shared.roster.describe(Process {
        hostname: String::new(),
        config_path: origin.map(|origin| origin.path().display().to_string()),
        version: super::VERSION.to_owned(),
    });
    shared
}

/// The exit code.
fn code(end: Result<End, StartError>) -> Result<u8, Failure> {
    match end {
        Ok(End::Clean) => Ok(exit::OK),
        Ok(End::Unfinished) => Ok(exit::FAILED),
        Ok(End::Failed) => Ok(exit::COMPONENT),
        Err(error) => {
            let code = if matches!(error, StartError::Panic(_)) {
                exit::BUG
            } else {
                exit::IO
            };
            Err(Failure {
                code,
                message: error.to_string(),
            })
        }
    }
}

fn build_info(metrics: &Metrics) {
    let labels = [
        ("version", super::VERSION),
        (
            "revision",
            option_env!("WEIR_REVISION").unwrap_or("unknown"),
        ),
        (
            "features",
            if cfg!(feature = "defects") {
                "defects"
            } else {
                ""
            },
        ),
    ];
    let help = "Constant 1, with the version, the commit and the features";
    metrics.gauge("build_info", help, &labels).set(1);
}

/// Says each second what arrived, on one line that is overwritten.
async fn console(gauges: Gauges) {
    let first = tokio::time::Instant::now() + CONSOLE_EVERY;
    let mut ticks = tokio::time::interval_at(first, CONSOLE_EVERY);
    let mut before = 0;
    loop {
        ticks.tick().await;
        let now = gauges.totals();
        let line = format!(
            "\r{received:>10} received  {rate:>8}/s  {held:>8} waiting  {sent:>10} sent  ",
            received = now.received,
            rate = now.received.saturating_sub(before),
            held = now.held,
            sent = now.sent,
        );
        before = now.received;
        // A console that went away is no reason to stop.
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}
