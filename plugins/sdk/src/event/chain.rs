//! Running a batch through consecutive filters in one walk.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    event::{Batch, Edit, Fate, RawEvent, overlay::Overlay},
    filter::Filter,
};

/// Consecutive filters, applied together: one overlay per event, written out once.
#[derive(Clone, Default)]
pub struct Chain {
    filters: Vec<Arc<dyn Filter>>,
}

/// How many events a filter saw and how many it took out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterCount {
    /// Events that reached the filter.
    pub seen: u32,
    /// Events that it took out.
    pub dropped: u32,
    /// Events that it could not handle.
    pub failed: u32,
}

/// What a chain made of a batch. Every event is in exactly one of the three.
#[derive(Debug)]
pub struct Applied {
    /// What goes on; it may be empty (`count` 0), and its obligation is then still open.
    pub batch: Batch,
    /// Events that a filter could not handle, unchanged, for the `ERROR` label.
    pub failed: Option<Batch>,
    /// The reason of the first of them.
    pub failure: Option<String>,
    /// One entry per filter, in order.
    pub counts: Vec<FilterCount>,
}

impl Chain {
    /// A chain of these filters.
    pub fn new(filters: Vec<Arc<dyn Filter>>) -> Self {
        Self { filters }
    }

    /// Whether batches pass untouched.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Runs every event of `batch` through the filters.
    pub fn apply(&self, batch: Batch) -> Applied {
        self.walk(&batch).onto(batch)
    }

    /// The same without the batch itself, which is as it was should a filter panic.
    pub fn walk(&self, batch: &Batch) -> Walk {
        let mut run = Run::new(batch, self.filters.len());
        let mut overlay = Overlay::default();
        for (index, event) in (0_u32..).zip(batch.entries().map_while(Result::ok)) {
            let mut edit = Edit::new(&batch.tag, event, &mut overlay);
            for (filter, count) in self.filters.iter().zip(&mut run.counts) {
                count.seen += 1;
                filter.filter(&mut edit);
                match edit.fate() {
                    Fate::Keep => continue,
                    Fate::Drop => count.dropped += 1,
                    Fate::Error(_) => count.failed += 1,
                }
                break;
            }
            run.settle(index, &event, edit);
        }
        Walk(run)
    }
}

/// What filters made of the events of a batch.
pub struct Walk(Run);

impl Walk {
    /// Puts it in the place of the events of that batch.
    pub fn onto(self, batch: Batch) -> Applied {
        self.0.finish(batch)
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Walk")
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain({} filters)", self.filters.len())
    }
}

/// The state of one pass. Bytes are copied only from the first change on.
struct Run {
    events: Bytes,
    /// Everything before this offset is untouched and not yet copied.
    untouched_to: usize,
    changed: bool,
    out: Vec<u8>,
    survivors: Vec<u32>,
    track_survivors: bool,
    kept: u32,
    failed: Vec<u8>,
    failed_count: u32,
    failure: Option<String>,
    counts: Vec<FilterCount>,
}

impl Run {
    fn new(batch: &Batch, filters: usize) -> Self {
        Self {
            events: batch.events.clone(),
            untouched_to: 0,
            changed: false,
            out: Vec::new(),
            survivors: Vec::new(),
            track_survivors: batch.origin.is_some(),
            kept: 0,
            failed: Vec::new(),
            failed_count: 0,
            failure: None,
            counts: vec![FilterCount::default(); filters],
        }
    }

    fn settle(&mut self, index: u32, event: &RawEvent<'_>, mut edit: Edit<'_>) {
        let before = self.out.len();
        let wrote = *edit.fate() == Fate::Keep && self.write(&mut edit);
        match edit.into_fate() {
            Fate::Keep => {
                self.kept += 1;
                if self.track_survivors {
                    self.survivors.push(index);
                }
                if !wrote && self.changed {
                    self.out.extend_from_slice(event.entry);
                }
                debug_assert!(!wrote || self.out.len() > before);
            }
            Fate::Drop => self.start_copy(),
            Fate::Error(reason) => {
                self.start_copy();
                self.failed.extend_from_slice(event.entry);
                self.failed_count += 1;
                self.failure.get_or_insert(reason);
            }
        }
        if !self.changed {
            self.untouched_to += event.entry.len();
        }
    }

    fn write(&mut self, edit: &mut Edit<'_>) -> bool {
        if self.changed {
            return edit.write_if_changed(&mut self.out);
        }
        let mut first = Vec::new();
        let wrote = edit.write_if_changed(&mut first);
        if wrote {
            self.start_copy();
            self.out.append(&mut first);
        }
        wrote
    }

    fn start_copy(&mut self) {
        if !self.changed {
            self.changed = true;
            self.out.reserve(self.events.len() + self.events.len() / 4);
            self.out
                .extend_from_slice(self.events.get(..self.untouched_to).unwrap_or_default());
        }
    }

    fn finish(self, mut batch: Batch) -> Applied {
        let Self {
            changed,
            out,
            survivors,
            kept,
            failed,
            failed_count,
            failure,
            counts,
            ..
        } = self;
        let failed = (failed_count > 0).then(|| Batch {
            events: Bytes::from(failed),
            count: failed_count,
            origin: None,
            // On its own from here: not every piece of a message has a failed event, so no group would end.
            piece: None,
            ..batch.clone()
        });
        if changed {
            if kept < batch.count
                && let Some(origin) = &batch.origin
            {
                batch.origin = Some(origin.narrowed(survivors.iter().copied()));
            }
            batch.events = Bytes::from(out);
            batch.count = kept;
        }
        Applied {
            batch,
            failed,
            failure,
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        event::{FieldPath, Group, Piece},
        msgpack::{RawValue, Token},
        testing,
    };

    /// Drops `1`, complains about `2`, keeps the rest.
    struct Picky;

    impl Filter for Picky {
        fn filter(&self, edit: &mut Edit<'_>) {
            let number = edit.get(&FieldPath::key("n"));
            match number.map(RawValue::token) {
                Some(Token::Int(1)) => edit.drop_event(),
                Some(Token::Int(2)) => edit.fail("two"),
                _ => {}
            }
        }
    }

    #[test]
    fn every_event_ends_in_one_place_and_what_failed_is_no_piece() {
        let records = [0, 1, 2, 3].map(|n| json!({ "n": n }));
        let mut batch = testing::batch("a", &records);
        batch.piece = Some(Piece {
            group: Group::next(),
            last: false,
        });
        let applied = Chain::new(vec![Arc::new(Picky)]).apply(batch);
        let kept = [json!({ "n": 0 }), json!({ "n": 3 })];
        assert_eq!(testing::records(&applied.batch.events), kept);
        assert!(applied.batch.piece.is_some());
        let failed = applied.failed.unwrap();
        assert_eq!(testing::records(&failed.events), [json!({ "n": 2 })]);
        assert!(failed.piece.is_none());
        assert_eq!(applied.failure.as_deref(), Some("two"));
        let counts = FilterCount {
            seen: 4,
            dropped: 1,
            failed: 1,
        };
        assert_eq!(applied.counts, [counts]);
    }
}
