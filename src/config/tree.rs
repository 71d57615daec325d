//! A TOML document as a tree in which every key and value knows its place.

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::diagnostic::{Code, Diagnostic, Span};

/// A value and its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// The value itself, or the header of a table.
    pub(super) span: Span,
    pub(super) content: Content,
    /// Text that variables were filled into. It may stand for a value of another type, and is not shown.
    pub(super) is_filled_in: bool,
    /// Something in it was complained about, so it must not be used.
    pub(super) is_bad: bool,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Text, number or truth.
    Scalar(Value),
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its value, in file order.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

impl Default for Content {
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

impl Node {
    /// The tree of a parsed document. What TOML allows and JSON does not is a finding.
    pub(super) fn from_document(
        table: &Spanned<DeTable<'_>>,
        findings: &mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            span: 0..0,
            content: table_content(table.get_ref(), findings),
            ..Self::default()
        }
    }

    /// Its entries; none when it is no table.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Table(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn entries_mut(&mut self) -> &mut [Entry] {
        match &mut self.content {
            Content::Table(entries) => entries,
            _ => &mut [],
        }
    }

    /// The entry of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let Content::Table(entries) = &mut self.content else {
            return None;
        };
        let at = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(at))
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    /// What stands in the file at this key, or else the node itself.
    pub(super) fn place(&self, key: &str) -> Span {
        self.get(key)
            .map_or_else(|| self.span.clone(), |entry| entry.node.span.clone())
    }

    /// The value for serde, without what was complained about.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Array(items) => items.iter().map(Self::to_json).collect(),
            Content::Table(entries) => Self::to_map(entries.iter()).into(),
        }
    }

    /// Some of its entries for serde.
    pub(super) fn to_map<'n>(entries: impl Iterator<Item = &'n Entry>) -> Map<String, Value> {
        entries
            .filter(|entry| !entry.node.is_bad)
            .map(|entry| (entry.key.clone(), entry.node.to_json()))
            .collect()
    }

    /// The place that a JSON pointer leads to, as far as the way exists.
    pub(super) fn place_of(&self, pointer: &str) -> Span {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.content {
                Content::Table(_) => node.get(&step).map(|entry| &entry.node),
                Content::Array(items) => step.parse().ok().and_then(|at: usize| items.get(at)),
                Content::Scalar(_) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.span.clone()
    }

    /// Whether it or something in it was complained about.
    pub(super) fn holds_bad(&self) -> bool {
        self.is_bad
            || match &self.content {
                Content::Scalar(_) => false,
                Content::Array(items) => items.iter().any(Self::holds_bad),
                Content::Table(entries) => entries.iter().any(|entry| entry.node.holds_bad()),
            }
    }

    /// Whether a table inside it has such a key that was complained about: it stands one table too deep.
    pub(super) fn has_misplaced(&self, key: &str) -> bool {
        let inner = self.entries().iter().map(|entry| &entry.node);
        inner
            .filter_map(|node| node.get(key))
            .any(|entry| entry.node.is_bad)
    }

    /// What it is, for messages: `a string`.
    pub(super) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(Value::String(_)) => "a string",
            Content::Scalar(Value::Bool(_)) => "a boolean",
            Content::Scalar(Value::Number(number)) if number.is_f64() => "a float",
            Content::Scalar(_) => "an integer",
            Content::Array(_) => "an array",
            Content::Table(_) => "a table",
        }
    }
}

fn table_content(table: &DeTable<'_>, findings: &mut Vec<Diagnostic>) -> Content {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: node(value, findings),
        }
    };
    Content::Table(table.iter().map(entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, findings: &mut Vec<Diagnostic>) -> Node {
    let span = value.span();
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Scalar(text.to_string().into()),
        DeValue::Boolean(truth) => Content::Scalar((*truth).into()),
        DeValue::Datetime(moment) => Content::Scalar(moment.to_string().into()),
        DeValue::Integer(integer) => {
            number(&span, findings, whole(integer.as_str(), integer.radix()))
        }
        DeValue::Float(float) => {
            let parsed = float.as_str().parse().ok().and_then(Number::from_f64);
            number(&span, findings, parsed)
        }
        DeValue::Array(items) => {
            Content::Array(items.iter().map(|item| node(item, findings)).collect())
        }
        DeValue::Table(table) => table_content(table, findings),
    };
    Node {
        span,
        content,
        ..Node::default()
    }
}

fn whole(digits: &str, radix: u32) -> Option<Number> {
    let small = i64::from_str_radix(digits, radix).map(Number::from);
    small
        .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from))
        .ok()
}

fn number(span: &Span, findings: &mut Vec<Diagnostic>, parsed: Option<Number>) -> Content {
    if parsed.is_none() {
        let message = "this number is too large, or not a number at all";
        let finding = Diagnostic::new(Code::OutOfRange, span.clone(), message);
        findings.push(finding.help("write a number within 64 bits; inf and nan mean nothing here"));
    }
    Content::Scalar(parsed.map_or(Value::from(0), Value::Number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Node, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let table = DeTable::parse(text).unwrap();
        (Node::from_document(&table, &mut findings), findings)
    }

    #[test]
    fn values_become_json_and_know_their_places() {
        let text = "a = [1, 0x10, 1.5]\nt = 2026-01-01\n[[m]]\nx = \"y\"\n[m.buffer]\nk = true\n";
        let (tree, findings) = parse(text);
        let expected = serde_json::json!({
            "a": [1, 16, 1.5], "t": "2026-01-01", "m": [{ "x": "y", "buffer": { "k": true } }],
        });
        assert_eq!((tree.to_json(), findings.len()), (expected, 0));
        let at = |pointer: &str| text.get(tree.place_of(pointer)).unwrap();
        assert_eq!(at("/a/1"), "0x10");
        assert_eq!(at("/m/0/x"), "\"y\"");
        assert_eq!(at("/m/0"), "[[m]]");
        assert_eq!(at("/m/0/buffer"), "[m.buffer]");
        assert_eq!(at("/m/0/buffer/missing"), "[m.buffer]");
    }

    #[test]
    fn numbers_without_a_meaning_are_findings() {
        let (_, findings) = parse("a = 99999999999999999999\nb = inf\nc = 18446744073709551615\n");
        let places: Vec<_> = findings.iter().map(Diagnostic::span).collect();
        assert_eq!(places, [4..24, 29..32]);
    }
}
