//! Text as a part of an address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Everything but what RFC 3986 calls unreserved.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text as one part of a path, or as a value of a query.
pub(crate) fn part(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}
