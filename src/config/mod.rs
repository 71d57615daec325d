//! Text to typed, checked configuration.

mod tag_pattern;

pub use self::tag_pattern::{PatternError, TagPattern, TagSet};
