//! Checks a tree against schemas: everything that is wrong, each at its place with a remedy.
//!
//! This file is about tables and their keys, `value.rs` about values. What a value was written as and what the
//! schema wants may differ in harmless ways; then the tree is changed to what the schema wants.

mod choice;
mod fluentd;
mod inner;
mod value;

#[cfg(test)]
mod tests;

pub(super) use self::{fluentd::without_at, inner::kind_of};
use super::{
    Registry,
    diagnostic::{Code, Diagnostic, Span},
    nearest::{list, nearest},
    schema::{Property, Rest, Schema},
    tree::{Content, Entry, Node},
};

/// Most known keys that are listed when none is near.
const MAX_LISTED: usize = 24;

/// The schemas of a table: the keys of a component are described by several.
#[derive(Debug, Clone)]
pub(super) struct Layers<'s> {
    schemas: Vec<Schema<'s>>,
    /// Whether other keys may be there: nobody knows the keys of an unknown plugin.
    is_open: bool,
}

impl<'s> Layers<'s> {
    /// These schemas together.
    pub(super) fn new(schemas: Vec<Schema<'s>>) -> Self {
        Self {
            schemas,
            is_open: false,
        }
    }

    /// The same with other keys allowed.
    #[must_use]
    pub(super) fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    fn property(&self, key: &str) -> Option<Property<'s>> {
        self.schemas.iter().find_map(|schema| schema.property(key))
    }

    fn properties(&self) -> impl Iterator<Item = (&'s str, Property<'s>)> {
        self.schemas.iter().flat_map(|schema| schema.properties())
    }

    fn by_alias(&self, key: &str) -> Option<&'s str> {
        self.schemas
            .iter()
            .find_map(|schema| schema.property_by_alias(key))
    }

    fn rest(&self) -> Rest<'s> {
        if self.is_open {
            return Rest::Open;
        }
        let open = |schema: &Schema<'s>| match schema.rest() {
            Rest::Closed => None,
            rest => Some(rest),
        };
        self.schemas.iter().find_map(open).unwrap_or(Rest::Closed)
    }
}

/// Checks trees.
pub(super) struct Validator<'s, 'f> {
    findings: &'f mut Vec<Diagnostic>,
    /// The plugins that tables inside may name.
    registry: Registry,
    /// The tables around the one that is checked, from the outside: their names and schemas.
    around: Vec<(String, Layers<'s>)>,
}

impl<'s, 'f> Validator<'s, 'f> {
    /// Reports to `findings`; tables inside may name the plugins of `registry`.
    pub(super) fn new(findings: &'f mut Vec<Diagnostic>, registry: Registry) -> Self {
        Self {
            findings,
            registry,
            around: Vec::new(),
        }
    }

    /// Checks a table; `owner` is what its keys belong to, for messages: ``input `forward` ``.
    pub(super) fn table(&mut self, node: &mut Node, layers: &Layers<'s>, owner: &str) {
        self.rename(node, layers);
        let header = node.span.clone();
        for entry in node.entries_mut() {
            if entry.node.is_bad {
                continue;
            }
            let before = self.findings.len();
            let schema = match (layers.property(&entry.key), layers.rest()) {
                (Some(property), _) => Some(property.schema),
                (None, Rest::Of(schema)) => Some(schema),
                (None, Rest::Open) => None,
                (None, Rest::Closed) => {
                    self.unknown(entry, &header, layers, owner);
                    None
                }
            };
            if let Some(schema) = schema {
                self.around.push((owner.to_owned(), layers.clone()));
                self.value(&mut entry.node, schema, &entry.key);
                self.around.pop();
            }
            entry.node.is_bad = self.findings.len() > before;
        }
        self.missing(node, layers, owner);
    }

    /// Gives keys their own names where another was used.
    fn rename(&mut self, node: &mut Node, layers: &Layers<'s>) {
        let taken: Vec<(String, Span)> = node
            .entries()
            .iter()
            .map(|entry| (entry.key.clone(), entry.key_span.clone()))
            .collect();
        for entry in node.entries_mut() {
            if layers.property(&entry.key).is_some() {
                continue;
            }
            let Some(name) = layers.by_alias(&entry.key) else {
                continue;
            };
            if let Some((_, other)) = taken.iter().find(|(key, _)| key == name) {
                let message = format!(
                    "`{}` is another name for `{name}`, which is here too",
                    entry.key
                );
                let finding = Diagnostic::new(Code::UnknownKey, entry.key_span.clone(), message);
                self.findings
                    .push(finding.and(other.clone(), "").help("remove one of the two"));
                entry.node.is_bad = true;
            } else {
                name.clone_into(&mut entry.key);
            }
        }
    }

    fn missing(&mut self, node: &Node, layers: &Layers<'s>, owner: &str) {
        for schema in &layers.schemas {
            for key in schema.texts("required") {
                if node.get(key).is_none() {
                    let message = format!("`{key}` is missing in {owner}");
                    let finding = Diagnostic::new(Code::MissingKey, node.span.clone(), message);
                    let help = schema.property(key).map_or_else(String::new, |property| {
                        let example = value::example(property.schema);
                        let about = property.description().lines().next().unwrap_or_default();
                        let gap = if about.is_empty() { "" } else { ": " };
                        format!("add {key} = {example}{gap}{about}")
                    });
                    self.findings.push(finding.help(help));
                }
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, header: &Span, layers: &Layers<'s>, owner: &str) {
        let key = &entry.key;
        let message = format!("unknown key `{key}` in {owner}");
        let finding = Diagnostic::new(Code::UnknownKey, entry.key_span.clone(), message);
        let (finding, help) =
            if let Some(hint) = fluentd::hint(key, |key| layers.property(key).is_some()) {
                (finding, hint)
            } else if let Some(outer) = self.owner_around(key) {
                let help = format!("`{key}` belongs to {outer}: move the line above this table");
                (finding.and(header.clone(), "the table begins here"), help)
            } else if let Some(inner) = inner_table(key, layers) {
                let help = format!("`{key}` belongs into the table `{inner}`");
                (finding, help)
            } else {
                (finding, known(key, layers))
            };
        self.findings.push(finding.help(help));
    }

    /// The table around this one that has such a key.
    fn owner_around(&self, key: &str) -> Option<&str> {
        let mut around = self.around.iter().rev();
        let (owner, _) = around.find(|(_, layers)| layers.property(key).is_some())?;
        Some(owner)
    }
}

/// The table below this one that has such a key.
fn inner_table<'s>(key: &str, layers: &Layers<'s>) -> Option<&'s str> {
    let mut properties = layers.properties();
    let has = |schema: Schema<'s>| schema.property(key).is_some();
    let inner = properties.find(|(_, property)| {
        has(property.schema) || property.schema.branches().into_iter().any(has)
    });
    inner.map(|(name, _)| name)
}

fn known(key: &str, layers: &Layers<'_>) -> String {
    let names: Vec<&str> = layers
        .properties()
        .flat_map(|(name, property)| std::iter::once(name).chain(property.aliases()))
        .collect();
    if let Some(near) = nearest(key, names.iter().copied()) {
        return format!("write `{near}`");
    }
    let names: Vec<&str> = layers.properties().map(|(name, _)| name).collect();
    match names.len() {
        0 => "there are no keys here".to_owned(),
        1..=MAX_LISTED => format!("the keys are {}", list(names)),
        _ => "`weir plugins NAME` lists the keys of a plugin".to_owned(),
    }
}
