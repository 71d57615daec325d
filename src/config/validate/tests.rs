//! Tests of the checker against schemas of small types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sdk::config::{Interval, OneOrMany, Size};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::config::{schema, syntax};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Everything {
    /// A whole number.
    #[schemars(range(min = 1, max = 10))]
    whole: Option<u16>,
    /// Any number.
    real: Option<f64>,
    /// Text.
    #[schemars(length(min = 1, max = 5))]
    text: Option<String>,
    /// Truth.
    truth: Option<bool>,
    /// A duration.
    wait: Option<Interval>,
    /// Sizes.
    sizes: Option<OneOrMany<Size>>,
    /// One of two.
    kind: Option<Kind>,
    /// A table with a type.
    format: Option<Format>,
    /// Any keys.
    extra: Option<BTreeMap<String, u8>>,
    /// Another table.
    #[schemars(extend("aliases" = ["inside"]))]
    inner: Option<Inner>,
    /// Must be there.
    must: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// The first.
    BigOne,
    /// The second.
    Other,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
enum Format {
    Json,
    Csv { fields: Vec<String> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Inner {
    /// A rate.
    rate: Option<u32>,
}

fn checked(text: &str) -> (Value, Vec<(Code, String, String)>) {
    let text = format!("must = \"x\"\n{text}\n");
    let (tree, mut findings) = syntax::parse(&text);
    let mut tree = tree.unwrap();
    let schema = schema::of::<Everything>();
    let layers = Layers::new(vec![Schema::new(&schema)]);
    Validator::new(&mut findings, &[]).table(&mut tree, &layers, "the test");
    let said = findings
        .into_iter()
        .map(|finding| (finding.code, finding.message, finding.help.unwrap()));
    (tree.to_json(), said.collect())
}

#[track_caller]
fn accepts(text: &str, key: &str, expected: &Value) {
    let (value, findings) = checked(text);
    assert_eq!((&findings[..], &value[key]), (&[][..], expected), "{text}");
}

#[track_caller]
fn refuses(text: &str, code: Code, message: &str, help: &str) {
    let (_, findings) = checked(text);
    let expected = (code, message.to_owned(), help.to_owned());
    assert_eq!(findings, [expected], "{text}");
}

#[test]
fn good_values_pass() {
    accepts("whole = 10", "whole", &json!(10));
    accepts("whole = 10.0", "whole", &json!(10));
    accepts("real = 1", "real", &json!(1));
    accepts("wait = 5", "wait", &json!(5));
    accepts("wait = \"5s\"", "wait", &json!("5s"));
    accepts("sizes = \"8m\"", "sizes", &json!("8m"));
    accepts("sizes = [\"8m\", 5]", "sizes", &json!(["8m", 5]));
    accepts("kind = \"big_one\"", "kind", &json!("big_one"));
    accepts(
        "format = { type = \"json\" }",
        "format",
        &json!({ "type": "json" }),
    );
    accepts("extra = { any = 1 }", "extra", &json!({ "any": 1 }));
    accepts("inside = { rate = 1 }", "inner", &json!({ "rate": 1 }));
}

#[test]
fn kinds_are_compared() {
    use Code::WrongType;
    refuses(
        "whole = 1.5",
        WrongType,
        "`whole` is a float; it must be an integer",
        "write an integer",
    );
    refuses(
        "text = 5",
        WrongType,
        "`text` is an integer; it must be a string",
        "write it in quotes: text = \"5\"",
    );
    refuses(
        "truth = \"yes\"",
        WrongType,
        "`truth` is a string; it must be true or false",
        "write true or false",
    );
    refuses(
        "sizes = true",
        WrongType,
        "`sizes` is a boolean; it must be a size such as \"8MiB\" or an array, each value a size such as \"8MiB\"",
        "write a size such as \"8MiB\" or an array, each value a size such as \"8MiB\"",
    );
    refuses(
        "[[inner]]\nrate = 1",
        WrongType,
        "`inner` is an array; it must be a table",
        "this table stands once, in single brackets: [inner]",
    );
}

#[test]
fn limits_are_kept() {
    use Code::OutOfRange;
    refuses(
        "whole = 0",
        OutOfRange,
        "`whole` is 0, which is out of range",
        "write a number from 1 to 10",
    );
    refuses(
        "text = \"\"",
        OutOfRange,
        "`text` is too short, or empty",
        "write at least one character",
    );
    refuses(
        "text = \"sixsix\"",
        OutOfRange,
        "`text` is too long",
        "write at most 5 characters",
    );
    refuses(
        "inner = { rate = -1 }",
        OutOfRange,
        "`rate` is -1, which is out of range",
        "write a number from 0 to 4294967295",
    );
    refuses(
        "extra = { a = 256 }",
        OutOfRange,
        "`a` is 256, which is out of range",
        "write a number from 0 to 255",
    );
}

#[test]
fn choices_are_listed_or_guessed() {
    use Code::{MissingKey, NotAllowed};
    refuses(
        "kind = \"none\"",
        NotAllowed,
        "`kind` cannot be \"none\"",
        "write \"big_one\" or \"other\"",
    );
    refuses(
        "kind = \"big-one\"",
        NotAllowed,
        "`kind` cannot be \"big-one\"",
        "write \"big_one\"",
    );
    refuses(
        "format = {}",
        MissingKey,
        "`type` is missing in `format`",
        "write type = \"json\" or \"csv\"",
    );
    refuses(
        "format = { type = \"cvs\" }",
        NotAllowed,
        "`type` cannot be \"cvs\" in `format`",
        "write \"csv\"",
    );
    refuses(
        "format = { type = \"csv\" }",
        MissingKey,
        "`fields` is missing in `format`",
        "add fields = [...]",
    );
}

#[test]
fn one_bad_value_of_many_is_the_one_that_is_named() {
    refuses(
        "sizes = [\"8m\", \"many\"]",
        Code::BadValue,
        "`sizes`: \"many\" is not a size",
        "write \"8MiB\", \"512MB\", \"8m\" or a number of bytes",
    );
}

#[test]
fn keys_are_known_missing_or_misplaced() {
    use Code::UnknownKey;
    refuses(
        "wholy = 1",
        UnknownKey,
        "unknown key `wholy` in the test",
        "write `whole`",
    );
    refuses(
        "rate = 1",
        UnknownKey,
        "unknown key `rate` in the test",
        "`rate` belongs into the table `inner`",
    );
    refuses(
        "[inner]\nwhole = 1",
        UnknownKey,
        "unknown key `whole` in `inner`",
        "`whole` belongs to the test: move the line above this table",
    );
    refuses(
        "[inner]\nx = 1",
        UnknownKey,
        "unknown key `x` in `inner`",
        "the keys are `rate`",
    );
    refuses(
        "inner = {}\ninside = {}",
        UnknownKey,
        "`inside` is another name for `inner`, which is here too",
        "remove one of the two",
    );
    let schema = schema::of::<Everything>();
    let mut findings = Vec::new();
    let layers = Layers::new(vec![Schema::new(&schema)]);
    Validator::new(&mut findings, &[]).table(&mut Node::default(), &layers, "the test");
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].help.as_deref(),
        Some("add must = \"...\": Must be there.")
    );
}

#[test]
fn what_is_wrong_does_not_reach_serde() {
    let (value, findings) = checked("whole = 99\ntruth = true\n[inner]\nrate = \"x\"");
    assert_eq!(findings.len(), 2);
    assert_eq!(value, json!({ "must": "x", "truth": true }));
}
