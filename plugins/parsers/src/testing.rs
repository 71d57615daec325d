//! For the tests of this shelf: a parser by its parameters, and records as JSON.

use std::sync::Arc;

use sdk::{
    clock::Clock,
    config::{ConfigErrors, ParserTable},
    event::Time,
    msgpack::RawValue,
    parser::Parser,
    plugin::{BuildCx, Descriptor},
    testing::to_json,
};
use serde_json::Value;

/// All plugins of the shelf.
static ALL: &[&Descriptor] = &[
    &crate::apache2::PLUGIN,
    &crate::apache_error::PLUGIN,
    &crate::cri::PLUGIN,
    &crate::csv::PLUGIN,
    &crate::docker::PLUGIN,
    &crate::json::PLUGIN,
    &crate::logfmt::PLUGIN,
    &crate::ltsv::PLUGIN,
    &crate::msgpack::PLUGIN,
    &crate::multi_format::PLUGIN,
    &crate::multiline::PLUGIN,
    &crate::nginx::PLUGIN,
    &crate::none::PLUGIN,
    &crate::regexp::PLUGIN,
    &crate::syslog::PLUGIN,
    &crate::tsv::PLUGIN,
];

/// A context whose clock stands at 2026-01-10T12:00:00Z.
pub(crate) fn cx() -> BuildCx {
    let (clock, _) = Clock::fixed(Time::from_secs(1_768_046_400));
    BuildCx {
        clock,
        plugins: ALL,
        ..BuildCx::detached("test")
    }
}

/// Builds the parser of a table such as `{ "type": "json" }`.
pub(crate) fn try_parser(table: Value) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let table: ParserTable = serde_json::from_value(table).unwrap();
    cx().parser("", &table)
}

pub(crate) fn parser(table: Value) -> Arc<dyn Parser> {
    try_parser(table).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// What a parser makes of a text: its time as RFC 3339 and its record.
pub(crate) fn parse(parser: &dyn Parser, text: &[u8]) -> Result<(Option<String>, Value), String> {
    let mut record = b"before".to_vec();
    let time = parser.parse(text, &mut record).map_err(|error| error.0)?;
    let record = record.strip_prefix(b"before").unwrap();
    let record = RawValue::parse(record).unwrap_or_else(|error| panic!("{error}: {record:?}"));
    let time = time.map(|time| {
        let mut text = Vec::new();
        sdk::json::write_time(&mut text, time);
        String::from_utf8(text).unwrap()
    });
    Ok((time, to_json(record)))
}

/// Parses `text` and compares. An empty `time` means that the text names none.
#[track_caller]
pub(crate) fn check(table: Value, text: &str, time: &str, record: Value) {
    let expected = (!time.is_empty()).then(|| {
        let time: Time = time.parse().unwrap();
        let mut text = Vec::new();
        sdk::json::write_time(&mut text, time);
        String::from_utf8(text).unwrap()
    });
    let parsed = parse(&*parser(table), text.as_bytes());
    assert_eq!(parsed, Ok((expected, record)), "{text}");
}

/// Parses `text`, which must be refused, and returns why.
#[track_caller]
pub(crate) fn refused(table: Value, text: &str) -> String {
    parse(&*parser(table), text.as_bytes()).unwrap_err()
}
