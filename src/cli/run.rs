//! `weir run`: checks the configuration, opens the admin port, runs until a signal.

use std::{io::Write as _, path::PathBuf, time::Duration};

use clap::Args;
use sdk::{budget::Budget, metrics::Metrics};

use super::{check, exit, quickstart};
use crate::{
    admin,
    config::{Config, LogFormat, Service},
    runtime::{self, End, Gauges, Health, Shared, StartError},
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
}

/// Runs; the number is the exit code.
pub(super) fn run(args: &RunArgs) -> u8 {
    let config = match load(args) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let quick = args.config.is_none();
    start_log(&config.service);
    match start(config, quick) {
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

fn load(args: &RunArgs) -> Result<Config, u8> {
    let mut stderr = std::io::stderr().lock();
    let Some(path) = &args.config else {
        let (name, text) = quickstart::choose();
        quickstart::greet(name);
        return check::load_text(name, text, &mut stderr);
    };
    check::load_file(path, &mut stderr)
}

fn start_log(service: &Service) {
    let style = match service.log.format {
        LogFormat::Auto => Style::detect(),
        LogFormat::Text => Style::Text,
        LogFormat::Json => Style::Json,
    };
    log::start(style, service.log.level.as_str());
}

fn start(config: Config, quick: bool) -> Result<u8, Failure> {
    let ledger = Ledger::new(&Metrics::new());
    let health = Health::new(config.service.admin.ready.fail_on_backpressure);
    let budget = Budget::new(config.service.memory_budget_bytes());
    build_info(ledger.metrics());
    let gauges = Gauges::new(ledger.clone(), health.clone(), budget.clone());
    let admin = config.service.admin.listen.0;
    let bound =
        admin::start(admin, health.clone(), gauges.clone()).map_err(|error| Failure::io(&error))?;
    tracing::info!("admin port listening on {bound}");

    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("worker");
    if let Some(workers) = config.service.workers {
        builder.worker_threads(workers);
    }
    let runtime = builder.build().map_err(|error| Failure::io(&error))?;
    if quick && quickstart::is_watched() {
        runtime.spawn(console(gauges));
    }
    let end = runtime.block_on(runtime::run(
        config,
        Shared {
            ledger,
            health,
            budget,
        },
    ));
    // Blocking work that is stuck must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
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
    let labels = [("version", super::VERSION)];
    metrics
        .gauge("build_info", "Constant 1, with the version", &labels)
        .set(1);
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
