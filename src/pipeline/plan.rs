//! Running filters and following matches: which batches go to which buffers. Nothing waits here, and
//! nothing is booked yet: a batch that is refused later must leave no trace in the ledger.

use std::{sync::Arc, time::Instant};

use sdk::{
    event::{Applied, Batch, Chain, Tag, Walk},
    filter::Filter,
    input::EmitError,
};

use super::{
    FilterKind, FilterNode, Label, Leniency, Pipeline, Seat, Stage, Store, Target, Way,
    poison::{FILTER_PANIC, Fenced, fenced},
};
use crate::{output::OutputNode, telemetry::ledger::DropReason};

/// Labels that a batch may pass through; more means a relabel cycle, which `check` refuses.
const LABELS_DEEP_MAX: usize = 64;

/// What becomes of one emitted batch.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Batches and their buffers.
    pub(super) deliveries: Vec<Delivery>,
    /// Records that end here, with the reason and their bytes.
    pub(super) drops: Vec<(DropReason, u64, u64)>,
    /// Copies beyond the first.
    pub(super) created: u64,
    /// Batches of which nothing is left; to be met once the rest is admitted.
    pub(super) done: Vec<Batch>,
    /// Nothing of it may happen.
    pub(super) refusal: Option<EmitError>,
}

/// Who must take a batch.
#[derive(Debug, Clone)]
pub(super) enum Taker {
    /// An output stores it.
    Output(Arc<OutputNode>),
    /// It waits for a filter with memory.
    Stage(Seat),
}

/// A batch and who must take it.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) taker: Taker,
    pub(super) batch: Batch,
    pub(super) leniency: Leniency,
}

/// Where a batch is.
#[derive(Clone, Copy)]
struct At<'a> {
    /// Place of the label.
    index: usize,
    label: &'a Label,
    way: Way,
    /// Labels that it may still enter.
    depth: usize,
}

impl Pipeline {
    /// Plans a batch that enters at a label.
    pub(super) fn plan(&self, label: &str, batch: Batch) -> Plan {
        let mut plan = Plan::default();
        let mut names = self.labels.iter().map(|label| &*label.name);
        let index = names.position(|name| name == label).unwrap_or(usize::MAX);
        self.enter(index, batch, Way::default(), &mut plan, LABELS_DEEP_MAX);
        plan.in_order()
    }

    /// Plans a batch that left a stage: it goes on with the filters behind it.
    pub(super) fn plan_behind(&self, stage: &Stage, batch: Batch) -> Plan {
        let mut plan = Plan::default();
        match self.at(stage) {
            Some((at, filter)) => self.go_through(at, filter + 1, batch, &mut plan),
            None => plan.drop_batch(DropReason::StageFailed, batch),
        }
        plan.in_order()
    }

    /// Plans a batch that a stage could not handle.
    pub(super) fn plan_failed(&self, stage: &Stage, batch: Batch, reason: &str) -> Plan {
        let mut plan = Plan::default();
        match self.at(stage) {
            Some((at, _)) => self.failed(at, batch, reason, &mut plan),
            None => plan.drop_batch(DropReason::StageFailed, batch),
        }
        plan.in_order()
    }

    /// Where a stage is, and its place in its label. Whoever asks has a seat in this graph.
    fn at(&self, stage: &Stage) -> Option<(At<'_>, usize)> {
        let is_it = |seat: &&Seat| std::ptr::eq(Arc::as_ptr(&seat.stage), stage);
        let Seat { label, rank, .. } = self.seats.iter().find(is_it)?;
        let at = At {
            index: *label,
            label: self.labels.get(*label)?,
            way: stage.way,
            depth: LABELS_DEEP_MAX,
        };
        Some((at, rank.filter))
    }

    fn enter(&self, index: usize, batch: Batch, way: Way, plan: &mut Plan, depth: usize) {
        let Some((label, depth)) = self.labels.get(index).zip(depth.checked_sub(1)) else {
            return plan.drop_batch(DropReason::Unmatched, batch);
        };
        let at = At {
            index,
            label,
            way,
            depth,
        };
        self.go_through(at, 0, batch, plan);
    }

