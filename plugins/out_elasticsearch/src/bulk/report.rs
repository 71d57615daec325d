//! What the log says about records that were not taken: a line for each new reason, with the id of the first document
//! and never its content, and then once in a while how many more there were.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sdk::output::FailureKind;
use tokio::time::Instant;

/// Least time between two lines for the same reason.
const QUIET: Duration = Duration::from_mins(1);
/// Most reasons that are told apart; names of fields are in them, and those come from senders.
const REASONS_MAX: usize = 100;
/// Stands for the reasons that are too many.
const OTHERS: &str = "for one of many more reasons";

/// What the log was told.
#[derive(Debug)]
pub(crate) struct Report {
    output: Arc<str>,
    said: Mutex<HashMap<String, Said>>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    /// Records since then.
    unsaid: u64,
}

/// The records of one answer that were not taken, by reason.
#[derive(Debug, Default)]
pub(crate) struct Complaints(BTreeMap<String, Complaint>);

#[derive(Debug)]
struct Complaint {
    kind: FailureKind,
    is_final: bool,
    records: u64,
    first_id: String,
}

impl Complaints {
    /// Adds a record.
    pub(crate) fn add(&mut self, reason: String, kind: FailureKind, is_final: bool, id: &str) {
        let reason = if self.0.len() < REASONS_MAX || self.0.contains_key(&reason) {
            reason
        } else {
            OTHERS.to_owned()
        };
        let complaint = self.0.entry(reason).or_insert_with(|| Complaint {
            kind,
            is_final,
            records: 0,
            first_id: id.to_owned(),
        });
        complaint.records += 1;
    }
}

impl Report {
    /// For the output with this id.
    pub(crate) fn new(output: Arc<str>) -> Self {
        Self {
            output,
            said: Mutex::default(),
        }
    }

    /// Says what is new.
    pub(crate) fn tell(&self, complaints: Complaints) {
        for (reason, complaint) in complaints.0 {
            let Complaint {
                kind,
                is_final,
                records,
                first_id,
            } = complaint;
            let Some(unsaid) = self.may_say(&reason, records) else {
                continue;
            };
            let (output, kind) = (&*self.output, kind.as_str());
            let fate = if is_final {
                "refused for good"
            } else {
                "to be sent again"
            };
            tracing::warn!(output, kind, records, unsaid, first_id, "{fate}: {reason}");
        }
    }

    /// How many records had this reason since it was last said; `None` when that was just now.
    fn may_say(&self, reason: &str, records: u64) -> Option<u64> {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.contains_key(reason) && said.len() >= REASONS_MAX {
            said.retain(|_, said| now.duration_since(said.at) < QUIET);
        }
        let is_known = said.contains_key(reason);
        let reason = if is_known || said.len() < REASONS_MAX {
            reason
        } else {
            OTHERS
        };
        match said.get_mut(reason) {
            Some(last) if now.duration_since(last.at) < QUIET => {
                last.unsaid += records;
                None
            }
            Some(last) => {
                last.at = now;
                Some(std::mem::take(&mut last.unsaid))
            }
            None => {
                said.insert(reason.to_owned(), Said { at: now, unsaid: 0 });
                Some(0)
            }
        }
    }
}
