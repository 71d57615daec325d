//! How `concat` knows which lines belong together.

use schemars::JsonSchema;
use sdk::{config::Pattern, msgpack::RawValue};
use serde::Deserialize;

use crate::lines::scalar;

/// What tells that an event is a part of another.
#[derive(Debug)]
pub(super) enum Mode {
    /// This many lines are one event.
    Count(usize),
    /// Expressions find the first and the last line.
    Patterns {
        start: Option<Pattern>,
        end: Option<Pattern>,
        continues: Option<Pattern>,
    },
    /// A field has a value while more lines follow.
    Field { key: String, value: String },
    /// Docker's fields.
    Metadata(&'static Metadata),
    /// The tag of a container runtime: `P` while more follows.
    Cri { logtag: String, stream: String },
}

/// The fields with which Docker marks the parts of a long line.
#[derive(Debug)]
pub(super) struct Metadata {
    partial: &'static str,
    id: &'static str,
    pub(super) ordinal: &'static str,
    last: &'static str,
}

/// Which names these fields have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataFormat {
    /// `partial_message`, `partial_id`, `partial_ordinal`, `partial_last`
    #[default]
    DockerFluentd,
    /// `CONTAINER_PARTIAL_MESSAGE` and so on, as the journal has them
    DockerJournald,
    /// The same in small letters
    DockerJournaldLowercase,
}

impl MetadataFormat {
    pub(super) fn fields(self) -> &'static Metadata {
        match self {
            Self::DockerFluentd => &Metadata {
                partial: "partial_message",
                id: "partial_id",
                ordinal: "partial_ordinal",
                last: "partial_last",
            },
            Self::DockerJournald => &Metadata {
                partial: "CONTAINER_PARTIAL_MESSAGE",
                id: "CONTAINER_PARTIAL_ID",
                ordinal: "CONTAINER_PARTIAL_ORDINAL",
                last: "CONTAINER_PARTIAL_LAST",
            },
            Self::DockerJournaldLowercase => &Metadata {
                partial: "container_partial_message",
                id: "container_partial_id",
                ordinal: "container_partial_ordinal",
                last: "container_partial_last",
            },
        }
    }
}

impl Metadata {
    pub(super) fn names(&self) -> [&'static str; 4] {
        [self.partial, self.id, self.ordinal, self.last]
    }
}

/// What is done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// What is held leaves before it.
    pub(super) flush_before: bool,
    /// It joins what is held; else it goes on by itself.
    pub(super) hold: bool,
    /// What is held, now with this event, leaves.
    pub(super) flush_after: bool,
}

impl Step {
    pub(super) const PASS: Self = Self::new(false, false, false);
    const HOLD: Self = Self::new(false, true, false);
    const LAST: Self = Self::new(false, true, true);

    const fn new(flush_before: bool, hold: bool, flush_after: bool) -> Self {
        Self {
            flush_before,
            hold,
            flush_after,
        }
    }

    /// The last part, which may be the only one.
    const fn end(held: usize) -> Self {
        if held == 0 { Self::PASS } else { Self::LAST }
    }
}

impl Mode {
    /// Appends what, besides the tag and the configured field, tells streams apart.
    pub(super) fn identify(&self, record: RawValue<'_>, identity: &mut Vec<u8>) {
        let field = match self {
            Self::Metadata(fields) => fields.id,
            Self::Cri { stream, .. } => stream,
            _ => return,
        };
        let value = record.get(field.as_bytes());
        identity.extend_from_slice(value.map(RawValue::bytes).unwrap_or_default());
    }

    /// What is done with a line when its stream holds `held` lines.
    pub(super) fn step(&self, record: RawValue<'_>, line: &[u8], held: usize) -> Step {
        match self {
            Self::Count(lines) if held + 1 < *lines => Step::HOLD,
            Self::Count(_) => Step::end(held),
            Self::Patterns {
                start,
                end,
                continues,
            } => {
                let matches =
                    |pattern: &Option<Pattern>| pattern.as_ref().is_some_and(|p| p.is_match(line));
                if matches(start) {
                    Step::new(held > 0, true, matches(end))
                } else if matches(end) {
                    Step::end(held)
                } else if held == 0 {
                    let begins = start.is_none();
                    Step::new(false, begins, false)
                } else if continues.is_none() || matches(continues) {
                    Step::HOLD
                } else {
                    Step::new(true, false, false)
                }
            }
            Self::Field { key, value } => {
                if scalar(record, key).is_some_and(|found| found == *value) {
                    Step::HOLD
                } else {
                    Step::end(held)
                }
            }
            Self::Metadata(fields) => fields.step(record, held),
            Self::Cri { logtag, .. } => {
                let tags = scalar(record, logtag).unwrap_or_default();
                if tags.split(':').next() == Some("P") {
                    Step::HOLD
                } else {
                    Step::end(held)
                }
            }
        }
    }
}

impl Metadata {
    fn step(&self, record: RawValue<'_>, held: usize) -> Step {
        let says = |field: &str| scalar(record, field).is_some_and(|text| text == "true");
        if !says(self.partial) {
            Step::PASS
        } else if says(self.last) {
            Step::end(held)
        } else {
            Step::HOLD
        }
    }
}
