//! The manual of a plugin, and of the engine's own tables, out of their schemas: for terminals and for READMEs.

use sdk::plugin::{Descriptor, Kind, Stability};
use serde_json::Value;

use super::{
    Registry, Service,
    buffer::{BufferKeys, DeadLetterKeys},
    keys::{CopyKeys, RelabelKeys, RuleKeys, SourceKeys, StoreKeys},
    nearest::nearest,
    schema::{self, Property, Schema},
    validate::kind_of,
};

/// Widest column of types on a terminal.
const MAX_KIND_WIDTH: usize = 24;

/// What can be said about a plugin or a table of the engine.
#[derive(Debug)]
pub struct Manual {
    /// `input`, `filter`, `output`, `parser`, `formatter`, or `table` for one of the engine's.
    pub kind: &'static str,
    /// The value of `type`, or the name of the table.
    pub name: &'static str,
    /// Other values of `type` that mean the same.
    pub aliases: &'static [&'static str],
    /// How settled it is.
    pub stability: Stability,
    /// One sentence.
    pub summary: &'static str,
    schema: Value,
}

/// A parameter.
#[derive(Debug)]
struct Row {
    name: String,
    kind: String,
    default: String,
    about: String,
}

impl Manual {
    fn of_plugin(plugin: &Descriptor) -> Self {
        Self {
            kind: plugin.kind().as_str(),
            name: plugin.name,
            aliases: plugin.aliases,
            stability: plugin.stability,
            summary: plugin.summary,
            schema: (plugin.schema)(),
        }
    }

    fn of_table(name: &'static str, summary: &'static str, schema: Value) -> Self {
        Self {
            kind: "table",
            name,
            aliases: &[],
            stability: Stability::Stable,
            summary,
            schema,
        }
    }

    /// Whether somebody who writes `name` means it: `forward`, or `in_forward`.
    pub fn answers_to(&self, name: &str) -> bool {
        let prefix = match self.kind {
            "input" => "in_",
            "output" => "out_",
            "filter" => "filter_",
            "parser" => "parser_",
            "formatter" => "formatter_",
            _ => "",
        };
        let is_it = |name: &str| self.name == name || self.aliases.contains(&name);
        is_it(name) || name.strip_prefix(prefix).is_some_and(is_it)
    }

    /// `stable` or `beta`.
    pub fn stability(&self) -> &'static str {
        match self.stability {
            Stability::Stable => "stable",
            Stability::Beta => "beta",
        }
    }

    /// Its JSON Schema.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The parameters as a Markdown table.
    pub fn markdown(&self) -> String {
        let rows = self.rows();
        if rows.is_empty() {
            return "It has no parameters of its own.\n".to_owned();
        }
        let mut out =
            "| parameter | type | default | meaning |\n| --- | --- | --- | --- |\n".to_owned();
        for row in rows {
            let cells = [
                format!("`{}`", row.name),
                row.kind,
                code(&row.default),
                row.about,
            ];
            let cells = cells.map(|cell| cell.replace('|', "\\|").replace('<', "&lt;"));
            out.extend(["| ", &cells.join(" | "), " |\n"]);
        }
        out
    }

    /// The parameters for a terminal of `width` columns.
    pub fn text(&self, width: usize) -> String {
        let mut out = format!(
            "{} ({}, {})\n{}.\n",
            self.name,
            self.kind,
            self.stability(),
            self.summary
        );
        if !self.aliases.is_empty() {
            out.extend(["Other names: ", &self.aliases.join(", "), "\n"]);
        }
        let rows = self.rows();
        if rows.is_empty() {
            out.push_str("\nIt has no parameters of its own.\n");
        }
        let widest = |column: fn(&Row) -> &String| {
            rows.iter()
                .map(|row| column(row).chars().count())
                .max()
                .unwrap_or(0)
        };
        let names = widest(|row| &row.name);
        let kinds = widest(|row| &row.kind).min(MAX_KIND_WIDTH);
        for row in &rows {
            let head = format!("{:names$}  {:kinds$}  {}", row.name, row.kind, row.default);
            out.extend(["\n  ", head.trim_end(), "\n"]);
            for line in wrap(&row.about, width.saturating_sub(6)) {
                out.extend(["      ", &line, "\n"]);
            }
        }
        out
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        collect(Schema::new(&self.schema), "", &mut Vec::new(), &mut rows);
        rows
    }
}

/// Every plugin, and then the tables of the engine.
pub fn manuals(registry: Registry) -> Vec<Manual> {
    let mut plugins: Vec<_> = registry
        .iter()
        .map(|plugin| Manual::of_plugin(plugin))
        .collect();
    let order = |kind| {
        [
            Kind::Input,
            Kind::Filter,
            Kind::Output,
            Kind::Parser,
            Kind::Formatter,
        ]
        .iter()
        .position(|own| own.as_str() == kind)
    };
    plugins.sort_by_key(|manual| (order(manual.kind), manual.name));
    plugins.extend(tables());
    plugins
}

