//! The life of the process: start, supervise, drain.
//!
//! Begin with [`run`]. `graph.rs` is everything that runs, and ends in order; `steer.rs` does what signals and the admin
//! port ask for. A reload is planned in `reload.rs`, where it may fail, and carried out by `graph.rs`, where nothing can.
//! `supervise.rs` restarts what fails, `health.rs` is what the probes read, `gauges.rs` reads what is measured on demand,
//! and `descriptors.rs` sees to it that there are enough of them.

mod boot;
mod caution;
mod control;
mod descriptors;
mod gauges;
mod graph;
mod health;
mod leaving;
mod origin;
mod orphans;
mod outputs;
mod promise;
mod pulse;
mod reload;
mod reloads;
mod roster;
mod signals;
mod sources;
mod stages;
mod steer;
mod supervise;

use std::{path::Path, sync::Arc, time::Duration};

use sdk::{budget::Budget, clock::Clock, sockets::Shelf};
use tokio::sync::mpsc;

pub use self::control::{Control, NotNow, Outcome, Permission, Requests, describe};
pub use self::gauges::Gauges;
pub use self::health::{Health, Verdict};
pub use self::origin::Origin;
pub use self::reload::{Refusal, Summary};
pub use self::roster::Roster;
use self::{
    boot::Boot,
    graph::Graph,
    signals::Signals,
    sources::{Bound, Kit},
    steer::{Ending, Helm, Manner, Wheels},
    supervise::{Fatal, LifeMetrics, Supervised},
};
use crate::{
    config::{Config, OnFailure, Registry},
    pipeline::{BuildError, Built, Parts, build},
    telemetry::{ledger::Ledger, log},
};

/// How often the data path beats for the liveness probe.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// Failures that wait to be looked at. More are of no interest: one is enough.
const FAILURES_MAX: usize = 16;

/// What the process shares from the start.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The registry and the accounts.
    pub ledger: Ledger,
    /// What the probes ask.
    pub health: Health,
    /// The global memory budget.
    pub budget: Budget,
    /// Who runs, for those who report on it.
    pub roster: Roster,
    /// Every plugin there is. The list stands above this room, so it is handed in.
    pub plugins: Registry,
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

/// A configuration, and where it came from.
#[derive(Debug)]
pub struct Start {
    /// What is to run.
    pub config: Config,
    /// Of its text.
    pub hash: u64,
    /// Where it can be read again; `None` for the quick start and standard input.
    pub origin: Option<Origin>,
    /// Read it again whenever it changes, whatever the configuration says.
    pub watch: bool,
    /// What the admin port asks for.
    pub control: (Control, Requests),
}

/// Runs a configuration until a signal or a fatal failure, then drains.
///
/// # Errors
/// [`StartError`] when it could not start; nothing was acknowledged then.
pub async fn run(start: Start, shared: Shared) -> Result<End, StartError> {
    descriptors::raise_limit();
    let signals = Signals::listen().map_err(StartError::Signals)?;
    spawn_heartbeat(&shared.health);
    let Start {
        config,
        hash,
        origin,
        watch,
        control: (control, requests),
    } = start;
    let parts = parts(&config, &shared);
    let reloads = steer::reloads(shared.ledger.metrics(), hash, &config);
    let boot = begin(&config, &parts).await?;
    let (config, built) = match open(config, parts.clone()).await {
        Ok(built) => built,
        Err(error) => {
            // It did not begin, so it did not crash.
            note_clean(boot).await;
            return Err(error);
        }
    };
    let (fatal, fatals) = mpsc::channel(1);
    let (failed, failures) = mpsc::channel(FAILURES_MAX);
    let watch = watch || config.service.watch;
    let life = Life {
        default_failure: config.service.failure,
        fatal,
        failed,
        health: shared.health.clone(),
    };
    let health = shared.health.clone();
    let kit = Kit {
        parts,
        shared,
        life,
        shelf: Shelf::default(),
    };
    let (mut graph, bound) = Graph::start(config, built, kit, &boot);
    tokio::spawn(announce(bound, health.clone()));
    let mut helm = Helm::new(Wheels {
        signals,
        control,
        requests,
        fatals,
        failures,
        origin: origin.map(Arc::new),
        watch,
        reloads,
        health,
    });
    let ending = helm.steer(&mut graph).await;
    Ok(finish(helm, graph, ending, boot).await)
}

/// Says that it started, when every source has its port.
async fn announce(bound: Bound, health: Health) {
    bound.wait().await;
    health.mark_started();
    tracing::info!("started");
}

/// Ends the graph as the helm wants it.
async fn finish(mut helm: Helm, graph: Graph, ending: Ending, boot: Boot) -> End {
    let Ending { manner, end, since } = ending;
    #[cfg(feature = "defects")]
    if crate::telemetry::defects::is_on("clean_flag_before_sync") {
        boot.clean();
    }
    let finished = match manner {
        Manner::Drain => helm.end(graph, since).await,
        Manner::AtOnce => graph.end_at_once().await,
    };
    note_clean(boot).await;
    if finished || end == End::Failed {
        end
    } else {
        End::Unfinished
    }
}

/// Notes that the process begins, on a blocking thread.
async fn begin(config: &Config, parts: &Parts) -> Result<Boot, StartError> {
    let (data_dir, now) = (config.service.data_dir.clone(), parts.clock.now());
    let begun = tokio::task::spawn_blocking(move || Boot::begin(Path::new(&data_dir), now));
    begun
        .await
        .map_err(|panic| StartError::Panic(panic.to_string()))
}

/// Notes that it ends as it should.
async fn note_clean(boot: Boot) {
    // A panic in it has been told.
    drop(tokio::task::spawn_blocking(move || boot.clean()).await);
}

/// The rules of failure that components share.
#[derive(Debug, Clone)]
struct Life {
    default_failure: OnFailure,
    fatal: mpsc::Sender<Fatal>,
    /// Ids of components that failed and are restarted.
    failed: mpsc::Sender<Arc<str>>,
    /// Watches whether their loops turn.
    health: Health,
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
            failed: self.failed.clone(),
            health: self.health.clone(),
        }
    }
}

fn parts(config: &Config, shared: &Shared) -> Parts {
    let hostname = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    Parts {
        ledger: shared.ledger.clone(),
        clock: Clock::system(),
        hostname: hostname.into(),
        data_dir: Arc::from(Path::new(&config.service.data_dir)),
        plugins: shared.plugins,
    }
}

/// Builds the graph on a blocking thread: recovery reads the disk.
async fn open(config: Config, parts: Parts) -> Result<(Config, Built), StartError> {
    let opened = tokio::task::spawn_blocking(move || {
        build(&config, &parts, None).map(|built| (config, built))
    });
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