    /// Runs the filters from the place `from` on, up to the next stage or the match.
    fn go_through(&self, at: At<'_>, from: usize, batch: Batch, plan: &mut Plan) {
        let route = self.router.route(at.index, &batch.tag);
        let mut filters = Vec::new();
        let mut stages = None;
        for place in route.filters.iter().filter(|place| **place >= from) {
            let Some(node) = at.label.filters.get(*place) else {
                continue;
            };
            match &node.kind {
                FilterKind::Plain(filter) => filters.push((node, filter)),
                FilterKind::Stages(all) => {
                    stages = Some(all);
                    break;
                }
            }
        }
        let batch = if filters.is_empty() {
            batch
        } else {
            let Some(applied) = self.filter(at, &filters, batch, plan) else {
                return;
            };
            self.after_filters(at, applied, plan)
        };
        let closes_group = batch.piece.as_ref().is_some_and(|piece| piece.last);
        // Behind a stage there are no groups, so what is empty has nothing to close there.
        if batch.count == 0 && (!closes_group || stages.is_some()) {
            return plan.done.push(batch);
        }
        if let Some(stages) = stages {
            return match stages.iter().find(|seat| seat.stage.way == at.way) {
                Some(seat) => plan.deliver(Taker::Stage(seat.clone()), batch, at.way),
                None => plan.drop_batch(DropReason::FilterError, batch),
            };
        }
        match route.target.and_then(|place| at.label.targets.get(place)) {
            Some(target) => self.follow(target, batch, at.way, plan, at.depth),
            None => self.unmatched(at.label, batch, plan),
        }
    }

    /// Runs plain filters. `None` when one panicked and the batch is refused.
    fn filter(
        &self,
        at: At<'_>,
        filters: &[(&FilterNode, &Arc<dyn Filter>)],
        batch: Batch,
        plan: &mut Plan,
    ) -> Option<Applied> {
        let chain = filters.iter().map(|(_, filter)| Arc::clone(filter));
        let chain = Chain::new(chain.collect());
        let start = Instant::now();
        let walk = fenced(|| chain.walk(&batch)).ok();
        let walk = walk.or_else(|| self.after_panic(at.label, filters, &batch));
        let Some(walk) = walk else {
            let label = Arc::clone(&at.label.name);
            plan.refusal = Some(EmitError::Filter { label });
            plan.done.push(batch);
            return None;
        };
        let applied = walk.onto(batch);
        at.label
            .filter_seconds
            .observe(start.elapsed().as_secs_f64());
        for ((node, _), count) in filters.iter().zip(&applied.counts) {
            node.seen.inc_by(u64::from(count.seen));
            node.passed
                .inc_by(u64::from(count.seen - count.dropped - count.failed));
            node.failed.inc_by(u64::from(count.failed));
        }
        Some(applied)
    }

    /// The batch is refused twice, so that it comes again; the third time, only the events that make a filter panic
    /// are taken out.
    fn after_panic(
        &self,
        label: &Label,
        filters: &[(&FilterNode, &Arc<dyn Filter>)],
        batch: &Batch,
    ) -> Option<Walk> {
        self.panics.inc();
        tracing::error!(label = %label.name, tag = %batch.tag, records = batch.count, "a filter panicked");
        if !self.poison.note(&batch.tag, &batch.events) {
            return None;
        }
        let fenced = filters.iter().map(|(_, filter)| Fenced(Arc::clone(filter)));
        let fenced = fenced.map(|filter| -> Arc<dyn Filter> { Arc::new(filter) });
        Some(Chain::new(fenced.collect()).walk(batch))
    }

