//! The keys of a component that are the engine's, not the plugin's. The doc comments are the manual.

use schemars::JsonSchema;
use sdk::config::OneOrMany;
use serde::{Deserialize, Serialize};

use super::{
    OnFailure,
    buffer::{BufferKeys, DeadLetterKeys},
    formats::{Id, Tags},
};

/// What every component has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ComponentKeys {
    /// The plugin. `weir plugins` lists them.
    pub(super) r#type: String,
    /// The name of the component in metrics, logs and directories. What keeps state on disk must have one.
    pub(super) id: Option<Id>,
}

/// What a table that chooses a parser or a formatter has.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "its values are read from the tree, with their places; this is their schema"
)]
pub(super) struct InnerKeys {
    /// The parser or formatter. `weir plugins` lists them.
    pub(super) r#type: Option<String>,
}

/// What a `[[source]]` has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct SourceKeys {
    /// The label that its records enter; without it, the top level.
    pub(super) label: Option<String>,
    /// What happens when it fails; without it, what `[service]` says.
    pub(super) failure: Option<OnFailure>,
}

/// What a `[[filter]]` with memory has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct StatefulKeys {
    /// What happens when it fails; without it, what `[service]` says.
    pub(super) failure: Option<OnFailure>,
}

/// What a `[[filter]]` and a `[[match]]` have.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "its values are read from the tree, with their places; this is their schema"
)]
pub(super) struct RuleKeys {
    /// Tag patterns, as a list or separated by spaces: `*` is one part, `**` any number of parts, `{a,b}` either.
    pub(super) tag: Option<OneOrMany<Tags>>,
    /// Tag patterns that are left out again.
    pub(super) except: Option<OneOrMany<Tags>>,
}

/// What a `[[match]]` or `[[match.store]]` with an output has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct OutputKeys {
    /// What happens when its background work fails; without it, what `[service]` says.
    pub(super) failure: Option<OnFailure>,
    /// How records wait.
    pub(super) buffer: BufferKeys,
    /// Where records go that the destination will never take.
    pub(super) dead_letter: DeadLetterKeys,
    /// Another output, with its `type` and its parameters: it gets what this one refuses as a whole, and what was tried
    /// for `retry_secondary_threshold` of the limit. What it does not take either goes to the dead letter.
    pub(super) secondary: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What a store may be forgiven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StorePolicy {
    /// The copy waits for it, or fails with it.
    #[default]
    Block,
    /// The others go on without it.
    Ignore,
}

/// What a `[[match.store]]` has besides.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct StoreKeys {
    /// When it cannot take the records: `block` fails the whole copy, so that the sender tries again; `ignore` goes on
    /// without it.
    pub(super) on_error: StorePolicy,
    /// When its buffer is full: `block` makes the whole copy wait, `ignore` goes on without it.
    pub(super) on_full: StorePolicy,
}

/// What a `[[match]]` with `type = "relabel"` has.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "its values are read from the tree, with their places; this is their schema"
)]
pub(super) struct RelabelKeys {
    /// The label to send to.
    pub(super) label: Option<String>,
}

/// What a `[[match]]` with `type = "copy"` has.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "its values are read from the tree, with their places; this is their schema"
)]
pub(super) struct CopyKeys {
    /// Where to send, each a table `[[match.store]]` like a match without `tag`.
    pub(super) store: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
}
