//! Reading and writing MessagePack in place: no value tree, no allocation, no trust in declared lengths.
//!
//! Source of the format: the MessagePack specification. The nesting limit is ours ([`DEPTH_MAX`]).

mod raw;
mod read;
mod skip;
mod text;
pub mod write;

pub use raw::{Items, Pairs, RawValue};
pub use read::{Reader, Token};
pub use skip::skip;
pub use text::write_text;

/// Deepest nesting of arrays and maps that is accepted, in levels.
pub const DEPTH_MAX: usize = 64;

/// Why bytes are not one MessagePack value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The value is not complete; more bytes may complete it.
    #[error("the value is cut off")]
    Truncated,
    /// The byte 0xc1, which the specification never assigns.
    #[error("byte 0xc1 is never valid MessagePack")]
    Reserved,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Well formed, but not of the type that belongs there.
    #[error("a value of another type was expected")]
    UnexpectedType,
}
