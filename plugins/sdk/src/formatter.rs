//! Formatters: one event in, its bytes out. Outputs name one in a `format` table.

use crate::event::{RawEvent, Tag};

/// Writes events as text or bytes. Shared by all that name it, so it holds no state and does no I/O.
pub trait Formatter: Send + Sync {
    /// Appends one event, with its line feed where the format has lines.
    ///
    /// # Errors
    /// [`FormatError`]; what was appended is then to be thrown away.
    fn format(&self, tag: &Tag, event: &RawEvent<'_>, out: &mut Vec<u8>)
    -> Result<(), FormatError>;
}

/// Why an event could not be written. Says what is wrong, never what the record holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

impl FormatError {
    /// A reason in a lower-case fragment.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
