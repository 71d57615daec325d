//! The time of a document: that of the event, or one that the record has in a field.

use schemars::JsonSchema;
use sdk::{
    clock::Clock,
    config::{ConfigError, ConfigErrors, Interval, Zone},
    event::{FieldPath, Time},
    metrics::{Counter, Metrics},
    msgpack::{RawValue, Token},
};
use serde::Deserialize;
use times::FieldTime;

/// Which time counts, and where it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Timing {
    /// The field of the document with the time.
    pub timestamp_key: String,
    /// A field of the record with the time to go by in the place of that of the event: in the document and in the name of
    /// the index. It stays in the record. Where it is missing or holds no time, that of the event counts.
    pub time_key: Option<FieldPath>,
    /// With `time_key`: the form of the time in the directives of `strptime`. By default ISO 8601 and other usual forms are
    /// read. A number counts seconds, or milli-, micro- or nanoseconds when it is too large for seconds. A time that
    /// names no zone is in UTC.
    pub time_key_format: Option<String>,
    /// With `time_key`: do not add the time to documents whose record has it in that field already.
    pub time_key_exclude_timestamp: bool,
    /// How far the time of a record may lie before or behind the clock of this host to name an index. A record beyond it
    /// goes to the index of now, so that a sender with a wrong clock makes no indexes. The day may be another when such
    /// a record is sent again, and then it can be there twice.
    pub max_index_age: Option<Interval>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            timestamp_key: "@timestamp".into(),
            time_key: None,
            time_key_format: None,
            time_key_exclude_timestamp: false,
            max_index_age: None,
        }
    }
}

/// Finds the time of a record.
#[derive(Debug)]
pub(crate) struct RecordTime {
    path: FieldPath,
    field: FieldTime,
    excludes: bool,
    errors: Counter,
}

/// Keeps the times that name indexes near those of the clock.
#[derive(Debug)]
pub(crate) struct AgeLimit {
    max_secs: i64,
    clock: Clock,
}

/// The times that may name an index while a chunk is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    now: Time,
    max_secs: i64,
}

impl Timing {
    /// Finds the times of records; `None`: those of events count.
    pub(crate) fn record_time(
        &self,
        clock: &Clock,
        metrics: &Metrics,
        errors: &mut ConfigErrors,
    ) -> Option<RecordTime> {
        let Some(path) = self.time_key.clone() else {
            self.check_alone(errors);
            return None;
        };
        let field = FieldTime::new(self.time_key_format.as_deref(), &Zone::UTC, clock);
        let field = field.map_err(|message| {
            errors.push(
                ConfigError::at("/time_key_format", message)
                    .help("write it as in \"%Y-%m-%d %H:%M:%S.%N %z\""),
            );
        });
        let help = "Records whose time_key holds no time; that of the event counts then";
        Some(RecordTime {
            path,
            field: field.ok()?,
            excludes: self.time_key_exclude_timestamp,
            errors: metrics.counter("elasticsearch_time_errors", help, &[]),
        })
    }

    fn check_alone(&self, errors: &mut ConfigErrors) {
        let given = [
            ("time_key_format", self.time_key_format.is_some()),
            (
                "time_key_exclude_timestamp",
                self.time_key_exclude_timestamp,
            ),
        ];
        for (name, _) in given.iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`{name}` is about `time_key`, and there is none");
            errors.push(
                ConfigError::at(format!("/{name}"), message).help("add `time_key`, or remove this"),
            );
        }
    }

    /// Keeps times that name indexes near those of the clock; `None`: any will do.
    pub(crate) fn age_limit(&self, clock: &Clock) -> Option<AgeLimit> {
        let secs = self.max_index_age?.0.as_secs();
        Some(AgeLimit {
            max_secs: i64::try_from(secs).unwrap_or(i64::MAX),
            clock: clock.clone(),
        })
    }
}

impl RecordTime {
    /// The time that a record has in the field.
    pub(crate) fn of(&self, record: Option<RawValue<'_>>) -> Option<Time> {
        let value = self.path.find(record?)?;
        let time = self.field.read(value);
        if time.is_none() && value.token() != Token::Nil {
            self.errors.inc();
        }
        time
    }

    /// Whether the time is not added to a document whose record has it.
    pub(crate) fn excludes(&self) -> bool {
        self.excludes
    }
}

impl AgeLimit {
    /// As it is now.
    pub(crate) fn window(&self) -> Window {
        Window {
            now: self.clock.now(),
            max_secs: self.max_secs,
        }
    }
}

impl Window {
    /// The time that names the index of an event.
    #[inline]
    pub(crate) fn limit(&self, time: Time) -> Time {
        let is_far = time.secs.abs_diff(self.now.secs) > self.max_secs.unsigned_abs();
        if is_far { self.now } else { time }
    }
}
