//! The table of values in the README of the chart: meanings from the schema, defaults from the values.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

/// What the table stands between.
const MARKERS: [&str; 2] = ["<!-- values -->", "<!-- /values -->"];
/// Characters of a default; a longer one is in the file.
const SHOWN_CHARS: usize = 60;
const IN_THE_FILE: &str = "see `values.yaml`";

/// The table. An error when schema and values do not name the same, or a value has no meaning.
pub(super) fn of(schema: &Value, defaults: &Value) -> Result<String> {
    let mut rows = vec![
        "| Value | Default | Meaning |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ];
    add(schema, defaults, "", &mut rows)?;
    Ok(rows.join("\n"))
}

fn add(schema: &Value, defaults: &Value, path: &str, rows: &mut Vec<String>) -> Result<()> {
    let empty = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let defaults = defaults.as_object().unwrap_or(&empty);
    if let Some(name) = defaults.keys().find(|name| !properties.contains_key(*name)) {
        bail!("values.schema.json does not know `{path}{name}`");
    }
    for (name, property) in properties {
        let path = format!("{path}{name}");
        // What the schema allows and the values do not name, such as `global`, is not for the table.
        let Some(default) = defaults.get(name) else {
            continue;
        };
        if property.get("properties").is_some() {
            add(property, default, &format!("{path}."), rows)?;
            continue;
        }
        let meaning = property.get("description").and_then(Value::as_str);
        let meaning = meaning.or_else(|| schema.get("description").and_then(Value::as_str));
        let meaning = meaning.with_context(|| format!("`{path}` has no description"))?;
        rows.push(format!("| `{path}` | {} | {meaning} |", shown(default)));
    }
    Ok(())
}

fn shown(default: &Value) -> String {
    let text = default.to_string();
    if text.chars().count() > SHOWN_CHARS || text.contains("\\n") {
        IN_THE_FILE.to_owned()
    } else {
        format!("`{text}`")
    }
}

/// The README with this table between its markers.
pub(super) fn filled(readme: &str, table: &str) -> Result<String> {
    let [open, close] = MARKERS;
    let parts = readme.split_once(open).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(close)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| format!("the README has no {open} and {close}"))?;
    Ok(format!("{before}{open}\n\n{table}\n\n{close}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({ "properties": {
            "global": {},
            "image": { "description": "The image.", "properties": { "tag": { "description": "Which one." } } },
            "list": { "type": "array", "description": "Some." },
        } })
    }

    #[test]
    fn each_value_has_a_row() {
        let defaults = json!({ "image": { "tag": "" }, "list": ["a\nb"] });
        let expected = "| Value | Default | Meaning |\n| --- | --- | --- |\n\
            | `image.tag` | `\"\"` | Which one. |\n| `list` | see `values.yaml` | Some. |";
        assert_eq!(of(&schema(), &defaults).unwrap(), expected);
    }

    #[test]
    fn a_value_without_schema_is_found() {
        let error = of(&schema(), &json!({ "image": { "tga": "" } })).unwrap_err();
        assert_eq!(
            error.to_string(),
            "values.schema.json does not know `image.tga`"
        );
    }

    #[test]
    fn the_table_stands_between_the_markers() {
        let readme = "a\n<!-- values -->\nold\n<!-- /values -->\nb\n";
        let expected = "a\n<!-- values -->\n\nnew\n\n<!-- /values -->\nb\n";
        assert_eq!(filled(readme, "new").unwrap(), expected);
        assert!(filled("a", "new").is_err());
    }
}
