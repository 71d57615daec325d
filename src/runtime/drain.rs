//! Running the outputs, and ending in order: sources first, then buffers, then outputs.

use std::{sync::Arc, time::Duration};

use sdk::{
    Fut, RunError,
    stop::{Stop, Stopper},
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{Health, Life, supervise::Supervised};
use crate::{config::Service, output::OutputNode, pipeline::BuiltOutput};

/// Share of the time for draining that the sources may use up.
const SOURCES_SHARE: u32 = 2;

/// The running outputs.
pub(super) struct Outputs {
    nodes: Vec<Running>,
    flushers: JoinSet<()>,
    background: JoinSet<()>,
    stop_background: Stopper,
}

struct Running {
    node: Arc<OutputNode>,
    flush_at_shutdown: bool,
    give_up: Stopper,
}

impl Outputs {
    /// Starts the flush workers and the background work of every output.
    pub(super) fn start(outputs: Vec<BuiltOutput>, life: &Life) -> Self {
        let (stop_background, stopped) = Stopper::new();
        let mut running = Self {
            nodes: Vec::new(),
            flushers: JoinSet::new(),
            background: JoinSet::new(),
            stop_background,
        };
        for output in outputs {
            let supervised = life.supervised(&output.node.id, output.on_failure, &output.metrics);
            running.start_one(output, supervised, &stopped);
        }
        running
    }

    fn start_one(&mut self, output: BuiltOutput, supervised: Supervised, stopped: &Stop) {
        let BuiltOutput {
            node,
            flush_at_shutdown,
            ..
        } = output;
        let (giver, give_up) = Stopper::new();
        for _ in 0..node.flush_thread_count.max(1) {
            let (node, give_up) = (Arc::clone(&node), give_up.clone());
            self.flushers.spawn(node.flush(give_up));
        }
        let (plugin, stop) = (Arc::clone(&node.plugin), stopped.clone());
        let start = move || -> Fut<'static, Result<(), RunError>> {
            let (plugin, stop) = (Arc::clone(&plugin), stop.clone());
            Box::pin(async move { plugin.run(stop).await })
        };
        self.background
            .spawn(supervised.run(stopped.clone(), start));
        self.nodes.push(Running {
            node,
            flush_at_shutdown,
            give_up: giver,
        });
    }

    /// Makes everything stored due now.
    pub(super) fn flush(&self) {
        self.nodes
            .iter()
            .for_each(|running| running.node.buffer.flush());
    }

    /// Ends the outputs until `deadline`; `true` when nothing that was only in memory is left.
    async fn end(mut self, deadline: Instant) -> bool {
        for running in &self.nodes {
            if running.flush_at_shutdown {
                running.node.buffer.flush();
            } else {
                running.give_up.stop();
            }
            running.node.buffer.close();
        }
        let drained = timeout_at(deadline, join_all(&mut self.flushers))
            .await
            .is_ok();
        self.nodes.iter().for_each(|running| running.give_up.stop());
        let last = Instant::now() + Duration::from_millis(500);
        if timeout_at(last, join_all(&mut self.flushers))
            .await
            .is_err()
        {
            self.flushers.shutdown().await;
        }
        self.stop_background.stop();
        drop(timeout_at(last.max(deadline), join_all(&mut self.background)).await);
        drained
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a task of an output ended badly");
        }
    }
}

/// Drains within `shutdown_timeout`. `true` when everything acknowledged is on disk or delivered.
pub(super) async fn drain(
    service: &Service,
    health: &Health,
    stop_sources: Stopper,
    mut sources: JoinSet<()>,
    outputs: Outputs,
) -> bool {
    health.mark_draining();
    let drain_delay = service.drain_delay.0;
    tracing::info!(drain_delay_ms = drain_delay.as_millis(), "draining");
    // Endpoints are removed from a Service only a while after the signal, so senders still come.
    tokio::time::sleep(drain_delay).await;
    let timeout = service.shutdown_timeout.0;
    let deadline = Instant::now() + timeout;
    outputs.flush();
    stop_sources.stop();
    let sources_deadline = Instant::now() + timeout / SOURCES_SHARE;
    if timeout_at(sources_deadline, join_all(&mut sources))
        .await
        .is_err()
    {
        tracing::warn!(
            "sources did not finish in time; what they had not acknowledged will be sent again"
        );
        sources.shutdown().await;
    }
    let drained = outputs.end(deadline).await;
    tracing::info!(drained, "ended");
    drained
}
