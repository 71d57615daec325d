//! Values against schemas: kinds, limits, formats.

use serde_json::{Number, Value};

use super::{Code, Content, Diagnostic, Layers, Node, Schema, Validator, choice::one_of, kind_of};
use crate::config::formats;

impl<'s> Validator<'s, '_> {
    /// Checks the value of `name`.
    pub(super) fn value(&mut self, node: &mut Node, schema: Schema<'s>, name: &str) {
        if node.is_bad {
            return;
        }
        for part in schema.parts() {
            self.value(node, part, name);
        }
        if schema.choices().is_some() || !schema.branches().is_empty() {
            return self.choice(node, schema, name);
        }
        adapt(node, schema);
        if !fits(node, schema) {
            return self.wrong_type(node, schema, name);
        }
        match &mut node.content {
            Content::Table(_) => {
                if let Some(kind) = kind_of(schema) {
                    return self.inner(node, kind, name);
                }
                let layers = Layers::new(vec![schema]);
                self.table(node, &layers, &format!("`{name}`"));
            }
            Content::Array(items) => {
                if let Some(schema) = schema.items() {
                    for item in items.iter_mut() {
                        self.value(item, schema, name);
                    }
                }
                let (count, least) = (items.len(), limit(schema, "minItems"));
                if least.is_some_and(|least| least > as_float(count)) {
                    let message = format!("`{name}` is empty");
                    let help = format!("write at least {}", plural(least.unwrap_or(1.0), "value"));
                    self.push(node, Code::OutOfRange, message, help);
                }
            }
            Content::Scalar(Value::Number(number)) => {
                let number = number.clone();
                self.number(node, schema, &number, name);
                self.format(node, schema, &number.to_string(), name);
            }
            Content::Scalar(Value::String(text)) => {
                let text = text.clone();
                self.length(node, schema, &text, name);
                self.format(node, schema, &text, name);
            }
            Content::Scalar(_) => {}
        }
    }

    /// Reports a value of the wrong kind.
    pub(super) fn wrong_type(&mut self, node: &Node, schema: Schema<'_>, name: &str) {
        let expected = describe(schema);
        if node.is_filled_in {
            let message = format!("`{name}` must be {expected}, and what was filled in is none");
            let help = "look at what the variable holds".to_owned();
            return self.push(node, Code::WrongType, message, help);
        }
        let message = format!("`{name}` is {}; it must be {expected}", node.kind());
        self.push(
            node,
            Code::WrongType,
            message,
            rewritten(node, schema, name),
        );
    }

    pub(super) fn push(&mut self, node: &Node, code: Code, message: String, help: String) {
        let finding = Diagnostic::new(code, node.span.clone(), message);
        self.findings.push(finding.help(help));
    }

    fn number(&mut self, node: &Node, schema: Schema<'_>, number: &Number, name: &str) {
        let value = number.as_f64().unwrap_or_default();
        let (least, most) = (limit(schema, "minimum"), limit(schema, "maximum"));
        let most = most.or_else(|| widest(schema.text("format")?));
        let above = limit(schema, "exclusiveMinimum");
        let help = match (least, most, above) {
            (_, _, Some(above)) if value <= above => format!("write more than {above}"),
            (Some(least), Some(most), _) if value < least || value > most => {
                format!("write a number from {least} to {most}")
            }
            (Some(least), None, _) if value < least => format!("write at least {least}"),
            (None, Some(most), _) if value > most => format!("write at most {most}"),
            _ => return,
        };
        let message = format!("`{name}` is {number}, which is out of range");
        self.push(node, Code::OutOfRange, message, help);
    }

    fn length(&mut self, node: &Node, schema: Schema<'_>, text: &str, name: &str) {
        let length = as_float(text.chars().count());
        if limit(schema, "minLength").is_some_and(|least| length < least) {
            let message = format!("`{name}` is too short, or empty");
            let least = limit(schema, "minLength").unwrap_or(1.0);
            let help = format!("write at least {}", plural(least, "character"));
            self.push(node, Code::OutOfRange, message, help);
        }
        if let Some(most) = limit(schema, "maxLength").filter(|most| length > *most) {
            let message = format!("`{name}` is too long");
            let help = format!("write at most {}", plural(most, "character"));
            self.push(node, Code::OutOfRange, message, help);
        }
    }

    fn format(&mut self, node: &Node, schema: Schema<'_>, text: &str, name: &str) {
        let Some(format) = schema.text("format") else {
            return;
        };
        let Some(Err(reason)) = formats::check(format, text) else {
            return;
        };
        // Messages of the formats end in what to write instead.
        let (reason, help) = if let Some((reason, help)) = reason.split_once("; ") {
            (reason.to_owned(), help.to_owned())
        } else {
            (reason, formats::remedy(format))
        };
        let code = if format == "weir-tags" {
            Code::BadPattern
        } else {
            Code::BadValue
        };
        self.push(node, code, format!("`{name}`: {reason}"), help);
    }
}

