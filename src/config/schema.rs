//! The part of JSON Schema that `schemars` makes of our types, as the checker reads it.

use serde_json::Value;

/// A schema, and the document in which its references are looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'a> {
    root: &'a Value,
    node: &'a Value,
}

/// What may stand in a table besides its properties.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest<'a> {
    /// Nothing.
    Closed,
    /// Anything.
    Open,
    /// Values of this kind.
    Of(Schema<'a>),
}

/// How often references are followed: a circle of them is a mistake in a plugin.
const MAX_REFERENCES: usize = 8;

/// The schema of one of our types.
pub(super) fn of<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

impl<'a> Schema<'a> {
    /// A whole document.
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, node: root }
    }

    /// Whether it is the very same part of the document.
    pub(super) fn is_same(self, other: Self) -> bool {
        std::ptr::eq(self.node, other.node)
    }

    fn with(self, node: &'a Value) -> Self {
        Self { node, ..self }.resolved()
    }

    fn resolved(self) -> Self {
        let mut schema = self;
        for _ in 0..MAX_REFERENCES {
            let reference = schema.node.get("$ref").and_then(Value::as_str);
            let target = reference.and_then(|text| schema.root.pointer(text.strip_prefix('#')?));
            match target {
                Some(node) => schema.node = node,
                None => break,
            }
        }
        schema
    }

    /// A keyword.
    pub(super) fn keyword(self, name: &str) -> Option<&'a Value> {
        self.node.get(name)
    }

    /// A keyword that is text.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.keyword(name)?.as_str()
    }

    /// A keyword that is a list; empty when it is absent.
    pub(super) fn list(self, name: &str) -> &'a [Value] {
        self.keyword(name)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// A keyword that is a list of texts.
    pub(super) fn texts(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.list(name).iter().filter_map(Value::as_str)
    }

    /// The properties with what is said about them where they stand.
    pub(super) fn properties(self) -> impl Iterator<Item = (&'a str, Property<'a>)> {
        let properties = self.keyword("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(move |(name, node)| {
            let property = Property {
                declared: node,
                schema: self.with(node),
            };
            (name.as_str(), property)
        })
    }

    /// One property.
    pub(super) fn property(self, name: &str) -> Option<Property<'a>> {
        let declared = self.keyword("properties")?.get(name)?;
        Some(Property {
            declared,
            schema: self.with(declared),
        })
    }

    /// The property that has this other name.
    pub(super) fn property_by_alias(self, alias: &str) -> Option<&'a str> {
        self.properties()
            .find(|(_, property)| property.aliases().any(|name| name == alias))
            .map(|(name, _)| name)
    }

    /// What may stand besides the properties.
    pub(super) fn rest(self) -> Rest<'a> {
        match self.keyword("additionalProperties") {
            Some(Value::Bool(true)) => Rest::Open,
            Some(node @ Value::Object(_)) => Rest::Of(self.with(node)),
            Some(_) => Rest::Closed,
            // A struct that does not refuse what it does not know still has no use for it.
            None if self.keyword("properties").is_some() => Rest::Closed,
            None => Rest::Open,
        }
    }

    /// The kinds of value it takes; empty: any.
    pub(super) fn types(self) -> Vec<&'a str> {
        match self.keyword("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            _ => self.texts("type").collect(),
        }
    }

    /// The schema of every item of an array.
    pub(super) fn items(self) -> Option<Schema<'a>> {
        self.keyword("items").map(|node| self.with(node))
    }

    /// The schemas of which one must fit, without that of nothing; empty when there is no choice.
    pub(super) fn branches(self) -> Vec<Schema<'a>> {
        let branches = self.list("anyOf").iter().chain(self.list("oneOf"));
        branches
            .map(|node| self.with(node))
            .filter(|branch| branch.types() != ["null"])
            .collect()
    }

    /// The schemas that must all fit.
    pub(super) fn parts(self) -> impl Iterator<Item = Schema<'a>> {
        self.list("allOf").iter().map(move |node| self.with(node))
    }

    /// The values allowed, when they are listed one by one.
    pub(super) fn choices(self) -> Option<Vec<&'a Value>> {
        if let Some(value) = self.keyword("const") {
            return Some(vec![value]);
        }
        if let Some(values) = self.keyword("enum").and_then(Value::as_array) {
            return Some(values.iter().filter(|value| !value.is_null()).collect());
        }
        let branches = self.branches();
        if branches.is_empty() {
            return None;
        }
        let lists: Option<Vec<_>> = branches.into_iter().map(Schema::choices).collect();
        lists.map(|lists| lists.concat())
    }
}

/// A property: its schema, and what is said where it is declared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property<'a> {
    declared: &'a Value,
    /// What its value must be.
    pub(super) schema: Schema<'a>,
}

impl<'a> Property<'a> {
    /// The doc comment.
    pub(super) fn description(self) -> &'a str {
        let own = self.declared.get("description").and_then(Value::as_str);
        own.or_else(|| self.schema.text("description"))
            .unwrap_or_default()
    }

    /// What it is when it is not written.
    pub(super) fn default(self) -> Option<&'a Value> {
        self.declared
            .get("default")
            .filter(|value| !value.is_null())
    }

    /// Whether two components must not have the same value here, from `#[schemars(extend("exclusive" = true))]`.
    pub(super) fn is_exclusive(self) -> bool {
        self.declared.get("exclusive") == Some(&Value::Bool(true))
    }

    /// The value that weakens a promise, from `#[schemars(extend("weakens" = VALUE))]`.
    pub(super) fn weakens(self) -> Option<&'a Value> {
        self.declared.get("weakens")
    }

    /// Other names of it, from `#[schemars(extend("aliases" = [...]))]`.
    pub(super) fn aliases(self) -> impl Iterator<Item = &'a str> {
        let list = self.declared.get("aliases").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }
}
