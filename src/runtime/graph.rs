//! The running graph: sources, filters with memory and outputs, and how another one takes its place.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    boot::Boot,
    caution::Caution,
    health::Seen,
    orphans::Orphans,
    outputs::Outputs,
    reload::{Ground, Plan, Summary},
    sources::{Bound, Kit, Sources},
    stages::Stages,
};
use crate::{
    buffer::Buffer,
    config::{BufferKind, Config, Diff},
    pipeline::{Built, Lender, Pipeline},
};

/// Share of the time for draining that the sources may use up.
const SOURCES_SHARE: u32 = 2;
/// Share of the time for draining that is kept for the outputs when stages do not end.
const STAGES_LEAVE: u32 = 4;
/// How long sources that end or change may take at a reload.
const SOURCES_PATIENCE: Duration = Duration::from_secs(5);
/// How long an output that is on its way out may take before a reload goes on without waiting.
const ENDING_PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at something that nobody tells.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Everything that runs.
pub(super) struct Graph {
    config: Arc<Config>,
    pipeline: Arc<Pipeline>,
    sources: Sources,
    stages: Stages,
    outputs: Outputs,
    /// What earlier graphs left over: stages that still let go of what they hold. Each gives the ids of filters that
    /// are gone then.
    behind: JoinSet<Vec<Arc<str>>>,
    orphans: Orphans,
    kit: Kit,
}

impl Graph {
    /// Starts what was built. [`Bound`] resolves when every source listens.
    pub(super) fn start(config: Config, built: Built, kit: Kit, boot: &Boot) -> (Self, Bound) {
        let metrics = kit.shared.ledger.metrics();
        let orphans = Orphans::new(Path::new(&config.service.data_dir), metrics);
        let ids = built
            .outputs
            .iter()
            .map(|output| Arc::clone(&output.node.id));
        let caution = Caution::new(boot, ids.collect(), metrics);
        let outputs = Outputs::start(built.outputs, caution, &kit.life);
        let stages = Stages::start(built.stages, &built.pipeline, &kit.life);
        let (sources, bound) = Sources::start(&config, &built.pipeline, &kit);
        let graph = Self {
            config: Arc::new(config),
            pipeline: built.pipeline,
            sources,
            stages,
            outputs,
            behind: JoinSet::new(),
            orphans,
            kit,
        };
        graph.show();
        graph.look_for_orphans();
        (graph, bound)
    }

