//! Running the stages: each under a supervisor that builds its filter anew after a failure, and ended in the order in
//! which records go through them.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use sdk::{Fut, RunError, stop::Stopper};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::Life;
use crate::pipeline::{Pipeline, Stage, Switch};

/// Between two looks at something that nobody tells.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a filter that changes may take to let go of what it holds, before the other takes its place.
const LET_GO: Duration = Duration::from_secs(2);

/// The running stages.
pub(super) struct Stages {
    running: Vec<Running>,
}

/// One stage.
struct Running {
    stage: Arc<Stage>,
    task: JoinHandle<()>,
    switch: Switch,
    /// From now on nothing is held longer than it must be.
    draining: Stopper,
    /// Ends the task once its queue is empty.
    closing: Stopper,
    /// Ends it now.
    give_up: Stopper,
}

impl Stages {
    /// Starts a task for every stage; they come in the order in which records go through them.
    pub(super) fn start(stages: Vec<Arc<Stage>>, pipeline: &Arc<Pipeline>, life: &Life) -> Self {
        let running = stages.into_iter();
        Self {
            running: running
                .map(|stage| Running::start(stage, pipeline, life))
                .collect(),
        }
    }

    /// Lets those that are not among `stay` go of what they hold, before others take their place. They still take what
    /// comes.
    pub(super) async fn let_go(&self, stay: &[Arc<Stage>]) {
        let leaving = || self.running.iter().filter(|running| !running.is_in(stay));
        leaving().for_each(|running| running.draining.stop());
        let deadline = Instant::now() + LET_GO;
        while !leaving().all(|running| running.stage.is_empty()) && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Runs these from now on, through this graph. Returns those that are not among them; they go through the graph
    /// before, and are to be ended.
    pub(super) fn replace(
        &mut self,
        stages: Vec<Arc<Stage>>,
        pipeline: &Arc<Pipeline>,
        life: &Life,
    ) -> Self {
        let mut before = std::mem::take(&mut self.running);
        for stage in stages {
            let is_it = |running: &Running| Arc::ptr_eq(&running.stage, &stage);
            let running = match before.iter().position(is_it) {
                Some(at) => {
                    let running = before.remove(at);
                    running.switch.turn(Arc::clone(pipeline));
                    running
                }
                None => Running::start(stage, pipeline, life),
            };
            self.running.push(running);
        }
        Self { running: before }
    }

    /// From now on nothing is held longer than it must be: sources wait for what is held.
    pub(super) fn drain(&self) {
        self.running
            .iter()
            .for_each(|running| running.draining.stop());
    }

    /// Ends what a reload left over, once nobody but these sends through the graph before; half of the time is for that.
    pub(super) async fn end_behind(self, before: Weak<Pipeline>, patience: Duration) {
        let began = Instant::now();
        while before.strong_count() > self.running.len() && began.elapsed() < patience / 2 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.end(began + patience).await;
    }

    /// Ends the stages one after the other until `deadline`. What sends to them has ended before. What cannot leave by
    /// then is given up: its senders got no answer.
    pub(super) async fn end(self, deadline: Instant) {
        self.drain();
        for Running {
            stage,
            mut task,
            closing,
            give_up,
            switch: _through,
            draining: _told,
        } in self.running
        {
            closing.stop();
            if timeout_at(deadline, &mut task).await.is_err() {
                tracing::warn!(filter = %stage.id, "did not finish in time; its records are not acknowledged");
                give_up.stop();
                let last = Instant::now() + Duration::from_millis(200);
                if timeout_at(last, &mut task).await.is_err() {
                    task.abort();
                }
            }
            stage.abandon();
        }
    }
}

impl Running {
    fn start(stage: Arc<Stage>, pipeline: &Arc<Pipeline>, life: &Life) -> Self {
        let supervised = life.supervised(&stage.id, stage.on_failure, &stage.metrics);
        let (switch, current) = Switch::new(Arc::clone(pipeline));
        let (draining, drains) = Stopper::new();
        let (closing, closes) = Stopper::new();
        let (give_up, abandoned) = Stopper::new();
        let stop = closes.clone();
        let own = Arc::clone(&stage);
        let start = move || -> Fut<'static, Result<(), RunError>> {
            let (stage, current) = (Arc::clone(&own), current.clone());
            let (drains, closes, ended) = (drains.clone(), closes.clone(), abandoned.clone());
            Box::pin(async move {
                tokio::select! {
                    result = stage.run(current, drains, closes) => result,
                    () = ended.stopped() => Ok(()),
                }
            })
        };
        Self {
            stage,
            task: tokio::spawn(supervised.run(stop, start)),
            switch,
            draining,
            closing,
            give_up,
        }
    }

    fn is_in(&self, stages: &[Arc<Stage>]) -> bool {
        stages.iter().any(|stage| Arc::ptr_eq(stage, &self.stage))
    }
}

#[cfg(test)]
mod tests;
