//! What the operator decides about refusals that could be judged either way.

use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors};
use serde::Deserialize;

use crate::config::{Config, OpType};

/// What becomes of records that the server does not let us write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnAuthError {
    /// They stay until the credentials are right.
    #[default]
    Retry,
    /// They go to the dead letter.
    DeadLetter,
}

/// What becomes of records whose own id is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// They count as delivered.
    #[default]
    Delivered,
    /// They go to the dead letter.
    DeadLetter,
}

/// What becomes of documents with a field that does not fit the mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMappingConflict {
    /// They go to the dead letter.
    #[default]
    DeadLetter,
    /// They are sent once more with that field as text: JSON, where it is a table or a list.
    Stringify,
    /// They are sent once more with that field as text, and with `_conflict` at the end of its name.
    Rename,
}

/// What the judge has to know besides the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) op_type: OpType,
    /// Whether sending a record again cannot add it twice.
    pub(crate) has_ids: bool,
    pub(crate) on_auth_error: OnAuthError,
    pub(crate) on_conflict: OnConflict,
    pub(crate) on_mapping_conflict: OnMappingConflict,
}

impl Config {
    /// Complains of a decision about what cannot happen.
    pub(crate) fn check_policy(&self, errors: &mut ConfigErrors) {
        let can_conflict =
            self.id_key.is_some() && self.op_type.or(self.write_operation) == Some(OpType::Create);
        if self.on_conflict == OnConflict::DeadLetter && !can_conflict {
            let message = "`on_conflict` is about ids from `id_key` with `op_type = \"create\"`";
            let help = "give both, or remove `on_conflict`";
            errors.push(ConfigError::at("/on_conflict", message).help(help));
        }
        let changes = self.op_type.or(self.write_operation);
        let changes = changes.is_some_and(OpType::needs_id);
        if self.on_mapping_conflict != OnMappingConflict::DeadLetter && changes {
            let message =
                "`on_mapping_conflict` is about documents that are added, and here are none";
            let help = "remove it, or set op_type = \"create\" or \"index\"";
            errors.push(ConfigError::at("/on_mapping_conflict", message).help(help));
        }
    }
}
