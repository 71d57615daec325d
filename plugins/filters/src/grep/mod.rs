//! Filter `grep`: keeps or drops events by regular expressions on their fields.

mod condition;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany, Pattern},
    event::{Edit, FieldPath, Fields},
    filter::Filter,
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use condition::Condition;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "grep",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Keeps or drops events by regular expressions on their fields",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// An event is kept only when all of these match.
    #[serde(default)]
    pub regexp: OneOrMany<Rule>,
    /// An event is dropped when any of these matches.
    #[serde(default)]
    pub exclude: OneOrMany<Rule>,
    /// Groups of `regexp` or of `exclude`: an event is kept only when all `regexp` of the groups match, and dropped
    /// when all `exclude` of the groups match.
    #[serde(default)]
    pub and: OneOrMany<Group>,
    /// Groups of `regexp` or of `exclude`: an event is kept only when any `regexp` of the groups matches, and dropped
    /// when any `exclude` of the groups matches.
    #[serde(default)]
    pub or: OneOrMany<Group>,
}

/// A field and what it must look like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The field: a key, or a path such as `$.kubernetes.pod_name` or `$['a.b'][0]`. One that is missing counts as
    /// the empty text.
    pub key: FieldPath,
    /// The regular expression, plain or as `/expression/i`. It matches anywhere unless it says `^` or `$`.
    pub pattern: Pattern,
}

/// Conditions that belong together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What must match.
    #[serde(default)]
    pub regexp: OneOrMany<Rule>,
    /// What must not match.
    #[serde(default)]
    pub exclude: OneOrMany<Rule>,
}

/// The conditions as Fluentd pools them: all groups of one kind together, with the top level.
#[derive(Debug, Default)]
struct Grep {
    keep_if_all: Vec<Condition>,
    keep_if_any: Vec<Condition>,
    drop_if_all: Vec<Condition>,
    drop_if_any: Vec<Condition>,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    check_groups("and", &config.and.0, &mut errors);
    check_groups("or", &config.or.0, &mut errors);
    let mut grep = Grep::default();
    add(&mut grep.keep_if_all, config.regexp);
    add(&mut grep.drop_if_any, config.exclude);
    for group in config.and.0 {
        add(&mut grep.keep_if_all, group.regexp);
        add(&mut grep.drop_if_all, group.exclude);
    }
    for group in config.or.0 {
        add(&mut grep.keep_if_any, group.regexp);
        add(&mut grep.drop_if_any, group.exclude);
    }
    if errors.is_empty() && grep.is_empty() {
        let error = ConfigError::at("", "grep has no condition, so it keeps every event");
        let help = "write `regexp` or `exclude`, as in regexp = [{ key = \"level\", pattern = \"error\" }]";
        errors.push(error.help(help));
    }
    if errors.is_empty() {
        Ok(Arc::new(grep))
    } else {
        Err(errors)
    }
}

fn add(conditions: &mut Vec<Condition>, rules: OneOrMany<Rule>) {
    let new = rules
        .0
        .into_iter()
        .map(|Rule { key, pattern }| Condition::new(key, pattern));
    conditions.extend(new);
}

fn check_groups(kind: &str, groups: &[Group], errors: &mut ConfigErrors) {
    for (index, group) in groups.iter().enumerate() {
        let path = format!("/{kind}/{index}");
        match (group.regexp.0.is_empty(), group.exclude.0.is_empty()) {
            (false, false) => {
                let message = format!("a group of `{kind}` has both `regexp` and `exclude`");
                errors.push(ConfigError::at(path, message).help("make two groups of it"));
            }
            (true, true) => {
                let message = format!("a group of `{kind}` is empty");
                errors
                    .push(ConfigError::at(path, message).help("write `regexp` or `exclude` in it"));
            }
            _ => {}
        }
    }
}

impl Grep {
    fn is_empty(&self) -> bool {
        let lists = [
            &self.keep_if_all,
            &self.keep_if_any,
            &self.drop_if_all,
            &self.drop_if_any,
        ];
        lists.into_iter().all(Vec::is_empty)
    }

    /// Whether the event stays. The order is that of Fluentd.
    fn keeps(&self, fields: &Fields<'_>) -> bool {
        let matches = |condition: &Condition| condition.matches(fields);
        self.keep_if_all.iter().all(matches)
            && (self.keep_if_any.is_empty() || self.keep_if_any.iter().any(matches))
            && (self.drop_if_all.is_empty() || !self.drop_if_all.iter().all(matches))
            && !self.drop_if_any.iter().any(matches)
    }
}

impl Filter for Grep {
    fn filter(&self, edit: &mut Edit<'_>) {
        if !self.keeps(edit.fields()) {
            edit.drop_event();
        }
    }
}
