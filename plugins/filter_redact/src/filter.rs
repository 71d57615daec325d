//! The compiled filter, and what it does with one event.

use sdk::{
    config::Pattern,
    event::{Edit, FieldPath},
    filter::Filter,
    metrics::Counter,
    msgpack::RawValue,
};

use crate::{
    action::{Deed, Key},
    scan::Scan,
    walk::{Outcome, Walk},
};

/// The compiled parameters.
#[derive(Debug)]
pub(crate) struct Redact {
    pub(crate) scan: Scan,
    /// The detectors that are on, as a set of their indexes.
    pub(crate) on: u32,
    /// The index of the detector of cards, which looks at integers too.
    pub(crate) card: Option<usize>,
    /// One for each detector, then that of fields, then those of `patterns`.
    pub(crate) entries: Vec<Entry>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) allow: Vec<FieldPath>,
    pub(crate) key: Option<Key>,
}

/// What is done with the finds of one detector, and how many there were.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) deed: Deed,
    pub(crate) count: Counter,
}

impl Redact {
    /// Appends `value` as it may be stored, if that is not as it is.
    fn redact(&self, value: RawValue<'_>, out: &mut Vec<u8>) -> Outcome {
        // An empty map, as most metadata is.
        if value.bytes().len() <= 1 {
            return Outcome::Unchanged;
        }
        let mut places = Vec::new();
        self.scan.record(value.bytes(), &mut places);
        if places.is_empty() && !self.scan.everywhere {
            return Outcome::Unchanged;
        }
        Walk::new(self, value, &places).run(out)
    }
}

impl Filter for Redact {
    fn filter(&self, edit: &mut Edit<'_>) {
        let mut drop_event = false;
        edit.set_record(|record, out| {
            let outcome = self.redact(record, out);
            drop_event |= outcome == Outcome::DropEvent;
            outcome == Outcome::Changed
        });
        edit.set_metadata(|metadata, out| {
            let outcome = self.redact(metadata, out);
            drop_event |= outcome == Outcome::DropEvent;
            outcome == Outcome::Changed
        });
        if drop_event {
            edit.drop_event();
        }
    }
}
