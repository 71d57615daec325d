//! `rewrite_tag` against what Fluentd's `rewrite_tag_filter` makes of the same events.

use proptest::prelude::*;
use sdk::testing::Driver;
use serde_json::{Value, json};

use super::*;

fn driver(params: Value) -> Driver {
    Driver::new(build(params, &BuildCx::detached("test")).unwrap())
}

/// The tags under which these records go on.
#[track_caller]
fn check(params: Value, records: &[Value], tags: &[&str]) {
    let mut driver = driver(params);
    let seen = driver.feed("apache.access.log", records);
    let got: Vec<&str> = seen.passed.iter().map(|(tag, _)| tag.as_str()).collect();
    assert_eq!(got, tags);
    let dropped = records.len() - tags.len();
    assert_eq!(seen.dropped, dropped as u64);
    assert_eq!((driver.held(), driver.unanswered()), (0, 0));
}

fn rule(key: &str, pattern: &str, tag: &str) -> Value {
    json!({ "key": key, "pattern": pattern, "tag": tag })
}

fn inverted(key: &str, pattern: &str, tag: &str) -> Value {
    json!({ "key": key, "pattern": pattern, "tag": tag, "invert": true })
}

#[test]
fn the_first_rule_that_matches_gives_the_tag() {
    let rules = [
        rule("path", r"/\.(gif|png)$/", "clear"),
        inverted("status", "^200$", "failed"),
        rule("domain", r"^(mail)\.(example)\.com$", "site.$2$1"),
        rule("domain", ".+", "site.unmatched"),
    ];
    let records = [
        json!({ "path": "/a.png", "status": 500 }),
        json!({ "path": "/a", "status": 404, "domain": "mail.example.com" }),
        json!({ "path": "/a", "status": 200, "domain": "mail.example.com" }),
        json!({ "path": "/a", "status": "200", "domain": "x" }),
    ];
    let tags = ["clear", "failed", "site.ExampleMail", "site.unmatched"];
    let params = json!({ "rule": rules, "capitalize_regex_backreference": true });
    check(params, &records, &tags);
}

#[test]
fn placeholders_of_the_old_tag_are_filled_in() {
    let one = |tag: &str, expected: &str| {
        let params = json!({ "rule": rule("d", "^(a)(x)?", tag), "remove_tag_prefix": "apache" });
        check(params, &[json!({ "d": "abc" })], &[expected]);
    };
    one("new.${tag}", "new.access.log");
    one("new.__TAG__", "new.access.log");
    one("${tag_parts[0]}.$1.${tag_parts[-1]}", "apache.a.log");
    one("__TAG_PARTS[1]__", "access");
    one("${hostname}.__HOSTNAME__", "localhost.localhost");
    one("<$2${tag_parts[7]}>", "<>");
    let params = json!({ "rule": rule("d", "a", "http.${tag}"), "remove_tag_regexp": r"/^\w+\./" });
    check(params, &[json!({ "d": "a" })], &["http.access.log"]);
}

#[test]
fn what_no_rule_matches_is_kept_unless_told_otherwise() {
    let records = [
        json!({ "a": "x" }),
        json!({}),
        json!({ "a": "" }),
        json!({ "a": null }),
    ];
    let old = "apache.access.log";
    check(
        json!({ "rule": rule("a", ".*", "new") }),
        &records,
        &["new", old, old, old],
    );
    let drop = json!({ "rule": rule("a", ".*", "new"), "unmatched": "drop" });
    check(drop, &records, &["new"]);
    let invert = json!({ "rule": inverted("a", "x", "new"), "unmatched": "drop" });
    check(invert, &records, &["new", "new", "new"]);
}

#[test]
fn fields_below_and_values_that_are_no_text_are_compared() {
    let rules = [
        rule("$.k.ns", "^(.+)$", "$1.${tag}"),
        rule("list", r#"^\["a"\]$"#, "list"),
    ];
    let records = [
        json!({ "k": { "ns": "shop" } }),
        json!({ "list": ["a"] }),
        json!({ "k": { "ns": 1.5 } }),
    ];
    let tags = ["shop.apache.access.log", "list", "1.5.apache.access.log"];
    check(json!({ "rule": rules }), &records, &tags);
}

#[test]
fn a_tag_that_cannot_be_is_an_error_of_its_event() {
    let mut driver = driver(json!({ "rule": rule("a", "(?s)(.*)", "$1") }));
    let long = json!({ "a": "x".repeat(TAG_LEN_MAX + 1) });
    let seen = driver.feed("app", &[long.clone(), json!({ "a": "b" })]);
    assert_eq!(seen.failed, [("app".to_owned(), long)]);
    assert_eq!(seen.passed, [("b".to_owned(), json!({ "a": "b" }))]);
    assert_eq!(driver.unanswered(), 0);
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_place() {
    let refused = |params: Value| -> Vec<String> {
        let errors = build(params, &BuildCx::detached("test")).err().unwrap();
        errors.into_iter().map(|error| error.path).collect()
    };
    assert_eq!(refused(json!({})), [""]);
    let rules = [
        rule("a", "b", "${tag_parts[0..2]}"),
        rule("a", "b", "${tags}"),
        rule("a", "(b)", "$2"),
        inverted("a", "(b)", "$1"),
        json!({ "key": "a", "pattern": "b", "tag": "c", "label": "@X" }),
    ];
    let paths = [
        "/rule/0/tag",
        "/rule/1/tag",
        "/rule/2/tag",
        "/rule/3/tag",
        "/rule/4/label",
    ];
    assert_eq!(refused(json!({ "rule": rules })), paths);
    let command = json!({ "rule": rule("a", "b", "c"), "hostname_command": "hostname -s" });
    assert_eq!(refused(command), ["/hostname_command"]);
}

proptest! {
    /// Text without placeholders is the tag, letter by letter.
    #[test]
    fn other_text_is_the_tag_as_it_is(text in "[a-zA-Z_.{}$ -]{0,20}") {
        prop_assume!(!text.contains("${") && !text.contains("__TAG__"));
        let mut driver = driver(json!({ "rule": rule("a", "b", &text) }));
        let seen = driver.feed("app", &[json!({ "a": "b" })]);
        prop_assert_eq!(&seen.passed[0].0, &text);
    }
}
