//! Policies for the life of indexes: ILM of Elasticsearch, ISM of OpenSearch.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::step::Step;
use crate::http::uri;

/// When an index is followed by the next one, unless a policy says otherwise.
const MAX_SIZE: &str = "50gb";
const MAX_AGE: &str = "30d";
/// Priority of a policy that OpenSearch chooses by the name of an index.
const ISM_PRIORITY: u64 = 100;

/// What an operator wants of the life of indexes.
#[derive(Debug, Clone)]
pub(crate) struct Lifecycle {
    /// The name of the policy of the indexes; `None`: the name of the target with `_policy` at its end.
    pub(crate) id: Option<String>,
    /// `None`: the one that is built in.
    pub(crate) policy: Option<Map<String, Value>>,
    /// More policies by name, which other templates refer to.
    pub(crate) others: BTreeMap<String, Map<String, Value>>,
    pub(crate) overwrites: bool,
    /// Whether the operator asked for it, or it is only what a data stream has by default where it can be had.
    pub(crate) is_asked_for: bool,
}

impl Lifecycle {
    /// The name of the policy of a target.
    pub(crate) fn id(&self, target: &str) -> String {
        let id = self.id.clone();
        id.unwrap_or_else(|| format!("{target}_policy"))
    }

    /// The steps that put the policies there, for indexes with names as in `pattern`.
    pub(crate) fn steps(&self, target: &str, pattern: &str, is_opensearch: bool) -> Vec<Step> {
        let own = match &self.policy {
            Some(policy) => Value::Object(policy.clone()),
            None if is_opensearch => ism(pattern),
            None => ilm(),
        };
        let others = self.others.iter();
        let others = others.map(|(id, policy)| (id.clone(), Value::Object(policy.clone())));
        std::iter::once((self.id(target), own))
            .chain(others)
            .map(|(id, policy)| self.step(&id, policy, is_opensearch))
            .collect()
    }

    fn step(&self, id: &str, policy: Value, is_opensearch: bool) -> Step {
        let (place, name) = if is_opensearch {
            ("_plugins/_ism/policies", "ISM")
        } else {
            ("_ilm/policy", "ILM")
        };
        let body = if policy.get("policy").is_some() {
            policy
        } else {
            json!({ "policy": policy })
        };
        let at = format!("/{place}/{}", uri::part(id));
        let mut step = Step::new(format!("the {name} policy {id:?}"), at, body);
        step.overwrites = self.overwrites;
        step.is_optional = !self.is_asked_for;
        step
    }

    /// What a template says of the life of its indexes, which documents reach by `alias`.
    pub(crate) fn settings(
        &self,
        target: &str,
        alias: Option<&str>,
        is_opensearch: bool,
    ) -> Map<String, Value> {
        let prefix = if is_opensearch {
            "plugins.index_state_management"
        } else {
            "index.lifecycle"
        };
        let mut settings = Map::new();
        // OpenSearch chooses the policy by the name of the index.
        if !is_opensearch {
            settings.insert(format!("{prefix}.name"), self.id(target).into());
        }
        if let Some(alias) = alias {
            settings.insert(format!("{prefix}.rollover_alias"), alias.into());
        }
        settings
    }
}

/// Source: "Index lifecycle actions: rollover" in the reference of Elasticsearch.
fn ilm() -> Value {
    let rollover = json!({ "max_size": MAX_SIZE, "max_age": MAX_AGE });
    json!({ "phases": { "hot": { "actions": { "rollover": rollover } } } })
}

/// Source: "Index State Management: policies" in the manual of OpenSearch.
fn ism(pattern: &str) -> Value {
    let rollover = json!({ "min_size": MAX_SIZE, "min_index_age": MAX_AGE });
    json!({
        "description": "indexes follow each other by size and age",
        "default_state": "hot",
        "states": [{ "name": "hot", "actions": [{ "rollover": rollover }], "transitions": [] }],
        "ism_template": [{ "index_patterns": [pattern], "priority": ISM_PRIORITY }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle() -> Lifecycle {
        Lifecycle {
            id: None,
            policy: None,
            others: BTreeMap::new(),
            overwrites: false,
            is_asked_for: true,
        }
    }

    #[test]
    fn each_server_has_its_own_policy() {
        let steps = cycle().steps("a", "a-*", false);
        assert_eq!(steps[0].at, "/_ilm/policy/a_policy");
        assert!(steps[0].body["policy"]["phases"]["hot"].is_object());
        let steps = cycle().steps("a", "a-*", true);
        assert_eq!(steps[0].at, "/_plugins/_ism/policies/a_policy");
        let names = &steps[0].body["policy"]["ism_template"][0]["index_patterns"];
        assert_eq!(names, &json!(["a-*"]));
    }

    #[test]
    fn given_policies_are_sent_as_they_are() {
        let policy = json!({ "policy": { "phases": {} } });
        let other = json!({ "phases": { "delete": {} } });
        let map = |value: &Value| value.as_object().cloned().unwrap();
        let cycle = Lifecycle {
            id: Some("own".into()),
            policy: Some(map(&policy)),
            others: BTreeMap::from([("other".into(), map(&other))]),
            overwrites: true,
            is_asked_for: true,
        };
        let steps = cycle.steps("a", "a-*", false);
        assert_eq!(steps.len(), 2);
        assert_eq!(
            (steps[0].at.as_str(), &steps[0].body),
            ("/_ilm/policy/own", &policy)
        );
        assert_eq!(steps[1].body, json!({ "policy": other }));
        assert!(steps.iter().all(|step| step.overwrites));
    }

    #[test]
    fn settings_name_policy_and_alias() {
        let expected =
            json!({ "index.lifecycle.name": "a_policy", "index.lifecycle.rollover_alias": "a" });
        let said = cycle().settings("a", Some("a"), false);
        assert_eq!(Value::Object(said), expected);
        let expected = json!({ "plugins.index_state_management.rollover_alias": "a" });
        assert_eq!(
            Value::Object(cycle().settings("a", Some("a"), true)),
            expected
        );
    }
}
