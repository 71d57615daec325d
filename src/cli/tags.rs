//! Tag patterns as arguments.

use crate::config::TagPattern;

/// Reads one pattern, as in `tag` of a match.
///
/// # Errors
/// What is wrong with it.
pub(super) fn tags(text: &str) -> Result<TagPattern, String> {
    TagPattern::parse(text).map_err(|error| error.to_string())
}