/// Changes a value to the kind that is wanted, where that loses nothing: text out of variables, and `24224.0`,
/// which Helm makes of numbers.
fn adapt(node: &mut Node, schema: Schema<'_>) {
    let types = schema.types();
    let wants = |kind: &str| types.contains(&kind);
    let Content::Scalar(value) = &mut node.content else {
        return;
    };
    let adapted = match &*value {
        Value::String(text) if node.is_filled_in && !wants("string") => {
            let text = text.trim();
            let integer = text
                .parse::<i64>()
                .ok()
                .filter(|_| wants("integer") || wants("number"));
            let float = text.parse::<f64>().ok().filter(|_| wants("number"));
            let truth = text.parse::<bool>().ok().filter(|_| wants("boolean"));
            integer
                .map(Value::from)
                .or_else(|| float.map(Value::from))
                .or_else(|| truth.map(Value::from))
        }
        Value::Number(number) if number.is_f64() && wants("integer") && !wants("number") => {
            // Exact up to 2^53, and written out in full.
            let text = format!("{:.1}", number.as_f64().unwrap_or_default());
            text.strip_suffix(".0")
                .filter(|_| number.as_f64().is_some_and(|float| float.fract() == 0.0))
                .and_then(|whole| whole.parse::<i64>().ok())
                .map(Value::from)
        }
        _ => None,
    };
    if let Some(adapted) = adapted {
        *value = adapted;
    }
}

/// Whether the kind of a value is one that the schema takes.
pub(super) fn fits(node: &Node, schema: Schema<'_>) -> bool {
    let branches = schema.branches();
    if !branches.is_empty() {
        return branches.into_iter().any(|branch| fits(node, branch));
    }
    let types = schema.types();
    let kinds: &[&str] = match &node.content {
        Content::Table(_) => &["object"],
        Content::Array(_) => &["array"],
        Content::Scalar(Value::String(_)) => &["string"],
        Content::Scalar(Value::Bool(_)) => &["boolean"],
        Content::Scalar(Value::Number(number)) if number.is_f64() => &["number"],
        Content::Scalar(_) => &["integer", "number"],
    };
    types.is_empty() || kinds.iter().any(|kind| types.contains(kind))
}

/// What a schema takes, in words.
pub(super) fn describe(schema: Schema<'_>) -> String {
    if let Some(words) = schema.text("format").and_then(formats::describe) {
        return words.to_owned();
    }
    if let Some(choices) = schema.choices() {
        let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
        return one_of(&choices);
    }
    let branches = schema.branches();
    if !branches.is_empty() {
        let mut words: Vec<String> = branches.into_iter().map(describe).collect();
        words.dedup();
        return words.join(" or ");
    }
    let words: Vec<String> = schema
        .types()
        .into_iter()
        .filter(|kind| *kind != "null")
        .map(|kind| match (kind, schema.items()) {
            ("array", Some(items)) => format!("an array, each value {}", describe(items)),
            ("array", None) => "an array".to_owned(),
            ("object", _) => "a table".to_owned(),
            ("integer", _) => "an integer".to_owned(),
            ("number", _) => "a number".to_owned(),
            ("boolean", _) => "true or false".to_owned(),
            _ => "a string".to_owned(),
        })
        .collect();
    words.join(" or ")
}

/// What a value could look like, for `add key = ...`.
pub(super) fn example(schema: Schema<'_>) -> String {
    if let Some(first) = schema
        .choices()
        .and_then(|choices| choices.first().copied())
    {
        return first.to_string();
    }
    let schema = schema.branches().first().copied().unwrap_or(schema);
    match schema.types().first().copied() {
        Some("array") => "[...]",
        Some("object") => "{ ... }",
        Some("integer" | "number") => "1",
        Some("boolean") => "true",
        _ => "\"...\"",
    }
    .to_owned()
}

/// How a value of the wrong kind is probably meant.
fn rewritten(node: &Node, schema: Schema<'_>, name: &str) -> String {
    let takes = |kind: &str| schema.types().contains(&kind);
    match &node.content {
        Content::Table(_) if takes("array") => {
            format!("a table that may stand several times has two brackets: [[{name}]]")
        }
        Content::Array(items) if takes("object") => {
            let is_tables = matches!(
                items.first().map(|item| &item.content),
                Some(Content::Table(_))
            );
            if is_tables {
                return format!("this table stands once, in single brackets: [{name}]");
            }
            format!("write {name} = {{ key = value }}, or a table of its own")
        }
        Content::Scalar(Value::String(text))
            if takes("object")
                && (schema.property("type").is_some() || kind_of(schema).is_some()) =>
        {
            format!("write {name} = {{ type = {text:?} }}, or a table of its own")
        }
        Content::Scalar(value)
            if takes("array") && schema.items().is_some_and(|items| fits(node, items)) =>
        {
            format!("write it in brackets: {name} = [{value}]")
        }
        Content::Scalar(Value::String(text)) if is_plain(text) && !takes("string") => {
            format!("write it without quotes: {name} = {text}")
        }
        Content::Scalar(Value::Number(port)) if schema.text("format") == Some("weir-listen") => {
            format!("write the address too: {name} = \"0.0.0.0:{port}\"")
        }
        Content::Scalar(Value::Number(number)) if takes("string") => {
            format!("write it in quotes: {name} = \"{number}\"")
        }
        _ => format!("write {}", describe(schema)),
    }
}

/// Whether text in quotes looks like a number or truth.
fn is_plain(text: &str) -> bool {
    text.parse::<i64>().is_ok() || text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok()
}

fn limit(schema: Schema<'_>, keyword: &str) -> Option<f64> {
    schema.keyword(keyword)?.as_f64()
}

/// The largest number of a format of Rust's, where the schema does not say it.
fn widest(format: &str) -> Option<f64> {
    match format {
        "uint32" => Some(f64::from(u32::MAX)),
        "int32" => Some(f64::from(i32::MAX)),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "lengths of what people write are small"
)]
fn as_float(count: usize) -> f64 {
    count as f64
}

fn plural(count: f64, word: &str) -> String {
    if (count - 1.0).abs() < f64::EPSILON {
        format!("one {word}")
    } else {
        format!("{count} {word}s")
    }
}
