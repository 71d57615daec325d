//! Parsers: text in, one record out. Inputs, the filter `parser` and others name one in a `parse` table.

use crate::event::Time;

/// Makes records of text. Shared by all that name it, so it holds no state and does no I/O.
///
/// ```
/// use sdk::{event::Time, msgpack::write, parser::{ParseError, Parser}};
///
/// /// Puts the whole text under one key.
/// struct Whole;
///
/// impl Parser for Whole {
///     fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
///         write::map(record, 1);
///         write::str(record, "message");
///         write::str(record, &String::from_utf8_lossy(text));
///         Ok(None)
///     }
/// }
/// ```
pub trait Parser: Send + Sync {
    /// Appends exactly one MessagePack map to `record` and returns the time that the text names; `None` where it names
    /// none. `text` is one line without its line feed, or several lines where [`begins`](Self::begins) groups them.
    ///
    /// # Errors
    /// [`ParseError`]; what was appended to `record` is then to be thrown away.
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError>;

    /// Whether `line` begins a record of several lines. `None`: each line is a record of its own.
    fn begins(&self, line: &[u8]) -> Option<bool> {
        let _ = line;
        None
    }
}

/// Why text could not be parsed. Says what is wrong, never what the text holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

impl ParseError {
    /// A reason in a lower-case fragment.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
