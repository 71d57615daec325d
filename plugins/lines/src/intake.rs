//! From gathered records into the pipeline. Nobody waits for an answer, so what is refused is offered again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sdk::{
    event::Batch,
    input::InputCx,
    obligation::{Obligation, Receipt},
    stop::Stop,
};

use crate::{gather::Gather, report::Report};

/// How long to wait before a refused batch is offered again.
const REFUSED_WAIT: Duration = Duration::from_millis(500);
/// Batches of one stream that may wait for their receipts.
const IN_FLIGHT_MAX: usize = 64;

/// Emits batches in order and follows their receipts.
#[derive(Debug)]
pub(crate) struct Intake {
    cx: InputCx,
    stop: Stop,
    report: Arc<Report>,
    waiting: VecDeque<(Receipt, u32)>,
}

impl Intake {
    pub(crate) fn new(cx: &InputCx, stop: &Stop, report: &Arc<Report>) -> Self {
        Self {
            cx: cx.clone(),
            stop: stop.clone(),
            report: Arc::clone(report),
            waiting: VecDeque::new(),
        }
    }

    /// Emits everything that was gathered. Returns when it is admitted.
    pub(crate) async fn emit(&mut self, gather: &mut Gather) {
        for group in gather.take() {
            let permit = Arc::new(self.cx.budget.take(group.events.len()).await);
            let mut batch = Batch::new(
                group.tag,
                group.events.into(),
                group.count,
                Obligation::nobody(),
            );
            batch.permit = Some(permit);
            match self.offer(&batch).await {
                Some(receipt) => self.waiting.push_back((receipt, group.count)),
                None => self.report.lost("shutdown", u64::from(group.count)),
            }
        }
        self.settle(IN_FLIGHT_MAX).await;
    }

    /// Offers a batch until it is taken; `None` when it still is not at a stop.
    async fn offer(&self, batch: &Batch) -> Option<Receipt> {
        loop {
            let (due, receipt) = Obligation::new();
            let mut offered = batch.clone();
            offered.due = due;
            match self.cx.emit.emit(offered).await {
                Ok(()) => return Some(receipt),
                Err(error) => self.report.refused(&error),
            }
            tokio::select! {
                () = self.stop.stopped() => return None,
                () = tokio::time::sleep(REFUSED_WAIT) => {}
            }
        }
    }

    /// Waits for every receipt.
    pub(crate) async fn finish(&mut self) {
        self.settle(0).await;
    }

    /// Waits until at most `most` receipts are open, oldest first.
    async fn settle(&mut self, most: usize) {
        while self.waiting.len() > most
            || self
                .waiting
                .front()
                .is_some_and(|(receipt, _)| receipt.is_settled())
        {
            let Some((receipt, count)) = self.waiting.pop_front() else {
                return;
            };
            if receipt.await.is_err() {
                self.report.lost("not_stored", u64::from(count));
            }
        }
    }
}
