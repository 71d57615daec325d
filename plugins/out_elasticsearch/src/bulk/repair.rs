//! Documents that do not fit the mapping because of one field: the same with that field as text, or under another name.

use serde_json::{Map, Value};

use crate::{bulk::item_error::ItemError, config::policy::OnMappingConflict};

/// What the name of a field gets that had to make way.
const SUFFIX: &str = "_conflict";
/// What stands before the name of a field. Source: messages of `DocumentParserContext` and `FieldMapper`.
const BEFORE_FIELD: [&str; 3] = [
    "failed to parse field [",
    "tried to parse field [",
    "object mapping for [",
];

/// The lines of a document without its conflict; `None` when it cannot be helped.
pub(crate) fn repair(part: &[u8], error: &ItemError, how: OnMappingConflict) -> Option<Vec<u8>> {
    let field = field_of(&error.reason)?;
    let end = part.iter().position(|byte| *byte == b'\n')? + 1;
    let (action, document) = part.split_at_checked(end)?;
    let mut document: Map<String, Value> = serde_json::from_slice(document).ok()?;
    change(&mut document, field, how).then_some(())?;
    let mut lines = action.to_vec();
    serde_json::to_writer(&mut lines, &document).ok()?;
    lines.push(b'\n');
    Some(lines)
}

/// The field that an error is about.
fn field_of(reason: &str) -> Option<&str> {
    let behind = |text: &&str| reason.split_once(*text).map(|(_, rest)| rest);
    let rest = BEFORE_FIELD.iter().find_map(behind)?;
    rest.split_once(']').map(|(field, _)| field)
}

/// Changes the field with this path; its steps may be keys of tables, or keys with dots. `false` when it is not there.
fn change(table: &mut Map<String, Value>, path: &str, how: OnMappingConflict) -> bool {
    if let Some(value) = table.get_mut(path) {
        let text = match &value {
            Value::String(_) => value.take(),
            other => Value::String(other.to_string()),
        };
        match how {
            OnMappingConflict::Rename => {
                table.remove(path);
                table.insert(format!("{path}{SUFFIX}"), text);
            }
            OnMappingConflict::Stringify | OnMappingConflict::DeadLetter => *value = text,
        }
        return true;
    }
    let dots = path.match_indices('.').map(|(at, _)| at);
    dots.into_iter().any(|at| {
        let (Some(head), Some(rest)) = (path.get(..at), path.get(at + 1..)) else {
            return false;
        };
        match table.get_mut(head) {
            Some(Value::Object(inner)) => change(inner, rest, how),
            Some(Value::Array(items)) => {
                let inner = items.iter_mut().filter_map(Value::as_object_mut);
                // Each of them, not only the first.
                let changed = inner.filter_map(|inner| change(inner, rest, how).then_some(()));
                changed.count() > 0
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACTION: &str = "{\"create\":{\"_index\":\"a\",\"_id\":\"x\"}}\n";

    fn repaired(document: &Value, reason: &str, how: OnMappingConflict) -> Option<Value> {
        let error = ItemError {
            reason: reason.to_owned(),
            ..ItemError::default()
        };
        let lines = repair(format!("{ACTION}{document}\n").as_bytes(), &error, how)?;
        let text = String::from_utf8(lines).unwrap();
        let rest = text
            .strip_prefix(ACTION)
            .unwrap()
            .strip_suffix('\n')
            .unwrap();
        Some(serde_json::from_str(rest).unwrap())
    }

    #[test]
    fn the_field_of_the_message_becomes_text() {
        use OnMappingConflict::Stringify;
        let at = "[1:20] failed to parse field [a.b] of type [text] in document with id 'x'. Preview of field's value: '{c=1}'";
        let nested = json!({ "a": { "b": { "c": 1.0 } }, "n": 18_446_744_073_709_551_615_u64 });
        let expected = json!({ "a": { "b": "{\"c\":1.0}" }, "n": 18_446_744_073_709_551_615_u64 });
        assert_eq!(repaired(&nested, at, Stringify), Some(expected));
        let dotted = json!({ "a.b": [1, 2] });
        assert_eq!(
            repaired(&dotted, at, Stringify),
            Some(json!({ "a.b": "[1,2]" }))
        );
        let list = json!({ "a": [{ "b": 1 }, 2, { "b": {} }] });
        let expected = json!({ "a": [{ "b": "1" }, 2, { "b": "{}" }] });
        assert_eq!(repaired(&list, at, Stringify), Some(expected));
    }

    #[test]
    fn the_field_of_the_message_gets_another_name() {
        use OnMappingConflict::Rename;
        let at =
            "object mapping for [a] tried to parse field [a] as object, but found a concrete value";
        let said = repaired(&json!({ "a": "text", "b": 1 }), at, Rename);
        assert_eq!(said, Some(json!({ "a_conflict": "text", "b": 1 })));
    }

    #[test]
    fn what_names_no_field_that_is_there_is_left_alone() {
        use OnMappingConflict::Stringify;
        let document = json!({ "a": 1 });
        for reason in [
            "failed to parse",
            "failed to parse field [b] of type [long]",
            "failed to parse field [",
        ] {
            assert_eq!(repaired(&document, reason, Stringify), None, "{reason}");
        }
    }
}
