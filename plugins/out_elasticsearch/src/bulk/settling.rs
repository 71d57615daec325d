//! The answer to one request: the verdict on every record of it.

use sdk::output::{Failure, FailureKind, Verdict};

use crate::{
    bulk::{
        answer::{Answer, Item},
        delivery::{Delivery, Stopped},
        item_error::ItemError,
        judge::{ItemFate, Split, judge_item},
        repair::repair,
    },
    config::policy::{OnConflict, OnMappingConflict},
    document::{action::id_of, identity},
};

impl Delivery<'_> {
    /// Reads what became of each record of a request.
    pub(crate) fn settle(&mut self, positions: &[usize], answer: Answer) -> Result<(), Stopped> {
        self.is_settled = true;
        let counters = &self.bulk.counters;
        let succeeded = positions.len() - answer.failed.len();
        counters.items.created.inc_by(succeeded as u64);
        for (counter, items) in counters.failure_store.iter().zip(answer.failure_store) {
            counter.inc_by(items);
        }
        let policy = self.bulk.policy;
        let (mut together, mut changed) = (Vec::new(), Vec::new());
        let mut example = ItemError::default();
        for (place, item) in answer.failed {
            let Some(position) = positions.get(place).copied() else {
                continue;
            };
            match judge_item(item.status, &item.error, policy) {
                ItemFate::Delivered => drop(counters.items.created.inc()),
                ItemFate::Duplicate
                    if policy.on_conflict == OnConflict::DeadLetter
                        && self.has_id_of_its_own(position) =>
                {
                    self.rule(position, &item, FailureKind::Rejected, true);
                }
                ItemFate::Duplicate => drop(counters.items.conflict.inc()),
                ItemFate::Stale => drop(counters.items.stale.inc()),
                ItemFate::TooLargeTogether if positions.len() > 1 => {
                    together.push(position);
                    example = item.error;
                }
                ItemFate::TooLargeTogether => {
                    self.rule(position, &item, FailureKind::TooLarge, true);
                }
                ItemFate::Retry(kind) if self.bulk.gives_up(&item.error) => {
                    self.rule(position, &item, kind, true);
                }
                ItemFate::Retry(kind) => self.rule(position, &item, kind, false),
                ItemFate::Reject(FailureKind::Mapping) if self.repair(position, &item) => {
                    changed.push(position);
                }
                ItemFate::Reject(kind) => self.rule(position, &item, kind, true),
            }
        }
        if !changed.is_empty() {
            self.pending.push(changed);
        }
        if together.is_empty() {
            return Ok(());
        }
        self.divide(together, Split::Memory, &example.summary())
    }

    /// Changes a document so that it fits the mapping, where the operator wants that and it was not done yet.
    fn repair(&mut self, position: usize, item: &Item) -> bool {
        let how = self.bulk.policy.on_mapping_conflict;
        if how == OnMappingConflict::DeadLetter || self.repaired.contains_key(&position) {
            return false;
        }
        let Some(lines) = repair(self.documents.part(position), &item.error, how) else {
            return false;
        };
        self.repaired.insert(position, lines.into());
        self.bulk.counters.items.repaired.inc();
        true
    }

    /// Whether the id of a record comes from a field.
    fn has_id_of_its_own(&self, position: usize) -> bool {
        id_of(self.documents.part(position)).is_some_and(|id| !identity::has_form(id))
    }

    /// Notes the verdict on one record.
    fn rule(&mut self, position: usize, item: &Item, kind: FailureKind, is_final: bool) {
        let items = &self.bulk.counters.items;
        match (item.status, kind) {
            (0, _) => items.unknown.inc(),
            (404, _) => items.not_found.inc(),
            (409, FailureKind::Rejected) => items.conflict.inc(),
            (_, FailureKind::Http429) => items.rejected.inc(),
            (_, FailureKind::Mapping) => items.mapping.inc(),
            (_, FailureKind::Auth) => items.auth.inc(),
            (_, FailureKind::TooLarge) => items.too_large.inc(),
            _ => items.other.inc(),
        };
        let (about, what) = match item.status {
            0 => (
                "the answer does not say what became of it".to_owned(),
                "no status".to_owned(),
            ),
            status => (item.error.summary(), format!("status {status}")),
        };
        self.note(position, kind, is_final, (about, &what));
    }

    /// Adds the id to a message, so that the record can be found.
    pub(crate) fn note(
        &mut self,
        position: usize,
        kind: FailureKind,
        is_final: bool,
        (about, what): (String, &str),
    ) {
        let Some((index, _)) = self.documents.slots.get(position) else {
            return;
        };
        let id = id_of(self.documents.part(position)).unwrap_or("none");
        let failure = Failure::new(kind, format!("{about} ({what}, id {id})"));
        let verdict = if is_final {
            Verdict::Reject(failure)
        } else {
            Verdict::Retry(None, failure)
        };
        self.verdicts.push((*index, verdict));
        self.complaints.add(about, kind, is_final, id);
    }
}