    fn follow(&self, target: &Target, batch: Batch, way: Way, plan: &mut Plan, depth: usize) {
        match target {
            Target::Output(node) => plan.deliver(Taker::Output(Arc::clone(node)), batch, way),
            Target::Relabel(label) => self.enter(*label, batch, way, plan, depth),
            Target::Copy(stores) => {
                let Some((first, others)) = stores.split_first() else {
                    return plan.drop_batch(DropReason::Unmatched, batch);
                };
                for Store { target, leniency } in others {
                    plan.created += u64::from(batch.count);
                    self.follow(target, batch.clone(), way.through(*leniency), plan, depth);
                }
                self.follow(
                    &first.target,
                    batch,
                    way.through(first.leniency),
                    plan,
                    depth,
                );
            }
        }
    }

    /// Sends what a filter could not handle to the `ERROR` label and books what filters took out.
    fn after_filters(&self, at: At<'_>, applied: Applied, plan: &mut Plan) -> Batch {
        let Applied {
            batch,
            failed,
            failure,
            counts,
        } = applied;
        let dropped: u64 = counts.iter().map(|count| u64::from(count.dropped)).sum();
        if dropped > 0 {
            plan.drops.push((DropReason::Filtered, dropped, 0));
        }
        if let Some(failed) = failed {
            self.failed(at, failed, &failure.unwrap_or_default(), plan);
        }
        batch
    }

    fn failed(&self, at: At<'_>, failed: Batch, reason: &str, plan: &mut Plan) {
        tracing::warn!(label = %at.label.name, tag = %failed.tag, records = failed.count, reason, "a filter failed");
        match self.error_label {
            Some(error) if error != at.index && !at.way.by_error => {
                self.enter(error, failed, Way::FAILED, plan, at.depth);
            }
            _ if reason == FILTER_PANIC => plan.drop_batch(DropReason::FilterPanic, failed),
            _ => plan.drop_batch(DropReason::FilterError, failed),
        }
    }

    fn unmatched(&self, label: &Label, batch: Batch, plan: &mut Plan) {
        let before = self.unmatched.inc_by(u64::from(batch.count));
        if is_worth_a_line(before, u64::from(batch.count)) {
            warn_unmatched(&label.name, &batch.tag, before + u64::from(batch.count));
        }
        plan.drop_batch(DropReason::Unmatched, batch);
    }
}

impl Plan {
    /// With the deliveries in the order in which room is asked for: room on the way comes before room at its end, so
    /// that nobody who has the latter waits for the former.
    fn in_order(mut self) -> Self {
        self.deliveries
            .sort_by_key(|delivery| match &delivery.taker {
                Taker::Stage(seat) => (false, Some(seat.rank)),
                Taker::Output(_) => (true, None),
            });
        self
    }

    /// Nothing of it is to happen. Its batches were clones of one that goes another way.
    pub(super) fn abandon(self) {
        let deliveries = self.deliveries.into_iter();
        let batches = deliveries.map(|delivery| delivery.batch).chain(self.done);
        batches.for_each(|batch| batch.due.meet());
    }

    fn deliver(&mut self, taker: Taker, batch: Batch, way: Way) {
        self.deliveries.push(Delivery {
            taker,
            batch,
            leniency: way.leniency,
        });
    }

    fn drop_batch(&mut self, reason: DropReason, batch: Batch) {
        self.drops
            .push((reason, u64::from(batch.count), batch.events.len() as u64));
        self.done.push(batch);
    }
}

fn warn_unmatched(label: &str, tag: &Tag, total: u64) {
    tracing::warn!(label, %tag, total, "no match takes this tag; the records are dropped");
}

/// Whether the count passed a power of two, so that the log grows with the logarithm only, as in Fluentd.
fn is_worth_a_line(before: u64, more: u64) -> bool {
    (before + more).checked_ilog2() != before.checked_ilog2()
}

#[cfg(test)]
mod tests {
    use super::is_worth_a_line;

    #[test]
    fn says_it_at_powers_of_two() {
        let lines: Vec<u64> = (0..20)
            .filter(|before| is_worth_a_line(*before, 1))
            .collect();
        assert_eq!(lines, [0, 1, 3, 7, 15]);
    }
}
