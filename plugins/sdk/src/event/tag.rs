//! The tag of a batch.

use std::{fmt, sync::Arc};

/// Longest tag that is accepted, in bytes.
pub const TAG_LEN_MAX: usize = 1024;

/// A tag: UTF-8 text whose parts are separated by dots. Cheap to clone. May be empty, as in Fluentd.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Makes a tag of text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Makes a tag of bytes from the wire; what is not UTF-8 becomes U+FFFD.
    /// `None` when it is longer than [`TAG_LEN_MAX`].
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= TAG_LEN_MAX).then(|| Self(String::from_utf8_lossy(bytes).as_ref().into()))
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between dots. `a.b.c` has three; the empty tag has one empty part.
    pub fn parts(&self) -> std::str::Split<'_, char> {
        self.0.split('.')
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