/// The tables of the engine.
fn tables() -> Vec<Manual> {
    vec![
        Manual::of_table(
            "service",
            "What concerns the process as a whole: [service]",
            schema::of::<Service>(),
        ),
        Manual::of_table(
            "source",
            "What every [[source]] has besides the parameters of its input",
            schema::of::<SourceKeys>(),
        ),
        Manual::of_table(
            "rule",
            "What every [[filter]] and [[match]] has",
            schema::of::<RuleKeys>(),
        ),
        Manual::of_table(
            "buffer",
            "How records wait for an output: [match.buffer]",
            schema::of::<BufferKeys>(),
        ),
        Manual::of_table(
            "dead_letter",
            "Where refused records go: [match.dead_letter]",
            schema::of::<DeadLetterKeys>(),
        ),
        Manual::of_table(
            "copy",
            "A match that sends to several stores",
            schema::of::<CopyKeys>(),
        ),
        Manual::of_table(
            "store",
            "What every [[match.store]] has besides",
            schema::of::<StoreKeys>(),
        ),
        Manual::of_table(
            "relabel",
            "A match that sends into another label",
            schema::of::<RelabelKeys>(),
        ),
    ]
}

/// The name that was probably meant.
pub fn nearest_name<'m>(name: &str, manuals: &'m [Manual]) -> Option<&'m str> {
    nearest(name, manuals.iter().map(|manual| manual.name))
}

/// Lists the parameters of a table and of those inside it. What occurs twice is listed once.
fn collect<'s>(
    schema: Schema<'s>,
    prefix: &str,
    listed: &mut Vec<Schema<'s>>,
    rows: &mut Vec<Row>,
) {
    let required: Vec<&str> = schema.texts("required").collect();
    for (name, property) in schema.properties() {
        let name = format!("{prefix}{name}");
        let (inner, mark) = inner(property.schema);
        let is_table = inner.is_some_and(|inner| inner.properties().next().is_some());
        let plain = name.rsplit('.').next().unwrap_or(&name);
        rows.push(Row {
            kind: kind(property.schema),
            default: if required.contains(&plain) {
                "required".to_owned()
            } else {
                default(property, is_table)
            },
            about: about(property),
            name: name.clone(),
        });
        let is_new = |inner: &Schema<'s>| !listed.iter().any(|other| other.is_same(*inner));
        if let Some(inner) = inner.filter(is_new) {
            listed.push(inner);
            collect(inner, &format!("{name}{mark}."), listed, rows);
        }
    }
}

/// The table inside a value, and `[]` when there may be several.
fn inner(schema: Schema<'_>) -> (Option<Schema<'_>>, &'static str) {
    let candidates = schema.branches();
    let several = |schema: &Schema<'_>| schema.types() == ["array"];
    let mut mark = if several(&schema) || candidates.iter().any(several) {
        "[]"
    } else {
        ""
    };
    let mut all = vec![schema];
    all.extend(candidates);
    let items: Vec<_> = all.iter().filter_map(|schema| schema.items()).collect();
    all.extend(items);
    let table = all
        .into_iter()
        .find(|schema| schema.properties().next().is_some());
    if table.is_none() {
        mark = "";
    }
    (table, mark)
}

fn about(property: Property<'_>) -> String {
    let words: Vec<&str> = property.description().split_whitespace().collect();
    let mut about = words.join(" ");
    let aliases: Vec<String> = property
        .aliases()
        .map(|alias| format!("`{alias}`"))
        .collect();
    if !aliases.is_empty() {
        about.extend([" Also written ", &aliases.join(", "), "."]);
    }
    about
}

fn default(property: Property<'_>, is_table: bool) -> String {
    match property.default() {
        // The rows of the table itself say it, and nothing is nothing.
        Some(Value::Object(_)) if is_table => String::new(),
        Some(Value::Object(entries)) if entries.is_empty() => String::new(),
        Some(Value::Array(items)) if items.is_empty() => String::new(),
        Some(value) => toml_text(value),
        None => String::new(),
    }
}

/// A value as it is written in a configuration.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml_text(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// The kind of a value in a word or two.
fn kind(schema: Schema<'_>) -> String {
    if let Some(choices) = schema.choices() {
        let choices: Vec<_> = choices.iter().map(ToString::to_string).collect();
        return choices.join(", ");
    }
    if let Some(plugin) = kind_of(schema) {
        return format!("{} table", plugin.as_str());
    }
    let by_format = match schema.text("format") {
        Some("weir-duration") => "duration",
        Some("weir-size") => "size",
        Some("weir-listen") => "address",
        Some("weir-pattern") => "regular expression",
        Some("weir-field" | "weir-chunk-key") => "field",
        Some("weir-template") => "template",
        Some("weir-secret") => "secret",
        Some("weir-tags") => "tag pattern",
        Some("weir-memory") => "share or size",
        Some("weir-zone") => "time zone",
        _ => "",
    };
    if !by_format.is_empty() {
        return by_format.to_owned();
    }
    let branches = schema.branches();
    if !branches.is_empty() {
        let mut words: Vec<String> = branches.into_iter().map(kind).collect();
        // One value, or a list of the same.
        if let [one, many] = words.as_slice()
            && *many == format!("list of {one}")
        {
            return format!("{one} or list");
        }
        words.dedup();
        return words.join(" or ");
    }
    let words: Vec<String> = schema
        .types()
        .into_iter()
        .filter(|kind| *kind != "null")
        .map(|kind| match kind {
            "array" => format!(
                "list of {}",
                schema.items().map_or_else(|| "any".to_owned(), self::kind)
            ),
            "object" => "table".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    if words.is_empty() {
        "any".to_owned()
    } else {
        words.join(" or ")
    }
}

fn code(text: &str) -> String {
    match text {
        "" | "required" => text.to_owned(),
        _ => format!("`{text}`"),
    }
}

/// Breaks text at spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
