//! Tests of variables.

use std::{collections::HashMap, io};

use serde_json::json;

use super::{super::syntax, *};

#[derive(Default)]
struct Made(HashMap<&'static str, &'static str>);

impl Surroundings for Made {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let value = self.env(path.to_str().unwrap());
        value.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

const MADE: [(&str, &str); 4] = [
    ("NAME", "es"),
    ("EMPTY", ""),
    ("/run/key", "hunter2\n"),
    ("INJECT", "a\"\n[[source]]\ntype = \"x"),
];

fn fill_in(text: &str) -> (serde_json::Value, Vec<Diagnostic>, Hidden) {
    let (tree, mut findings) = syntax::parse(text);
    let mut tree = tree.unwrap();
    let made = Made(HashMap::from(MADE));
    let hidden = Variables::fill_in(&mut tree, &made, &mut findings);
    (tree.to_json()["x"].clone(), findings, hidden)
}

#[track_caller]
fn check(text: &str, expected: &serde_json::Value) {
    let (value, findings, _) = fill_in(&format!("x = '{text}'\n"));
    assert_eq!((&value, &*findings), (expected, [].as_slice()));
}

#[track_caller]
fn refuse(text: &str, code: Code, message: &str, help: &str) {
    let (_, findings, _) = fill_in(&format!("x = '{text}'\n"));
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(finding.code, code);
    assert_eq!(finding.message, message);
    assert_eq!(finding.help.as_deref(), Some(help));
}

#[test]
fn variables_are_filled_in_inside_one_string() {
    check(
        "http://${env:NAME}:9200/${env:NAME}",
        &json!("http://es:9200/es"),
    );
    check("${env:OTHER:-http://es:9200}", &json!("http://es:9200"));
    check("${env:EMPTY:-x}${env:EMPTY}", &json!("x"));
    check("${file:/run/key}", &json!("hunter2"));
    check("${file:/run/none:-none}", &json!("none"));
    check("${env:INJECT}", &json!("a\"\n[[source]]\ntype = \"x"));
}

#[test]
fn placeholders_stay() {
    for text in [
        "${tag}",
        "${record.a:-x}",
        "${record[\"a:b\"]}",
        "$ {env:x} ${",
        "${tag_parts[1]:-no}",
    ] {
        check(text, &json!(text));
    }
}

#[test]
fn what_is_wrong_is_said_with_its_remedy() {
    refuse(
        "${env:OTHER}",
        Code::UnsetVariable,
        "the environment variable `OTHER` is not set",
        "set it, or give a default: ${env:OTHER:-DEFAULT}",
    );
    refuse(
        "${env:OTHER:?say where Elasticsearch is}",
        Code::UnsetVariable,
        "the environment variable `OTHER` is not set",
        "say where Elasticsearch is",
    );
    refuse(
        "${envv:NAME}",
        Code::BadVariable,
        "`${envv:NAME}`: there is no variable `envv:`",
        "write ${env:NAME}",
    );
    refuse(
        "${env:NAME",
        Code::BadVariable,
        "`${env:NAME` is never closed",
        "write a } behind the name",
    );
    refuse(
        "${secret:key}",
        Code::UnknownSecret,
        "there is no secret `key`",
        "add [secrets.key] with type = \"file\" and path = \"...\", or type = \"env\" and name = \"...\"",
    );
}

#[test]
fn secrets_come_from_their_table_and_are_hidden() {
    let text = "x = '${secret:key}'\n[secrets]\nkey = { type = \"file\", path = \"/run/${env:K:-key}\" }\n";
    let (value, findings, hidden) = fill_in(text);
    assert_eq!((value, findings.len()), (json!("hunter2"), 0));
    let mut finding =
        Diagnostic::new(Code::BadValue, 100..101, "\"hunter2\" is no size").help("hunter2?");
    hidden.clean(&mut finding);
    assert_eq!(finding.message, "\"***\" is no size");
    assert_eq!(finding.help.as_deref(), Some("***?"));
}

#[test]
fn a_value_from_the_environment_is_hidden_where_it_stands() {
    let (_, _, hidden) = fill_in("x = 'http://${env:NAME}'\n");
    let clean = |span| {
        let mut finding = Diagnostic::new(Code::BadValue, span, "\"http://es\"");
        hidden.clean(&mut finding);
        finding.message
    };
    assert_eq!(clean(4..22), "\"***\"");
    assert_eq!(clean(0..1), "\"http://es\"");
}
