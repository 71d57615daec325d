//! Running filters and following matches: which batches go to which buffers. Nothing waits here, and
//! nothing is booked yet: a batch that is refused later must leave no trace in the ledger.

use std::sync::Arc;

use sdk::event::{Applied, Batch, Chain, Tag};

use super::{Label, Leniency, Pipeline, Store, Target};
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
}

/// A batch and the output that must store it.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) node: Arc<OutputNode>,
    pub(super) batch: Batch,
    pub(super) leniency: Leniency,
}

impl Pipeline {
    /// Plans a batch that enters at a label.
    pub(super) fn plan(&self, label: usize, batch: Batch) -> Plan {
        let mut plan = Plan::default();
        self.enter(
            label,
            batch,
            Leniency::default(),
            &mut plan,
            LABELS_DEEP_MAX,
        );
        plan
    }

    fn enter(&self, index: usize, batch: Batch, leniency: Leniency, plan: &mut Plan, depth: usize) {
        let Some((label, depth)) = self.labels.get(index).zip(depth.checked_sub(1)) else {
            return plan.drop_batch(DropReason::Unmatched, batch);
        };
        let route = self.router.route(index, &batch.tag);
        let filters: Vec<_> = route
            .filters
            .iter()
            .filter_map(|at| Some((*at, label.filters.get(*at)?)))
            .collect();
        let batch = if filters.is_empty() {
            batch
        } else {
            let chain = Chain::new(
                filters
                    .iter()
                    .map(|(_, node)| Arc::clone(&node.filter))
                    .collect(),
            );
            let applied = chain.apply(batch);
            for ((_, node), count) in filters.iter().zip(&applied.counts) {
                node.seen.inc_by(u64::from(count.seen));
                node.passed
                    .inc_by(u64::from(count.seen - count.dropped - count.failed));
                node.failed.inc_by(u64::from(count.failed));
            }
            self.after_filters(index, label, applied, plan, depth)
        };
        let closes_group = batch.piece.as_ref().is_some_and(|piece| piece.last);
        if batch.count == 0 && !closes_group {
            return plan.done.push(batch);
        }
        match route.target.and_then(|at| label.targets.get(at)) {
            Some(target) => self.follow(target, batch, leniency, plan, depth),
            None => self.unmatched(label, batch, plan),
        }
    }

    fn follow(
        &self,
        target: &Target,
        batch: Batch,
        leniency: Leniency,
        plan: &mut Plan,
        depth: usize,
    ) {
        match target {
            Target::Output(node) => plan.deliveries.push(Delivery {
                node: Arc::clone(node),
                batch,
                leniency,
            }),
            Target::Relabel(label) => self.enter(*label, batch, leniency, plan, depth),
            Target::Copy(stores) => {
                let Some((first, others)) = stores.split_first() else {
                    return plan.drop_batch(DropReason::Unmatched, batch);
                };
                for Store {
                    target,
                    leniency: own,
                } in others
                {
                    plan.created += u64::from(batch.count);
                    self.follow(target, batch.clone(), leniency.and(*own), plan, depth);
                }
                self.follow(
                    &first.target,
                    batch,
                    leniency.and(first.leniency),
                    plan,
                    depth,
                );
            }
        }
    }

    /// Sends what a filter could not handle to the `ERROR` label and books what filters took out.
    fn after_filters(
        &self,
        index: usize,
        label: &Label,
        applied: Applied,
        plan: &mut Plan,
        depth: usize,
    ) -> Batch {
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
            let reason = failure.unwrap_or_default();
            tracing::warn!(label = %label.name, tag = %failed.tag, records = failed.count, reason, "a filter failed");
            match self.error_label {
                Some(error) if error != index => {
                    self.enter(error, failed, Leniency::default(), plan, depth);
                }
                _ => plan.drop_batch(DropReason::FilterError, failed),
            }
        }
        batch
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
