//! The graph that runs now, for whoever sends batches into it. A reload puts another one in its place.

use std::sync::Arc;

use sdk::{event::Batch, input::EmitError};
use tokio::sync::watch;

use super::{
    Pipeline,
    admit::{Entry, book, reserve_all},
    plan::Plan,
};

/// Shows a graph to one sender. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Current(watch::Receiver<Arc<Pipeline>>);

/// Puts another graph in the place of the one that a sender sees.
#[derive(Debug)]
pub struct Switch(watch::Sender<Arc<Pipeline>>);

impl Switch {
    /// A view of this graph.
    pub fn new(pipeline: Arc<Pipeline>) -> (Self, Current) {
        let (sender, receiver) = watch::channel(pipeline);
        (Self(sender), Current(receiver))
    }

    /// From now on batches go through this graph. One that waits for room in the other goes through this one instead.
    pub fn turn(&self, pipeline: Arc<Pipeline>) {
        self.0.send_replace(pipeline);
    }
}

impl Current {
    /// The graph of this moment.
    pub fn now(&self) -> Arc<Pipeline> {
        Arc::clone(&self.0.borrow())
    }

    /// Plans a batch and stores it everywhere it goes to, or nowhere. When another graph takes the place of this one
    /// while it waits for room, it is planned anew. Pieces of one message all go through the graph of the first.
    ///
    /// # Errors
    /// [`EmitError`]: nothing was stored, and the obligation is broken.
    pub(super) async fn pass(
        &self,
        entry: Entry,
        batch: Batch,
        plan: impl Fn(&Pipeline, Batch) -> Plan,
    ) -> Result<(), EmitError> {
        if let Some(piece) = &batch.piece {
            let pipeline = piece.group.way(|| self.now());
            let pipeline = pipeline.unwrap_or_else(|| self.now());
            let plan = plan(&pipeline, batch);
            let answers = reserve_all(&plan).await?;
            book(&pipeline.account, entry, plan, answers);
            return Ok(());
        }
        loop {
            let pipeline = self.now();
            let plan = plan(&pipeline, batch.clone());
            let answers = tokio::select! {
                biased;
                answers = reserve_all(&plan) => answers,
                () = self.turned_from(&pipeline) => {
                    plan.abandon();
                    continue;
                }
            };
            match answers {
                Ok(answers) => book(&pipeline.account, entry, plan, answers),
                // What refuses may have been taken out of the graph.
                Err(_) if !Arc::ptr_eq(&pipeline, &self.now()) => {
                    plan.abandon();
                    continue;
                }
                Err(error) => return Err(error),
            }
            batch.due.meet();
            return Ok(());
        }
    }

    /// Resolves when another graph is in the place of this one.
    async fn turned_from(&self, pipeline: &Arc<Pipeline>) {
        let mut receiver = self.0.clone();
        let turned = receiver.wait_for(|now| !Arc::ptr_eq(now, pipeline));
        if turned.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
