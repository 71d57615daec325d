//! `regexp` on lines as they occur, and expressions as Ruby reads them.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::{check, parse, parser, refused, try_parser};

fn of(expression: &str) -> Value {
    json!({ "type": "regexp", "expression": expression })
}

#[test]
fn real_lines_are_read() {
    check(
        of(r"/^(?<time>.+) (?<stream>stdout|stderr)( (?<logtag>.))? (?<log>.*)$/"),
        "2024-01-02T03:04:05.6Z stdout F hello",
        "2024-01-02T03:04:05.6Z",
        json!({ "stream": "stdout", "logtag": "F", "log": "hello" }),
    );
    check(
        json!({
            "type": "regexp",
            "expression": r"/^\[(?<logtime>[^\]]*)\] (?<name>[^ ]*) (?<title>[^ ]*) (?<id>\d*)$/",
            "time_key": "logtime", "time_format": "%Y-%m-%d %H:%M:%S %z", "types": "id:integer",
        }),
        "[2013-02-28 12:00:00 +0900] alice engineer 1",
        "2013-02-28T03:00:00Z",
        json!({ "name": "alice", "title": "engineer", "id": 1 }),
    );
    check(
        json!({
            "type": "regexp",
            "expression": r"/^(?<severity>\w)(?<time>\d{4} [^\s]*)\s+(?<pid>\d+)\s+(?<source>[^ \]]+)\] (?<message>.*)/m",
            "time_format": "%m%d %H:%M:%S.%N", "utc": true,
        }),
        "I0110 11:59:59.000001       7 controller.go:42] synced\n  twice",
        "2026-01-10T11:59:59.000001Z",
        json!({ "severity": "I", "pid": "7", "source": "controller.go:42", "message": "synced\n  twice" }),
    );
    check(
        of(r"^(?<level>[A-Z]+)\s+\[(?<thread>[^\]]+)\]\s+(?<class>\S+)\s+-\s+(?<msg>.*)$"),
        "WARN [main] com.example.App - caf\u{e9} is closed",
        "",
        json!({ "level": "WARN", "thread": "main", "class": "com.example.App", "msg": "caf\u{e9} is closed" }),
    );
    check(
        json!({
            "type": "regexp",
            "expression": "/ (?<host>[^ ]+) [ ] # who\n (?<user>\\h+|-) /x",
            "null_value_pattern": "^-$",
        }),
        "10.0.0.1 -",
        "",
        json!({ "host": "10.0.0.1", "user": null }),
    );
    check(
        json!({ "type": "regexp", "expression": "(?<a>x)?(?<b>y)", "keep_time_key": true }),
        "only y",
        "",
        json!({ "b": "y" }),
    );
    check(
        of("/(?<word>HELLO)/i"),
        "say hello",
        "",
        json!({ "word": "hello" }),
    );
}

#[test]
fn the_time_is_kept_where_that_is_asked_for() {
    check(
        json!({ "type": "regexp", "expression": "^(?<time>[^ ]*) (?<m>.*)", "keep_time_key": true }),
        "2024-01-01T00:00:00Z x",
        "2024-01-01T00:00:00Z",
        json!({ "time": "2024-01-01T00:00:00Z", "m": "x" }),
    );
}

#[test]
fn what_does_not_match_is_refused() {
    assert!(refused(of("^(?<a>[0-9]+)$"), "abc").contains("does not match"));
    assert!(refused(of("^(?<time>.*)$"), "abc").contains("time_format"));
}

#[test]
fn ruby_is_understood() {
    check(
        of(r"(?<a>\A\d+\/\h+\Z)"),
        "12/aF",
        "",
        json!({ "a": "12/aF" }),
    );
    check(
        of(r"(?<a>[\d\-]+)(?<b>[^\s]*)"),
        "1-2x y",
        "",
        json!({ "a": "1-2", "b": "x" }),
    );
    check(of("(?<a>[]x]+)"), "]x]", "", json!({ "a": "]x]" }));
    check(of("(?<a>(?m:a.b))"), "a\nb", "", json!({ "a": "a\nb" }));
    check(of("(?<a>[[:alpha:]]+)"), "1abc", "", json!({ "a": "abc" }));
    // Not a digit in Ruby.
    assert!(refused(of(r"(?<a>\d)"), "\u{664}").contains("does not match"));
}

#[test]
fn what_only_backtracking_can_match_has_a_limit() {
    check(
        of(r"^(?<a>\w+)(?=;)(?!;;)(?<b>.*)$"),
        "abc;x",
        "",
        json!({ "a": "abc", "b": ";x" }),
    );
    check(
        of(r"(?<q>['\x22])(?<a>.*?)\k<q>"),
        "say 'hi' now",
        "",
        json!({ "q": "'", "a": "hi" }),
    );
    check(
        of(r"/(?<!not )(?<a>OK)/i"),
        "not ok but ok",
        "",
        json!({ "a": "ok" }),
    );
    let explosive = of(r"^(?<a>(x+x+)+)(?!z)y$");
    assert!(refused(explosive, &"x".repeat(200)).contains("steps"));
}

#[test]
fn bytes_that_are_not_utf_8_match_as_one_character() {
    let parser = parser(of("^(?<a>.*) (?<b>.*)$"));
    let parsed = parse(&*parser, b"x\xff y").unwrap();
    assert_eq!(parsed.1, json!({ "a": "x\u{fffd}", "b": "y" }));
}

#[test]
fn expressions_that_cannot_be_are_named() {
    let path = |table: Value| {
        let errors = try_parser(table).err().unwrap();
        errors
            .into_iter()
            .map(|error| error.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(path(of("(")), ["/expression"]);
    assert_eq!(path(of("no group")), ["/expression"]);
    let both = json!({ "type": "regexp", "expression": "(", "time_format": "%K" });
    assert_eq!(path(both), ["/time_format", "/expression"]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
        let parser = parser(of("^(?<time>[^ ]*) (?<a>.)?(?<b>[^ ]*)"));
        let _any = parse(&*parser, &text);
    }

    #[test]
    fn no_expression_makes_it_panic(expression in any::<String>()) {
        let _any = try_parser(of(&expression));
    }
}
