//! Tables that are refused, and rows as they are written.

use sdk::{config::ConfigErrors, event::Tag, plugin::BuildCx, testing::frame};
use serde_json::{Value, json};

use crate::{Config, pool::Pool, row::Rows, settings::Settings};

fn settings(more: Value) -> Result<(Settings, Pool), ConfigErrors> {
    let mut table = json!({ "database": "d", "username": "u" });
    let Value::Object(more) = more else {
        panic!("a table");
    };
    for (key, value) in more {
        table[key] = value;
    }
    let config: Config = serde_json::from_value(table).unwrap();
    Settings::new(&config, &BuildCx::detached("out"))
}

#[test]
fn what_cannot_be_is_refused_at_its_place() {
    let columns = json!([
        { "path": "a", "name": "tag" },
        { "path": "b", "name": "b", "type": "text; DROP TABLE x" },
    ]);
    let more = json!({
        "columns": columns, "sslmode": "disable", "tls": {}, "delivered_retention": "1s",
    });
    let errors = settings(more).err().unwrap();
    let paths: Vec<&str> = errors.iter().map(|error| &*error.path).collect();
    let expected = [
        "/columns",
        "/columns/1/type",
        "/tls",
        "/delivered_retention",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn names_are_quoted_in_every_statement() {
    let more =
        json!({ "schema": "s\"x", "table": "t y", "columns": [{ "path": "a", "name": "c\"" }] });
    let (settings, _) = settings(more).unwrap();
    let expected = "COPY \"s\"\"x\".\"t y\" (\"time\", \"tag\", \"record\", \"c\"\"\") FROM STDIN";
    assert_eq!(settings.copy_sql, expected);
}

#[test]
fn a_row_has_its_columns_in_order() {
    let columns = json!([
        { "path": "$.user.id", "name": "id", "type": "bigint" },
        { "path": "list", "name": "list", "type": "jsonb" },
        { "path": "missing", "name": "missing" },
    ]);
    let (settings, _) = settings(json!({ "columns": columns })).unwrap();
    let record = json!({ "user": { "id": -7 }, "list": ["a\tb"], "text": "x\u{0}\\" });
    let frame = frame(1, "app", &[record]);
    let event = frame.entries().next().unwrap().unwrap();
    let mut out = Vec::new();
    Rows::new(&settings)
        .write(&Tag::new("a\\b"), &event, &mut out)
        .unwrap();
    let expected = [
        "1970-01-01T00:00:00.000000000Z",
        "a\\\\b",
        "{\"user\":{\"id\":-7},\"list\":[\"a\\\\tb\"],\"text\":\"x\u{fffd}\\\\\\\\\"}",
        "-7",
        "[\"a\\\\tb\"]",
        "\\N\n",
    ];
    assert_eq!(String::from_utf8(out).unwrap(), expected.join("\t"));
    assert_eq!(settings.replaced.get(), 1);
}
