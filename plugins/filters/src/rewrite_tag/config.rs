//! The parameters of `rewrite_tag`.

use schemars::JsonSchema;
use sdk::{
    config::{OneOrMany, Pattern},
    event::FieldPath,
};
use serde::Deserialize;

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The rules. The first one that matches gives the tag.
    #[serde(default)]
    pub rule: OneOrMany<Rule>,
    /// What becomes of an event that no rule matches. `drop` is what Fluentd does.
    #[serde(default)]
    pub unmatched: Unmatched,
    /// Write what an expression captured with a large first letter: `Mail` for `mail`.
    #[serde(default)]
    pub capitalize_regex_backreference: bool,
    /// Taken from the front of the tag, with the dot behind it, before it stands for `${tag}`.
    pub remove_tag_prefix: Option<String>,
    /// What matches is taken out of the tag before it stands for `${tag}`.
    pub remove_tag_regexp: Option<Pattern>,
    /// Not supported: no command is run here. `${hostname}` is the name of this host.
    pub hostname_command: Option<String>,
    /// Has no effect: events always go on in batches by tag, in their order.
    pub emit_mode: Option<EmitMode>,
}

/// A field, what it must look like, and the tag that follows from it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The field: a key, or a path such as `$.kubernetes.namespace_name`. One that is missing or empty matches only
    /// with `invert`.
    pub key: FieldPath,
    /// The regular expression, plain or as `/expression/i`. It matches anywhere unless it says `^` or `$`.
    pub pattern: Pattern,
    /// The new tag, with `${tag}`, `${tag_parts[N]}`, `${hostname}` (also as `__TAG__` and so on), and `$1` for what the
    /// expression captured.
    pub tag: String,
    /// Match when the expression does not.
    #[serde(default)]
    pub invert: bool,
    /// Not supported: an event stays in its label. Write a `relabel` match for the new tag.
    pub label: Option<String>,
}

/// What becomes of an event that no rule matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// It goes on with its old tag.
    #[default]
    Keep,
    /// It is taken out, and counted as filtered.
    Drop,
}

/// How Fluentd's plugin sends events on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmitMode {
    /// Together.
    Batch,
    /// One by one.
    Record,
}
