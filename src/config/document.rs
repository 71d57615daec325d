//! The document as a whole: what stands at the top level, and the JSON Schema of it all for editors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sdk::plugin::{Descriptor, Kind};
use serde_json::{Map, Value, json};

use super::{
    Registry, SecretSource, Service,
    keys::{
        ComponentKeys, CopyKeys, OutputKeys, RelabelKeys, RuleKeys, SourceKeys, StatefulKeys,
        StoreKeys,
    },
    kinds::{COPY, RELABEL, names as names_of},
    schema,
};

/// The top level without the components.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "its values are read from the tree, with their places; this is their schema"
)]
pub(super) struct Rest {
    /// The version of the language: 1.
    #[schemars(range(min = 1, max = 1))]
    config_version: Option<u32>,
    /// What concerns the process as a whole.
    service: Option<Service>,
    /// Where secrets come from, by name, for `${secret:NAME}`.
    secrets: Option<BTreeMap<String, SecretSource>>,
    /// Where records come from.
    source: Option<Vec<Map<String, Value>>>,
    /// What is done to records, in file order.
    filter: Option<Vec<Map<String, Value>>>,
    /// Where records go: the first match in file order takes them.
    r#match: Option<Vec<Map<String, Value>>>,
    /// Named sets of filters and matches.
    label: Option<BTreeMap<String, Map<String, Value>>>,
}

/// The JSON Schema (draft 7, which editors know) of a whole configuration with these plugins.
pub fn document_schema(registry: Registry) -> Value {
    let mut definitions = Definitions::default();
    let mut root = definitions.adopt("config", schema::of::<Rest>());
    let rule = definitions.adopt("rule", schema::of::<RuleKeys>());
    let store = definitions.adopt("store", schema::of::<StoreKeys>());
    let source = definitions.adopt("source", schema::of::<SourceKeys>());
    let sources = definitions.components(registry, Kind::Input, &[&source]);
    let filters = definitions.components(registry, Kind::Filter, &[&rule]);
    let stores = definitions.components(registry, Kind::Output, &[&store]);
    let matches = definitions.components(registry, Kind::Output, &[&rule]);
    for kind in [Kind::Parser, Kind::Formatter] {
        let inner = if names_of(registry, kind).is_empty() {
            json!({ "type": "object" })
        } else {
            definitions.components(registry, kind, &[])
        };
        definitions.0.insert(kind.as_str().to_owned(), inner);
    }
    for (name, node) in [
        ("source", sources),
        ("filter", filters),
        ("match", matches),
        ("match_store", stores),
        ("secondary", definitions.secondaries(registry)),
    ] {
        definitions.0.insert(name.to_owned(), node);
    }
    let list = |name: &str| json!({ "type": "array", "items": { "$ref": format!("#/definitions/{name}") } });
    let label = json!({
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": { "filter": list("filter"), "match": list("match") },
            "additionalProperties": false,
        },
    });
    let parts = [
        ("source", list("source")),
        ("filter", list("filter")),
        ("match", list("match")),
        ("label", label),
    ];
    for (name, mut node) in parts {
        let place = format!("/properties/{name}");
        let about = root.pointer(&format!("{place}/description")).cloned();
        if let (Some(object), Some(about)) = (node.as_object_mut(), about) {
            object.insert("description".to_owned(), about);
        }
        if let Some(property) = root.pointer_mut(&place) {
            *property = node;
        }
    }
    if let Some(object) = root.as_object_mut() {
        object.insert(
            "$schema".to_owned(),
            json!("http://json-schema.org/draft-07/schema#"),
        );
        object.insert("title".to_owned(), json!("Weir configuration"));
        object.insert("definitions".to_owned(), Value::Object(definitions.0));
    }
    root
}

/// Lets `"${env:PORT}"` stand for a number or truth.
fn or_variable(property: &mut Value) {
    let kinds = property.get("type").cloned().unwrap_or_default();
    let is = |kind: &str| match &kinds {
        Value::Array(all) => all.iter().any(|own| own == kind),
        one => one == kind,
    };
    if is("string") || !["integer", "number", "boolean"].into_iter().any(is) {
        return;
    }
    let mut wrapped = Map::new();
    for keyword in ["description", "default"] {
        if let Some(value) = property.get(keyword) {
            wrapped.insert(keyword.to_owned(), value.clone());
        }
    }
    let variable = json!({ "type": "string", "pattern": "\\$\\{(env|file|secret):" });
    wrapped.insert("anyOf".to_owned(), json!([property.take(), variable]));
    *property = Value::Object(wrapped);
}

/// Named schemas of the whole document.
#[derive(Default)]
struct Definitions(Map<String, Value>);

impl Definitions {
    /// Takes over the definitions of a schema under names that begin with `prefix`.
    fn adopt(&mut self, prefix: &str, mut schema: Value) -> Value {
        let own = schema.as_object_mut().and_then(|object| {
            object.remove("$schema");
            object.remove("title");
            object.remove("$defs")
        });
        if let Some(Value::Object(own)) = own {
            for (name, mut node) in own {
                redirect(&mut node, prefix);
                self.0.insert(format!("{prefix}_{name}"), node);
            }
        }
        redirect(&mut schema, prefix);
        schema
    }

