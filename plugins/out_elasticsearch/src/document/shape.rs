//! From a record to the record that a document is made of: without fields, made flat, without dots in names.

use sdk::{
    config::{ConfigError, ConfigErrors},
    event::FieldPath,
    json::Unwritable,
    msgpack::{Malformed, RawValue},
};

use crate::{
    config::{Config, Dots},
    document::{cuts::Cuts, flat::flatten, refusal::Refusal, undot::undot},
};

/// What is done to a record before it is written.
#[derive(Debug)]
pub(crate) struct Shape {
    cuts: Cuts,
    /// What stands between the names of a record that is made flat.
    separator: Option<String>,
    dots: Dots,
}

impl Config {
    /// What is done to records before they are written; `None`: nothing.
    pub(crate) fn shape(
        &self,
        target_index: Option<&FieldPath>,
        errors: &mut ConfigErrors,
    ) -> Option<Shape> {
        let mut cuts = Cuts::of_texts("/remove_keys", &self.remove_keys.0, errors);
        let also = [target_index, self.remove_keys_on_update_key.as_ref()];
        for path in also.into_iter().flatten() {
            cuts.add(path);
        }
        let separator = &self.flatten_hashes_separator;
        if self.flatten_hashes && self.dots == Dots::Underscore && separator.contains('.') {
            let message = "`dots` would replace the dot that `flatten_hashes_separator` writes";
            errors.push(
                ConfigError::at("/flatten_hashes_separator", message).help("remove one of the two"),
            );
        }
        let does_something = !cuts.is_empty() || self.flatten_hashes || self.dots != Dots::Keep;
        does_something.then(|| Shape {
            cuts,
            separator: self.flatten_hashes.then(|| separator.clone()),
            dots: self.dots,
        })
    }
}

impl Shape {
    /// Whether the field of this name is never in a document.
    pub(crate) fn leaves_out(&self, name: &str) -> bool {
        self.cuts.has(name.as_bytes())
    }

    /// Writes the record that the document is made of, as MessagePack.
    ///
    /// # Errors
    /// It is no record, or too large when it is made flat.
    pub(crate) fn apply(&self, record: RawValue<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if !self.cuts.copy(record, &[], out) {
            return Err(Unwritable::Malformed(Malformed::UnexpectedType).into());
        }
        if let Some(separator) = &self.separator {
            let mut flat = Vec::with_capacity(out.len() * 2);
            flatten(RawValue::parse(out)?, separator, &self.cuts, &mut flat)?;
            *out = flat;
        }
        if self.dots == Dots::Underscore {
            let mut undotted = Vec::with_capacity(out.len());
            undot(RawValue::parse(out)?, &mut undotted);
            *out = undotted;
        }
        Ok(())
    }
}
