//! A naive model of Fluentd's `record_transformer` on decoded values, for the property test.

use serde_json::{Map, Value};

/// What Fluentd makes of `record`: its `reform` and then the deletion of keys.
pub(super) fn reform(params: &Value, tag: &str, record: &Map<String, Value>) -> Map<String, Value> {
    let flag = |name: &str, default: bool| params[name].as_bool().unwrap_or(default);
    let names = |name: &str| -> Vec<String> {
        let list = params[name].as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|item| item.as_str().unwrap().to_owned())
            .collect()
    };
    let typed = flag("auto_typecast", true);
    let mut new = Map::new();
    if flag("renew_record", false) {
        for key in names("keep_keys") {
            if let Some(value) = record.get(&key) {
                new.insert(key, value.clone());
            }
        }
    } else {
        new = record.clone();
    }
    for (key, value) in params["record"].as_object().unwrap() {
        let value = expand(value, tag, record, typed);
        new.insert(fill(key, tag, record), value);
    }
    for key in names("remove_keys") {
        new.shift_remove(&key);
    }
    new
}

fn expand(value: &Value, tag: &str, record: &Map<String, Value>, typed: bool) -> Value {
    match value {
        Value::String(text) => match sole_key(text).filter(|_| typed) {
            Some(key) => record.get(key).cloned().unwrap_or_default(),
            None => fill(text, tag, record).into(),
        },
        Value::Array(items) => items
            .iter()
            .map(|item| expand(item, tag, record, typed))
            .collect(),
        Value::Object(pairs) => pairs
            .iter()
            .map(|(key, value)| (fill(key, tag, record), expand(value, tag, record, typed)))
            .collect(),
        other => other.clone(),
    }
}

/// The key, when the text is one placeholder of a field.
fn sole_key(text: &str) -> Option<&str> {
    text.strip_prefix("${record.")?
        .strip_suffix('}')
        .filter(|key| !key.contains('}'))
}

fn fill(text: &str, tag: &str, record: &Map<String, Value>) -> String {
    let mut text = text.replace("${tag}", tag);
    for key in ["a", "b", "c", "d"] {
        let value = match record.get(key) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        text = text.replace(&format!("${{record.{key}}}"), &value);
    }
    text
}
