//! Every flag of the chart, turned by itself.

use serde_json::{Value, json};

/// A name and a text for `--set-json` for each flag of the values that the given ones leave alone.
pub(super) fn turned(defaults: &Value, given: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(defaults, given, &mut Vec::new(), &mut found);
    found
}

fn collect(
    defaults: &Value,
    given: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<(String, String)>,
) {
    match defaults {
        Value::Object(entries) => {
            for (name, value) in entries {
                // Security contexts are objects of Kubernetes with flags of their own.
                if name.ends_with("ecurityContext") {
                    continue;
                }
                path.push(name.clone());
                collect(value, given.get(name).unwrap_or(&Value::Null), path, found);
                path.pop();
            }
        }
        Value::Bool(is_on) if given.is_null() => {
            let name = format!("flag-{}", path.join("-"));
            found.push((name, format!("{}={}", path.join("."), json!(!is_on))));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_is_turned_once() {
        let defaults = json!({
            "a": { "enabled": true, "text": "" },
            "b": false,
            "c": { "enabled": false },
            "securityContext": { "privileged": false },
        });
        let given = json!({ "c": { "enabled": true }, "a": {} });
        let found = turned(&defaults, &given);
        let expected = [
            ("flag-a-enabled".to_owned(), "a.enabled=false".to_owned()),
            ("flag-b".to_owned(), "b=true".to_owned()),
        ];
        assert_eq!(found, expected);
    }
}
