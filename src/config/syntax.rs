//! What is wrong with text that is not TOML: every place, and what is usually meant.

use toml::de::DeTable;

use super::{
    diagnostic::{Code, Diagnostic, Span},
    tree::Node,
};

/// Parses text. Without a tree there is at least one finding.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let mut findings = Vec::new();
        let tree = Node::from_document(&table, &mut findings);
        return (Some(tree), findings);
    }
    errors.sort_by_key(|error| error.span().unwrap_or_default().start);
    if let Some(finding) = fluent_conf(text) {
        return (None, vec![finding]);
    }
    let mut findings: Vec<Diagnostic> = Vec::new();
    let mut last_line = None;
    let mut repeated_table = None;
    for error in errors {
        let place = Place::new(text, error.span().unwrap_or_default());
        let is_duplicate = error.message().starts_with("duplicate key");
        // What follows on the same line, or in a table that stands twice, follows from the first.
        let follows = last_line == Some(place.number)
            || (is_duplicate && repeated_table == Some(place.table));
        if is_duplicate && place.line.starts_with('[') {
            repeated_table = Some(place.number);
        }
        if !follows {
            last_line = Some(place.number);
            let (message, help) = place.explain(error.message());
            findings.push(Diagnostic::new(Code::Syntax, place.span, message).help(help));
        }
    }
    (None, findings)
}

/// One finding for a whole file in another language.
fn fluent_conf(text: &str) -> Option<Diagnostic> {
    let is_directive = |line: &str| {
        let line = line.trim_start();
        line.starts_with('<') || line.starts_with("@include ")
    };
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if is_directive(line) {
            let span = offset..offset + line.trim_end().len();
            let finding = Diagnostic::new(Code::Syntax, span, "this is fluent.conf, not TOML");
            let help = "<source> is [[source]] here, <match app.**> is [[match]] with tag = \"app.**\", and @type \
                        forward is type = \"forward\"; docs/CONFIGURATION.md shows it all";
            return Some(finding.help(help));
        }
        offset += line.len();
    }
    None
}

/// Where an error is.
struct Place<'t> {
    span: Span,
    /// The line, and its number from 0.
    line: &'t str,
    number: usize,
    /// The number of the line where the table begins.
    table: usize,
    /// What the error points at.
    word: &'t str,
}

impl<'t> Place<'t> {
    fn new(text: &'t str, span: Span) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end.max(start));
        let before = text.get(..start).unwrap_or(text);
        let number = before.matches('\n').count();
        let headers = text.lines().take(number + 1).enumerate();
        let headers = headers.filter(|(_, line)| line.trim_start().starts_with('['));
        Self {
            line: text.lines().nth(number).unwrap_or_default().trim(),
            number,
            table: headers.map(|(number, _)| number).last().unwrap_or(0),
            word: text.get(start..end).unwrap_or_default(),
            span: start..end,
        }
    }

    /// What is wrong, and what to do about it.
    fn explain(&self, message: &str) -> (String, String) {
        let name = self.line.trim_matches(['[', ']']);
        if message.starts_with("duplicate key") {
            return if self.line.starts_with('[') {
                let help =
                    format!("a table that may stand several times has two brackets: [[{name}]]");
                (format!("the table `{name}` stands twice"), help)
            } else {
                (
                    format!("the key `{}` stands twice", self.word),
                    "remove one of the two".to_owned(),
                )
            };
        }
        match self.line.split_once('=') {
            Some((_, value)) if is_truth(value.trim()) => {
                let help = "write true or false, in small letters";
                (
                    format!("`{}` is not a value", value.trim()),
                    help.to_owned(),
                )
            }
            Some((key, value)) if is_bare(value.trim()) => {
                let (key, value) = (key.trim(), value.trim());
                (
                    format!("`{value}` is text without quotes"),
                    format!("write {key} = \"{value}\""),
                )
            }
            Some((_, value)) if value.contains(['"', '\'']) => {
                let help = "text begins and ends with a quote; inside double quotes, write two backslashes for one";
                (format!("not TOML: {message}"), help.to_owned())
            }
            Some(_) => {
                let help = "text stands in quotes; numbers, true and false without";
                (format!("not TOML: {message}"), help.to_owned())
            }
            None if self.line.starts_with('[') => {
                let help = "a table is written [name] or [[name]]";
                (format!("not TOML: {message}"), help.to_owned())
            }
            None => {
                let help = "a line is key = value, as in type = \"forward\"";
                (format!("not TOML: {message}"), help.to_owned())
            }
        }
    }
}

/// Whether a value is what other languages call true or false.
fn is_truth(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off"
    )
}

/// Whether a value was surely meant as text: it begins like a word, a path or a pattern.
fn is_bare(value: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '*' | '/' | '$');
    value.starts_with(begins) && !value.contains(['"', '\'', '#'])
}
