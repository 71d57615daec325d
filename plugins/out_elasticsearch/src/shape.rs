//! From a record to the record that a document is made of.

use sdk::{
    config::ConfigErrors,
    json::Unwritable,
    msgpack::{Malformed, RawValue},
};

use crate::{config::Config, cuts::Cuts};

/// What is done to a record before it is written.
#[derive(Debug)]
pub(crate) struct Shape {
    cuts: Cuts,
}

impl Config {
    /// What is done to records before they are written; `None`: nothing.
    pub(crate) fn shape(&self, errors: &mut ConfigErrors) -> Option<Shape> {
        let mut cuts = Cuts::default();
        if let Some(path) = &self.remove_keys_on_update_key {
            cuts.add(path);
        }
        let _ = errors;
        let does_something = !cuts.is_empty();
        does_something.then_some(Shape { cuts })
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
    /// It is no record.
    pub(crate) fn apply(&self, record: RawValue<'_>, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        if self.cuts.copy(record, &[], out) {
            Ok(())
        } else {
            Err(Malformed::UnexpectedType.into())
        }
    }
}
