//! From the tree to components: sources, labels, and what is in them. `component.rs` reads each one.

mod component;
mod secondary;

pub(super) use self::component::unreadable;

use std::path::PathBuf;

use sdk::plugin::Descriptor;
use serde_json::Value;

use super::{
    Registry,
    diagnostic::{Code, Diagnostic},
    draft::{Draft, LabelDraft},
    keys::{
        ComponentKeys, CopyKeys, OutputKeys, RelabelKeys, RuleKeys, SourceKeys, StatefulKeys,
        StoreKeys,
    },
    model::ROOT,
    schema,
    tree::{Content, Entry, Node},
};

/// The schemas of the engine's own keys.
struct Schemas {
    component: Value,
    source: Value,
    stateful: Value,
    rule: Value,
    output: Value,
    relabel: Value,
    copy: Value,
    store: Value,
}

/// Reads components and collects what is wrong with them.
pub(super) struct Reader<'a> {
    registry: Registry,
    data_dir: PathBuf,
    schemas: Schemas,
    findings: &'a mut Vec<Diagnostic>,
}

/// What `type` says.
enum Type {
    Plugin(&'static Descriptor),
    Relabel,
    Copy,
    Unknown,
}

/// Where a component stands: what it is called when it has no id.
#[derive(Clone)]
struct Place {
    kind: &'static str,
    derived_id: String,
}

impl<'a> Reader<'a> {
    /// A reader that knows these plugins.
    pub(super) fn new(
        registry: Registry,
        data_dir: PathBuf,
        findings: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            registry,
            data_dir,
            schemas: Schemas {
                component: schema::of::<ComponentKeys>(),
                source: schema::of::<SourceKeys>(),
                stateful: schema::of::<StatefulKeys>(),
                rule: schema::of::<RuleKeys>(),
                output: schema::of::<OutputKeys>(),
                relabel: schema::of::<RelabelKeys>(),
                copy: schema::of::<CopyKeys>(),
                store: schema::of::<StoreKeys>(),
            },
            findings,
        }
    }

    /// Reads the sources and labels of a document.
    pub(super) fn read(mut self, mut tree: Node) -> Draft {
        let sources = self.tables(&mut tree, "source");
        let sources = sources.into_iter().enumerate();
        let sources = sources
            .map(|(index, node)| self.source(node, index))
            .collect();
        let mut root = self.label(ROOT, &mut tree);
        let mut others = Vec::new();
        for mut entry in self.named_labels(&mut tree) {
            let mut label = self.label(&entry.key, &mut entry.node);
            label.span = entry.key_span.clone();
            self.rest_of_label(&entry);
            if entry.key == ROOT {
                let message = "`ROOT` is the top level, so it has no table of its own";
                let finding = Diagnostic::new(Code::NotAllowed, entry.key_span, message);
                let help = "write [[filter]] and [[match]] without a label";
                self.findings.push(finding.help(help));
                root.filters.append(&mut label.filters);
                root.matches.append(&mut label.matches);
            } else {
                others.push(label);
            }
        }
        let labels = std::iter::once(root).chain(others).collect();
        Draft { sources, labels }
    }

    /// Complains about what is in a label besides filters and matches.
    fn rest_of_label(&mut self, label: &Entry) {
        let name = &label.key;
        for Entry { key, key_span, .. } in label.node.entries() {
            let message = format!("unknown key `{key}` in label `{name}`");
            let finding = Diagnostic::new(Code::UnknownKey, key_span.clone(), message);
            let help = format!("a label has [[label.{name}.filter]] and [[label.{name}.match]]");
            self.findings.push(finding.help(help));
        }
    }

    fn named_labels(&mut self, tree: &mut Node) -> Vec<Entry> {
        match tree.take("label").map(|entry| entry.node) {
            None => Vec::new(),
            Some(Node {
                content: Content::Table(entries),
                ..
            }) => entries,
            Some(node) => {
                let message = format!("`label` is {}; it must be a table", node.kind());
                let finding = Diagnostic::new(Code::WrongType, node.span, message);
                self.findings
                    .push(finding.help("write [[label.NAME.match]] and so on"));
                Vec::new()
            }
        }
    }

    fn label(&mut self, name: &str, node: &mut Node) -> LabelDraft {
        let filters = self.tables(node, "filter");
        let matches = self.tables(node, "match");
        let prefix = if name == ROOT {
            String::new()
        } else {
            format!("{name}.")
        };
        let place = |kind, index| Place {
            kind,
            derived_id: format!("{prefix}{kind}.{index}"),
        };
        let filters = (0..)
            .zip(filters)
            .map(|(index, node)| self.filter(node, &place("filter", index)));
        let filters = filters.collect();
        let matches = (0..)
            .zip(matches)
            .map(|(index, node)| self.rule(node, &place("match", index)));
        LabelDraft {
            name: name.into(),
            span: node.span.clone(),
            filters,
            matches: matches.collect(),
        }
    }

    /// The tables of `[[key]]`; a single `[key]` is complained about and read all the same.
    fn tables(&mut self, node: &mut Node, key: &str) -> Vec<Node> {
        let Some(Entry { node, key_span, .. }) = node.take(key) else {
            return Vec::new();
        };
        let kind = node.kind();
        let (tables, wrong) = match node.content {
            Content::Array(items) => {
                let (tables, others): (Vec<_>, Vec<_>) = items
                    .into_iter()
                    .partition(|item| matches!(item.content, Content::Table(_)));
                let wrong = others
                    .first()
                    .map(|other| (other.span.clone(), other.kind()));
                (tables, wrong)
            }
            Content::Table(_) => (vec![node.clone()], Some((node.span.clone(), kind))),
            Content::Scalar(_) => (Vec::new(), Some((key_span, kind))),
        };
        if let Some((span, kind)) = wrong {
            let message = format!("`{key}` is {kind}; it must be a list of tables");
            let finding = Diagnostic::new(Code::WrongType, span, message);
            self.findings
                .push(finding.help(format!("write it with two brackets: [[{key}]]")));
        }
        tables
    }
}
