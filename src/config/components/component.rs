//! One component: its table is checked against the schemas of the engine's keys and of its plugin.

use std::sync::Arc;

use sdk::plugin::{Build, DefaultBuffer, Descriptor, Kind};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Place, Reader, Type};
use crate::config::{
    TagPattern,
    diagnostic::{Code, Diagnostic, Span},
    draft::{
        FilterDraft, Head, MatchDraft, OutputDraft, SourceDraft, StoreDraft, TagsDraft,
        TargetDraft, WayDraft,
    },
    keys::{ComponentKeys, OutputKeys, SourceKeys, StatefulKeys, StoreKeys},
    kinds::{COPY, RELABEL, find_plugin},
    model::ROOT,
    schema::Schema,
    tree::{Content, Entry, Node},
    validate::{Layers, Validator, without_at},
};

impl Reader<'_> {
    pub(super) fn source(&mut self, mut node: Node, index: usize) -> SourceDraft {
        let place = Place {
            kind: "source",
            derived_id: format!("source.{index}"),
        };
        let kind = self.type_of(&mut node, Kind::Input);
        let schema = self.schemas.source.clone();
        let head = self.head(node, &place, &kind, &[&schema]);
        let keys: SourceKeys = self.keys(&head.node);
        let label = head.node.get("label").map(|entry| entry.node.span.clone());
        SourceDraft {
            label: keys.label.as_deref().unwrap_or(ROOT).into(),
            label_span: label,
            failure: keys.failure,
            head,
        }
    }

    pub(super) fn filter(&mut self, mut node: Node, place: &Place) -> FilterDraft {
        let kind = self.type_of(&mut node, Kind::Filter);
        let (rule, stateful) = (self.schemas.rule.clone(), self.schemas.stateful.clone());
        let has_memory = matches!(kind, Type::Plugin(plugin) if plugin.has_memory());
        let mut engine = vec![&rule];
        engine.extend(has_memory.then_some(&stateful));
        let head = self.head(node, place, &kind, &engine);
        let tags = self.tags(&head);
        let StatefulKeys { failure } = if has_memory {
            self.keys(&head.node)
        } else {
            StatefulKeys::default()
        };
        FilterDraft {
            head,
            tags,
            failure,
        }
    }

    pub(super) fn rule(&mut self, node: Node, place: &Place) -> MatchDraft {
        let schema = self.schemas.rule.clone();
        let target = self.target(node, place, &schema);
        let tags = self.tags(&target.head);
        MatchDraft { tags, target }
    }

    /// A match or store; `schema` has the keys that tell them apart.
    fn target(&mut self, mut node: Node, place: &Place, schema: &Value) -> TargetDraft {
        let kind = self.type_of(&mut node, Kind::Output);
        let stores = match kind {
            Type::Copy => self.stores(&mut node, &place.derived_id),
            _ => Vec::new(),
        };
        let secondary = match kind {
            Type::Plugin(_) | Type::Unknown => node.take("secondary"),
            Type::Relabel | Type::Copy => None,
        };
        let own = match kind {
            Type::Plugin(_) | Type::Unknown => self.schemas.output.clone(),
            Type::Relabel => self.schemas.relabel.clone(),
            Type::Copy => self.schemas.copy.clone(),
        };
        let head = self.head(node, place, &kind, &[schema, &own]);
        let way = match kind {
            Type::Plugin(descriptor) => {
                let secondary = secondary.and_then(|entry| self.secondary(entry, &head));
                WayDraft::Output(Box::new(self.output(&head, descriptor, secondary)))
            }
            Type::Relabel => WayDraft::Relabel {
                label: self.relabel(&head),
            },
            Type::Copy => WayDraft::Copy { stores },
            Type::Unknown => WayDraft::Unknown,
        };
        TargetDraft { head, way }
    }

    fn stores(&mut self, node: &mut Node, parent: &str) -> Vec<StoreDraft> {
        let nodes = self.tables(node, "store");
        let schema = self.schemas.store.clone();
        let store = |(index, node): (usize, Node)| {
            let place = Place {
                kind: "store",
                derived_id: format!("{parent}.store.{index}"),
            };
            let target = self.target(node, &place, &schema);
            let StoreKeys { on_error, on_full } = self.keys(&target.head.node);
            StoreDraft {
                target,
                on_error,
                on_full,
            }
        };
        nodes.into_iter().enumerate().map(store).collect()
    }

    fn output(
        &mut self,
        head: &Head,
        descriptor: &Descriptor,
        secondary: Option<Head>,
    ) -> OutputDraft {
        let OutputKeys {
            failure,
            buffer,
            dead_letter,
            ..
        } = self.keys(&head.node);
        let default = match descriptor.build {
            Build::Output(_, default) => default,
            _ => DefaultBuffer::Memory,
        };
        let buffer = buffer.settle(default, &self.data_dir, &head.id);
        let dead_letter = dead_letter.settle(buffer.kind, &self.data_dir, &head.id);
        OutputDraft {
            failure,
            buffer,
            dead_letter,
            secondary,
        }
    }

    fn relabel(&mut self, head: &Head) -> Option<(Arc<str>, Span)> {
        let Some(entry) = head.node.get("label") else {
            let message = "`label` is missing in output `relabel`";
            let finding = Diagnostic::new(Code::MissingKey, head.span.clone(), message);
            self.findings.push(
                finding.help("add label = \"NAME\": where the records go on, as in [label.NAME]"),
            );
            return None;
        };
        let label = entry.node.text()?;
        Some((label.into(), entry.node.span.clone()))
    }

    /// What the type says, with complaints about it.
    pub(super) fn type_of(&mut self, node: &mut Node, wanted: Kind) -> Type {
        without_at(node, self.findings);
        let written = node
            .get("type")
            .map(|entry| (entry.node.text(), entry.node.span.clone()));
        match (wanted, &written) {
            (Kind::Output, Some((Some(RELABEL), _))) => return Type::Relabel,
            (Kind::Output, Some((Some(COPY), _))) => return Type::Copy,
            _ => {}
        }
        match find_plugin(self.registry, wanted, node, written) {
            Ok(descriptor) => Type::Plugin(descriptor),
            Err(finding) => {
                self.findings.extend(finding);
                Type::Unknown
            }
        }
    }

    /// Checks the table of a component and takes what every component has.
    pub(super) fn head(
        &mut self,
        mut node: Node,
        place: &Place,
        kind: &Type,
        engine: &[&Value],
    ) -> Head {
        let before = self.findings.len();
        let descriptor = match kind {
            Type::Plugin(descriptor) => Some(*descriptor),
            _ => None,
        };
        let plugin = descriptor.map(|descriptor| (descriptor.schema)());
        let component = self.schemas.component.clone();
        let engine: Vec<Schema<'_>> = std::iter::once(&component)
            .chain(engine.iter().copied())
            .map(Schema::new)
            .collect();
        let mut all = engine.clone();
        all.extend(plugin.as_ref().map(Schema::new));
        let layers = Layers::new(all);
        let is_unknown = matches!(kind, Type::Unknown);
        let layers = if is_unknown { layers.open() } else { layers };
        let type_name = descriptor.map(|descriptor| descriptor.name);
        let type_name = type_name.or_else(|| node.get("type")?.node.text());
        let owner = match (place.kind, type_name) {
            (kind, None) => format!("[[{kind}]]"),
            ("source", Some(name)) => format!("input `{name}`"),
            ("filter", Some(name)) => format!("filter `{name}`"),
            (_, Some(name)) => format!("output `{name}`"),
        };
        Validator::new(self.findings, self.registry).table(&mut node, &layers, &owner);
        let is_own = |entry: &&Entry| {
            engine
                .iter()
                .all(|schema| schema.property(&entry.key).is_none())
        };
        let params = Node::to_map(node.entries().iter().filter(is_own));
        let ComponentKeys { id, .. } = self.keys(&node);
        let id_span = id.as_ref().map(|_| node.place("id"));
        Head {
            kind: place.kind,
            span: node.span.clone(),
            id: id.map_or_else(|| place.derived_id.as_str().into(), |id| id.0.into()),
            id_span,
            plugin: descriptor,
            params: params.into(),
            is_sound: !is_unknown && self.findings.len() == before && !node.holds_bad(),
            node,
        }
    }

    /// Reads keys of the engine. What was complained about is left out.
    fn keys<T: DeserializeOwned + Default>(&mut self, node: &Node) -> T {
        serde_json::from_value(node.to_json()).unwrap_or_else(|error| {
            self.findings.push(unreadable(node, &error));
            T::default()
        })
    }

    /// The patterns of a filter or match.
    fn tags(&mut self, head: &Head) -> TagsDraft {
        let entry = head.node.get("tag");
        if entry.is_none() && !head.node.has_misplaced("tag") {
            let message = format!("`tag` is missing in [[{}]]", head.kind);
            let finding = Diagnostic::new(Code::MissingKey, head.span.clone(), message);
            self.findings
                .push(finding.help("add tag = \"**\", or a pattern of the tags it is for"));
        }
        let is_good = |key: &str| head.node.get(key).is_none_or(|entry| !entry.node.is_bad);
        TagsDraft {
            include: patterns(entry),
            except: patterns(head.node.get("except")),
            is_sound: entry.is_some() && is_good("tag") && is_good("except"),
        }
    }
}

/// What serde refuses and the schema takes: the two differ, but nothing runs on a value nobody wrote.
pub(in crate::config) fn unreadable(node: &Node, error: &serde_json::Error) -> Diagnostic {
    let message = format!("this table cannot be read: {error}");
    let finding = Diagnostic::new(Code::BadValue, node.span.clone(), message);
    finding.help("compare its values with docs/CONFIGURATION.md")
}

/// The patterns of `tag` or `except`, each with its place.
fn patterns(entry: Option<&Entry>) -> Vec<(TagPattern, Span)> {
    let Some(entry) = entry.filter(|entry| !entry.node.is_bad) else {
        return Vec::new();
    };
    let nodes = match &entry.node.content {
        Content::Array(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.node),
    };
    let mut found = Vec::new();
    for node in nodes {
        let list = node
            .text()
            .and_then(|text| TagPattern::parse_list(text).ok());
        found.extend(
            list.into_iter()
                .flatten()
                .map(|pattern| (pattern, node.span.clone())),
        );
    }
    found
}
