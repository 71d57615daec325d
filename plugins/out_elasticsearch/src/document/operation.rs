//! What a request does with each record, and what stands around it.

use sdk::config::{ConfigError, ConfigErrors};

use crate::{
    config::{Config, OpType},
    document::{Patch, cuts::Cuts},
};

/// How often the server tries an update again by default.
const CONFLICTS: u32 = 3;

/// What becomes of each record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) op_type: OpType,
    pub(crate) retry_on_conflict: Option<u32>,
    /// Whether a record that names no id is refused.
    pub(crate) needs_id: bool,
    /// Whether the record stands in the `doc` of an update.
    pub(crate) has_doc: bool,
    /// Whether the index stands in the address of requests, and not in their lines.
    pub(crate) index_in_url: bool,
}

impl Config {
    /// What becomes of each record.
    pub(crate) fn operation(&self, errors: &mut ConfigErrors) -> Operation {
        let given = self.op_type.or(self.write_operation);
        let by_default = if self.id_key.is_some() {
            OpType::Index
        } else {
            OpType::Create
        };
        let op_type = given.unwrap_or(by_default);
        if self.id_key.is_none() {
            self.check_ids(op_type, errors);
        }
        if !op_type.is_update() {
            self.check_updates(errors);
        }
        if self.suppress_doc_wrap && self.include_tag_key {
            let message =
                "with `suppress_doc_wrap` there is no document that the tag could be added to";
            errors.push(
                ConfigError::at("/include_tag_key", message)
                    .help("remove it, and add the tag with a filter where it belongs"),
            );
        }
        let times = self.retry_on_conflict.unwrap_or(CONFLICTS);
        Operation {
            op_type,
            retry_on_conflict: op_type.is_update().then_some(times),
            needs_id: op_type.needs_id() || self.emit_error_for_missing_id,
            has_doc: op_type.is_update() && !self.suppress_doc_wrap,
            index_in_url: self.include_index_in_url,
        }
    }

    fn check_ids(&self, op_type: OpType, errors: &mut ConfigErrors) {
        if op_type.needs_id() {
            let place = if self.op_type.is_some() {
                "/op_type"
            } else {
                "/write_operation"
            };
            errors.push(
                ConfigError::at(place, "nothing says which document a record is about")
                    .help("add `id_key` with the field that holds the id"),
            );
        }
        if self.emit_error_for_missing_id {
            errors.push(
                ConfigError::at(
                    "/emit_error_for_missing_id",
                    "without `id_key` no id can be missing",
                )
                .help("add `id_key`, or remove this"),
            );
        }
    }

    fn check_updates(&self, errors: &mut ConfigErrors) {
        let given = [
            ("retry_on_conflict", self.retry_on_conflict.is_some()),
            ("suppress_doc_wrap", self.suppress_doc_wrap),
            (
                "remove_keys_on_update",
                !self.remove_keys_on_update.0.is_empty(),
            ),
            (
                "remove_keys_on_update_key",
                self.remove_keys_on_update_key.is_some(),
            ),
        ];
        for (name, _) in given.iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`{name}` is about updates, and there are none");
            errors.push(
                ConfigError::at(format!("/{name}"), message)
                    .help("add op_type = \"update\" or \"upsert\", or remove this"),
            );
        }
    }

    /// What updates leave alone; `None`: nothing.
    pub(crate) fn patch(&self, errors: &mut ConfigErrors) -> Option<Patch> {
        let texts = &self.remove_keys_on_update.0;
        let cuts = Cuts::of_texts("/remove_keys_on_update", texts, errors);
        let names = self.remove_keys_on_update_key.clone();
        (!cuts.is_empty() || names.is_some()).then_some(Patch { cuts, names })
    }
}