    /// A choice of every output, without what surrounds one.
    fn secondaries(&mut self, registry: Registry) -> Value {
        let component = self.adopt("component", schema::of::<ComponentKeys>());
        let mut all = Vec::new();
        let outputs = registry.iter();
        for plugin in outputs.filter(|plugin| plugin.kind() == Kind::Output) {
            let prefix = format!("{}_{}", Kind::Output.as_str(), plugin.name);
            let own = self.adopt(&prefix, (plugin.schema)());
            all.push(merge(&[&component, &own], &names(plugin), plugin.summary));
        }
        json!({ "oneOf": all })
    }

    /// A choice of every plugin of a kind, each with the engine's keys.
    fn components(&mut self, registry: Registry, kind: Kind, engine: &[&Value]) -> Value {
        let component = self.adopt("component", schema::of::<ComponentKeys>());
        let mut output = self.adopt("output", schema::of::<OutputKeys>());
        if let Some(Value::Object(secondary)) = output.pointer_mut("/properties/secondary") {
            secondary.retain(|keyword, _| keyword == "description");
            let reference = json!([{ "$ref": "#/definitions/secondary" }]);
            secondary.insert("allOf".to_owned(), reference);
        }
        let stateful = self.adopt("stateful", schema::of::<StatefulKeys>());
        let mut all = Vec::new();
        for plugin in registry.iter().filter(|plugin| plugin.kind() == kind) {
            let own = self.adopt(
                &format!("{}_{}", kind.as_str(), plugin.name),
                (plugin.schema)(),
            );
            let mut layers = Vec::new();
            if matches!(kind, Kind::Input | Kind::Filter | Kind::Output) {
                layers.push(&component);
            }
            layers.extend(engine.iter().copied());
            if plugin.has_memory() {
                layers.push(&stateful);
            }
            if kind == Kind::Output {
                layers.push(&output);
            }
            layers.push(&own);
            all.push(merge(&layers, &names(plugin), plugin.summary));
        }
        if kind == Kind::Output {
            let relabel = self.adopt("relabel", schema::of::<RelabelKeys>());
            let mut copy = self.adopt("copy", schema::of::<CopyKeys>());
            if let Some(store) = copy.pointer_mut("/properties/store") {
                *store =
                    json!({ "type": "array", "items": { "$ref": "#/definitions/match_store" } });
            }
            for (name, own, about) in [
                (RELABEL, &relabel, "Sends into another label"),
                (COPY, &copy, "Sends to several stores"),
            ] {
                let mut layers = vec![&component];
                layers.extend(engine.iter().copied());
                layers.push(own);
                all.push(merge(&layers, &[name], about));
            }
        }
        json!({ "oneOf": all })
    }
}

fn names(plugin: &Descriptor) -> Vec<&'static str> {
    std::iter::once(plugin.name)
        .chain(plugin.aliases.iter().copied())
        .collect()
}

/// One table that has the properties of all layers.
fn merge(layers: &[&Value], types: &[&str], about: &str) -> Value {
    let mut properties = Map::new();
    let mut required = vec![json!("type")];
    let mut is_open = false;
    for layer in layers {
        let own = layer.get("properties").and_then(Value::as_object);
        for (name, node) in own.into_iter().flatten() {
            if properties.contains_key(name) {
                continue;
            }
            properties.insert(name.clone(), node.clone());
            let aliases = node.get("aliases").and_then(Value::as_array);
            for alias in aliases.into_iter().flatten().filter_map(Value::as_str) {
                properties.insert(alias.to_owned(), node.clone());
            }
        }
        let own = layer.get("required").and_then(Value::as_array);
        required.extend(own.into_iter().flatten().cloned());
        is_open |= layer.get("additionalProperties") == Some(&Value::Bool(true));
    }
    properties.insert(
        "type".to_owned(),
        json!({ "enum": types, "description": about }),
    );
    json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "required": required,
        "additionalProperties": is_open,
    })
}

/// Points references to where the definitions went, and lets a variable stand for what is no text.
fn redirect(node: &mut Value, prefix: &str) {
    match node {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.values_mut().for_each(or_variable);
            }
            choose_plugin(object);
            for (key, value) in object.iter_mut() {
                let name = value
                    .as_str()
                    .and_then(|text| text.strip_prefix("#/$defs/"));
                match name.filter(|_| key == "$ref") {
                    Some(name) => *value = format!("#/definitions/{prefix}_{name}").into(),
                    None => redirect(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, prefix)),
        _ => {}
    }
}

/// A table that chooses a plugin is one of those that there are.
fn choose_plugin(object: &mut Map<String, Value>) {
    let Some(kind) = object.get("plugin").and_then(Value::as_str) else {
        return;
    };
    let reference = json!([{ "$ref": format!("#/definitions/{kind}") }]);
    object.remove("plugin");
    object.remove("type");
    object.insert("allOf".to_owned(), reference);
}
