//! The parameters of every parser, as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sdk::config::{Interval, OneOrMany, Pattern, Zone};
use serde::Deserialize;

use times::TimeType;

/// The parameters of every parser.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// The field that becomes the time of the event, where the parser does not name one itself.
    pub time_key: Option<String>,
    /// How the time is written: `string`, `unixtime` (whole seconds), `float` (seconds with a fraction), or `mixed`:
    /// `time_format`, then each of `time_format_fallbacks`. Without it, text is read in the usual forms and a number
    /// as seconds, or as milli-, micro- or nanoseconds when it is too large for seconds.
    pub time_type: Option<TimeType>,
    /// The form of the time in the directives of Ruby's `strptime`, with `%L` and `%N` for the fraction of a second and
    /// `%iso8601`. Without it, ISO 8601 and other usual forms are read.
    pub time_format: Option<String>,
    /// Further forms, tried in order: formats, `unixtime` or `float`.
    pub time_format_fallbacks: OneOrMany<String>,
    /// The zone of a time that names none: `"UTC"`, `"local"`, `"+09:00"`, `"Asia/Seoul"`. By default that of the host.
    pub timezone: Option<Zone>,
    /// A time that names no zone is in UTC.
    pub utc: Option<bool>,
    /// A time that names no zone is in that of the host.
    pub localtime: Option<bool>,
    /// Leave the field with the time in the record.
    pub keep_time_key: Option<bool>,
    /// Has no use here: a text without a time always gets the time at which it was read, or that of its event.
    pub estimate_current_event: Option<bool>,
    /// A field that matches this becomes null.
    pub null_value_pattern: Option<Pattern>,
    /// An empty field becomes null.
    pub null_empty_string: bool,
    /// Types of fields: `"code:integer,seconds:float"` or `{ code = "integer" }`. There are `string`, `integer`,
    /// `float`, `bool`, `time`, `time:FORMAT`, `time:ZONE:FORMAT`, `array` and `array:DELIMITER`.
    pub types: Types,
    /// Has no use here: a parser takes time in proportion to the length of the text.
    pub timeout: Option<Interval>,
}

/// Types of fields as they are written, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Form")]
pub struct Types(pub Vec<(String, String)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Table(serde_json::Map<String, serde_json::Value>),
}

impl From<Form> for Types {
    fn from(form: Form) -> Self {
        let of_text = |part: &str| match part.split_once(':') {
            Some((key, kind)) => (key.trim().to_owned(), kind.to_owned()),
            None => (part.trim().to_owned(), String::new()),
        };
        Self(match form {
            Form::Text(text) if text.trim().is_empty() => Vec::new(),
            Form::Text(text) => text.split(',').map(of_text).collect(),
            Form::Table(table) => table
                .into_iter()
                .map(|(key, kind)| (key, kind.as_str().unwrap_or_default().to_owned()))
                .collect(),
        })
    }
}

impl JsonSchema for Types {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Types".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "object", "additionalProperties": { "type": "string" } },
            ]
        })
    }
}
