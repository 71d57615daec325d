//! For the tests of this shelf: a formatter by its parameters, and what it writes.

use std::sync::Arc;

use sdk::{
    config::{ConfigErrors, FormatterTable},
    event::{Entries, Tag, Time, write_event},
    formatter::Formatter,
    msgpack::write,
    plugin::{BuildCx, Descriptor},
};
use serde_json::Value;

static ALL: &[&Descriptor] = &[
    &crate::csv::PLUGIN,
    &crate::json::PLUGIN,
    &crate::ltsv::PLUGIN,
    &crate::msgpack::PLUGIN,
    &crate::out_file::PLUGIN,
    &crate::single_value::PLUGIN,
    &crate::stdout::PLUGIN,
    &crate::tsv::PLUGIN,
    &parsers::csv::PLUGIN,
    &parsers::json::PLUGIN,
    &parsers::ltsv::PLUGIN,
];

/// A context in which the plugins of this shelf are known.
pub(crate) fn cx() -> BuildCx {
    BuildCx {
        plugins: ALL,
        ..BuildCx::detached("test")
    }
}

/// Builds the formatter of a table such as `{ "type": "json" }`.
pub(crate) fn try_formatter(table: Value) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let table: FormatterTable = serde_json::from_value(table).unwrap();
    cx().formatter("", &table)
}

/// What the formatter of `table` writes of a record with the tag `app.web` at 2023-11-14T22:13:20.000000005Z.
pub(crate) fn format(table: Value, record: &Value) -> Vec<u8> {
    let formatter = try_formatter(table).unwrap_or_else(|errors| panic!("{errors:?}"));
    let (mut encoded, mut entry) = (Vec::new(), Vec::new());
    write::json(&mut encoded, record);
    let time = Time {
        secs: 1_700_000_000,
        nanos: 5,
    };
    write_event(&mut entry, time, &encoded);
    let event = Entries::new(&entry).next().unwrap().unwrap();
    let mut out = b"before|".to_vec();
    formatter
        .format(&Tag::new("app.web"), &event, &mut out)
        .unwrap();
    out.split_off(b"before|".len())
}

/// Formats and compares.
#[track_caller]
pub(crate) fn check(table: Value, record: &Value, expected: &str) {
    let text = String::from_utf8(format(table, record)).unwrap();
    assert_eq!(text, expected);
}