    /// The configuration that runs.
    pub(super) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// What a reload is planned against. Waits for outputs that are just ending: their directories are free then.
    pub(super) async fn ground(&mut self) -> Ground {
        let deadline = Instant::now() + ENDING_PATIENCE;
        while self.outputs.is_one_ending() && Instant::now() < deadline {
            self.look_after().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ground {
            config: Arc::clone(&self.config),
            lender: Lender {
                diff: Arc::new(Diff::default()),
                pipeline: Arc::clone(&self.pipeline),
                outputs: self.outputs.lent(),
            },
            kit: self.kit.clone(),
        }
    }

    /// Puts another graph in the place of this one. Nothing here can fail: what could was tried before.
    pub(super) async fn replace(&mut self, plan: Plan) -> Summary {
        let (summary, removed_filters) = (plan.summary(), plan.removed_filters());
        let Plan {
            config,
            diff,
            prepared,
            built,
            ..
        } = plan;
        let patience = config.service.shutdown_timeout.0;
        let life = self.kit.life.clone();
        self.stages.let_go(&built.stages).await;
        let before = std::mem::replace(&mut self.pipeline, built.pipeline);
        let before = Arc::downgrade(&before);
        self.outputs
            .replace(built.outputs, &before, patience, &life);
        let behind = self.stages.replace(built.stages, &self.pipeline, &life);
        self.config = Arc::new(config);
        self.show();
        self.look_for_orphans();
        let sources_patience = SOURCES_PATIENCE.min(patience);
        let gone = self.sources.replace(
            &self.config,
            &diff,
            prepared,
            &self.pipeline,
            sources_patience,
            &self.kit,
        );
        let gone = gone.await;
        self.forget(gone);
        self.behind.spawn(async move {
            behind.end_behind(before, patience).await;
            removed_filters
        });
        summary
    }

    /// Tells everybody who reports on components what runs now.
    fn show(&self) {
        let shared = &self.kit.shared;
        let lenient = self.config.forgiven_outputs();
        let seen = self.outputs.running().iter().map(|running| {
            let node = &running.node;
            Seen {
                id: Arc::clone(&node.id),
                buffer: node.buffer.clone(),
                holds_up: !lenient.contains(&node.id),
                failures: node.metrics.consecutive_failures.clone(),
                full_at: None,
            }
        });
        shared.health.see(seen.collect());
        let ready = &self.config.service.admin.ready;
        shared
            .health
            .fail_on_backpressure(ready.fail_on_backpressure);
        let nodes = self.outputs.running().iter();
        let nodes: Vec<_> = nodes.map(|running| Arc::clone(&running.node)).collect();
        shared.roster.fill(&self.config, &self.kit.parts, &nodes);
    }

    /// Looks after what earlier graphs left over, and whose turn it is in safe mode. To be called every now and then.
    pub(super) async fn look_after(&mut self) {
        self.outputs.be_careful(&self.kit.life);
        let gone = self.outputs.look_after_leaving().await;
        if !gone.is_empty() {
            self.look_for_orphans();
        }
        self.forget(gone);
        while let Some(gone) = self.behind.try_join_next() {
            self.forget(gone.unwrap_or_default());
        }
    }

    /// Removes the series of components that are gone, unless one with this id is there again.
    fn forget(&self, gone: Vec<Arc<str>>) {
        for id in gone {
            if !self.config.has_component(&id) {
                self.kit.shared.ledger.close(&id);
            }
        }
    }

    /// Looks for buffers without an output, beside everything else.
    fn look_for_orphans(&self) {
        let (orphans, owned) = (self.orphans.clone(), self.outputs.directories());
        tokio::task::spawn_blocking(move || orphans.look(&owned));
    }

    /// The buffers that are only in memory.
    pub(super) fn memory(&self) -> Vec<Buffer> {
        let running = self.outputs.running().iter();
        let in_memory = running.filter(|running| running.spec.buffer.kind != BufferKind::File);
        in_memory
            .map(|running| running.node.buffer.clone())
            .collect()
    }

    /// Makes everything stored due now.
    pub(super) fn flush(&self) {
        self.outputs.flush();
    }

    /// Ends with what is on disk. `true` when nothing that was only in memory is lost.
    pub(super) async fn end_at_once(self) -> bool {
        self.kit.shared.health.mark_draining();
        tracing::warn!("SIGQUIT: ending at once");
        let nothing_lost = self.memory().iter().all(Buffer::is_empty);
        let now = Instant::now();
        self.sources.end(now).await;
        self.stages.end(now).await;
        self.outputs.end_at_once().await;
        self.kit.shared.health.see(Vec::new());
        self.kit.shared.roster.clear();
        drop(tokio::task::spawn_blocking(move || drop(self.pipeline)).await);
        nothing_lost
    }

    /// Drains within `shutdown_timeout`. `true` when everything acknowledged is on disk or delivered.
    pub(super) async fn end(mut self, began: Instant) -> bool {
        self.kit.shared.health.mark_draining();
        let service = &self.config.service;
        let (drain_delay, timeout) = (service.drain_delay.0, service.shutdown_timeout.0);
        tracing::info!(drain_delay_ms = drain_delay.as_millis(), "draining");
        // Endpoints are removed from a Service only a while after the signal, so senders still come.
        tokio::time::sleep_until(began + drain_delay).await;
        let deadline = Instant::now() + timeout;
        self.outputs.flush();
        self.stages.drain();
        self.sources.end(deadline - timeout / SOURCES_SHARE).await;
        let stages_deadline = deadline - timeout / STAGES_LEAVE;
        self.stages.end(stages_deadline).await;
        let behind = async { while self.behind.join_next().await.is_some() {} };
        drop(timeout_at(stages_deadline, behind).await);
        self.behind.shutdown().await;
        let drained = self.outputs.end(deadline).await;
        self.kit.shared.health.see(Vec::new());
        self.kit.shared.roster.clear();
        // The writers of buffers finish what they have when the last one who knows them is gone.
        drop(tokio::task::spawn_blocking(move || drop(self.pipeline)).await);
        tracing::info!(drained, "ended");
        drained
    }
}
