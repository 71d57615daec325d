//! What chunks are told apart by: `"tag"`, `"time"`, or a field such as `"$.kubernetes.namespace_name"`.

use std::{fmt, str::FromStr};

use crate::event::{FieldPath, PathError};

/// One of the `chunk_keys` of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkKey {
    /// The tag.
    Tag,
    /// The slot of time, of the length `timekey`.
    Time,
    /// The value of a field.
    Field(FieldPath),
}

impl FromStr for ChunkKey {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Ok(match text {
            "tag" => Self::Tag,
            "time" => Self::Time,
            field => Self::Field(field.parse()?),
        })
    }
}

impl fmt::Display for ChunkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag => f.write_str("tag"),
            Self::Time => f.write_str("time"),
            Self::Field(path) => path.fmt(f),
        }
    }
}

super::format::text_value!(ChunkKey, "ChunkKey", "weir-chunk-key");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_named_like_the_others_are_written_as_paths() {
        let read = |text: &str| text.parse::<ChunkKey>();
        assert_eq!(read("tag"), Ok(ChunkKey::Tag));
        assert_eq!(read("time"), Ok(ChunkKey::Time));
        assert_eq!(read("$.tag"), Ok(ChunkKey::Field(FieldPath::key("tag"))));
        assert_eq!(read("user"), Ok(ChunkKey::Field(FieldPath::key("user"))));
        assert!(read("").is_err());
    }
}
