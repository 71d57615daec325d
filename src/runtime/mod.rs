//! The life of the process: start, supervise, drain.
//!
//! Begin with [`run`]. `health.rs` is what the probes read, `supervise.rs` restarts what fails,
//! `drain.rs` ends in order, `gauges.rs` reads what is measured on demand,
//! `descriptors.rs` sees to it that there are enough of them.

mod descriptors;
mod drain;
mod gauges;
mod health;
mod signals;
mod sources;
mod supervise;

use std::{path::Path, sync::Arc, time::Duration};

use sdk::{budget::Budget, clock::Clock, stop::Stopper};
use tokio::{sync::mpsc, task::JoinSet};

pub use self::gauges::Gauges;
pub use self::health::{Health, Verdict};
use self::{
    signals::{Event, Signals},
    supervise::{Fatal, LifeMetrics, Supervised},
};
use crate::{
    config::{Config, OnFailure},
    pipeline::{BuildError, Built, Parts, build},
    telemetry::{ledger::Ledger, log},
};

/// How often the data path beats for the liveness probe.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// What the process shares from the start.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The registry and the accounts.
    pub ledger: Ledger,
    /// What the probes ask.
    pub health: Health,
    /// The global memory budget.
    pub budget: Budget,
}

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Drained: everything acknowledged is stored or delivered.
    Clean,
    /// The time for draining was over before memory buffers were empty.
    Unfinished,
    /// A component failed under `failure = "stop"`.
    Failed,
}

/// Why the process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The graph could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Signals cannot be received.
    #[error("receive signals: {0}")]
    Signals(std::io::Error),
    /// A task of the start itself panicked.
    #[error("start-up panicked: {0}")]
    Panic(String),
}

/// Runs a configuration until a signal or a fatal failure, then drains.
///
/// # Errors
/// [`StartError`] when it could not start; nothing was acknowledged then.
pub async fn run(config: Config, shared: Shared) -> Result<End, StartError> {
    descriptors::raise_limit();
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    spawn_heartbeat(&shared.health);
    let parts = parts(&config, &shared.ledger);
    let (config, built) = open(config, parts.clone()).await?;
    let buffers = built
        .outputs
        .iter()
        .map(|output| (Arc::clone(&output.node.id), output.node.buffer.clone()));
    shared.health.watch_buffers(buffers.collect());

    let (fatal, mut fatals) = mpsc::channel(1);
    let life = Life {
        default_failure: config.service.failure,
        fatal,
    };
    let outputs = drain::Outputs::start(built.outputs, &life);
    let (stop_sources, stopped) = Stopper::new();
    let mut sources = JoinSet::new();
    let bound = sources::start(
        &config,
        &parts,
        &shared,
        &built.pipeline,
        &life,
        &stopped,
        &mut sources,
    );
    let health = shared.health.clone();
    tokio::spawn(async move {
        bound.wait().await;
        health.mark_started();
        tracing::info!("started");
    });

    let end = wait_for_end(&mut signals, &mut fatals, &outputs).await;
    let finished = drain::drain(
        &config.service,
        &shared.health,
        stop_sources,
        sources,
        outputs,
    )
    .await;
    Ok(if finished || end == End::Failed {
        end
    } else {
        End::Unfinished
    })
}

/// Acts on signals until there is a reason to end.
async fn wait_for_end(
    signals: &mut Signals,
    fatals: &mut mpsc::Receiver<Fatal>,
    outputs: &drain::Outputs,
) -> End {
    loop {
        tokio::select! {
            event = signals.next() => match event {
                Event::Drain => return End::Clean,
                Event::Flush => outputs.flush(),
                Event::Reload => tracing::warn!("SIGHUP: this version cannot reload; restart to change the configuration"),
            },
            Some(Fatal { component, .. }) = fatals.recv() => {
                tracing::error!(%component, "ending, because its failure = \"stop\"");
                return End::Failed;
            }
        }
    }
}

/// The rules of failure that components share.
#[derive(Debug, Clone)]
struct Life {
    default_failure: OnFailure,
    fatal: mpsc::Sender<Fatal>,
}

impl Life {
    fn supervised(
        &self,
        id: &Arc<str>,
        own: Option<OnFailure>,
        metrics: &sdk::metrics::Metrics,
    ) -> Supervised {
        Supervised {
            id: Arc::clone(id),
            on_failure: own.unwrap_or(self.default_failure),
            metrics: LifeMetrics::new(metrics),
            fatal: self.fatal.clone(),
        }
    }
}

fn parts(config: &Config, ledger: &Ledger) -> Parts {
    let hostname = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    Parts {
        ledger: ledger.clone(),
        clock: Clock::system(),
        hostname: hostname.into(),
        data_dir: Arc::from(Path::new(&config.service.data_dir)),
    }
}

/// Builds the graph on a blocking thread: recovery reads the disk.
async fn open(config: Config, parts: Parts) -> Result<(Config, Built), StartError> {
    let opened =
        tokio::task::spawn_blocking(move || build(&config, &parts).map(|built| (config, built)));
    match opened.await {
        Ok(built) => Ok(built?),
        Err(panic) => Err(StartError::Panic(panic.to_string())),
    }
}

fn spawn_heartbeat(health: &Health) {
    let health = health.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(HEARTBEAT_EVERY);
        loop {
            ticks.tick().await;
            health.beat();
            log::report_left_out();
        }
    });
}
