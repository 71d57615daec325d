//! Tests of `multi_format`.

use serde_json::{Value, json};

use crate::testing::{check, parser, refused, try_parser};

fn kubernetes() -> Value {
    json!({ "type": "multi_format", "pattern": [
        { "type": "json", "time_format": "%Y-%m-%dT%H:%M:%S.%NZ", "utc": true },
        {
            "type": "regexp",
            "expression": "/^(?<time>.+) (?<stream>stdout|stderr)( (?<logtag>.))? (?<log>.*)$/",
            "time_format": "%Y-%m-%dT%H:%M:%S.%N%:z",
        },
    ] })
}

#[test]
fn the_first_that_fits_is_kept() {
    check(
        kubernetes(),
        r#"{"log":"docker\n","stream":"stdout","time":"2024-01-02T03:04:05.6Z"}"#,
        "2024-01-02T03:04:05.6Z",
        json!({ "log": "docker\n", "stream": "stdout" }),
    );
    check(
        kubernetes(),
        "2024-01-02T03:04:05.6+00:00 stderr F containerd",
        "2024-01-02T03:04:05.6Z",
        json!({ "stream": "stderr", "logtag": "F", "log": "containerd" }),
    );
    let last = json!({ "type": "multi_format", "pattern": [
        { "type": "json" }, { "type": "logfmt" }, { "type": "none" },
    ] });
    check(last.clone(), r#"{"a":1}"#, "", json!({ "a": 1 }));
    check(last.clone(), "a=1 b", "", json!({ "a": "1", "b": true }));
    check(
        last,
        r#"{"a":1,"b":"#,
        "",
        json!({ "message": r#"{"a":1,"b":"# }),
    );
    let one = json!({ "type": "multi_format", "pattern": { "type": "json" } });
    check(one, "{}", "", json!({}));
    assert!(refused(kubernetes(), "neither").contains("none of the patterns"));
}

#[test]
fn what_is_wrong_inside_is_found_at_its_place() {
    let paths = |table: Value| -> Vec<String> {
        try_parser(table)
            .err()
            .unwrap()
            .into_iter()
            .map(|error| error.path)
            .collect()
    };
    let two =
        json!([{ "type": "json", "time_format": "%K" }, { "type": "none" }, { "type": "nun" }]);
    assert_eq!(
        paths(json!({ "type": "multi_format", "pattern": two })),
        ["/pattern/0/time_format", "/pattern/2/type"]
    );
    assert_eq!(
        paths(json!({ "type": "multi_format", "pattern": [] })),
        ["/pattern"]
    );
}

#[test]
fn a_parser_of_several_lines_inside_tells_where_records_begin() {
    let table = json!({ "type": "multi_format", "pattern": [
        { "type": "multiline", "format_firstline": "/^\\d/", "format1": "/^(?<m>.*)/" },
        { "type": "none" },
    ] });
    assert_eq!(parser(table.clone()).begins(b"1 x"), Some(true));
    assert_eq!(parser(table).begins(b" x"), Some(false));
    assert_eq!(parser(kubernetes()).begins(b"1"), None);
}
