//! Naming a field: `key`, `$.a.b`, `$['a.b'][0]`, as Fluentd's record accessor does.

use std::{fmt, str::FromStr};

use crate::msgpack::RawValue;

/// A path to a field of a record. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Segment {
    Key(Box<str>),
    Index(usize),
}

/// Why text is not a field path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing, or nothing between two dots.
    #[error("a key in the path is empty")]
    EmptyKey,
    /// A bracket without its partner, or something else inside than a quoted key or an index.
    #[error("brackets must hold a quoted key or an index, as in $['a.b'][0]")]
    Bracket,
    /// The first step must be a key: a record is a map.
    #[error("the path must begin with a key")]
    StartsWithIndex,
}

impl FieldPath {
    /// A path of one top-level key, taken literally.
    pub fn key(key: &str) -> Self {
        Self {
            segments: vec![Segment::Key(key.into())],
        }
    }

    /// A path through maps by these keys; `None` when there are none.
    pub fn keys<'k>(keys: impl IntoIterator<Item = &'k str>) -> Option<Self> {
        let segments: Vec<_> = keys
            .into_iter()
            .map(|key| Segment::Key(key.into()))
            .collect();
        (!segments.is_empty()).then_some(Self { segments })
    }

    /// The top-level key it starts with.
    #[inline]
    pub fn head(&self) -> &str {
        match self.segments.first() {
            Some(Segment::Key(key)) => key,
            _ => "",
        }
    }

    /// The keys in order when every step is a key.
    pub fn key_steps(&self) -> Option<Vec<&str>> {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => Some(&**key),
                Segment::Index(_) => None,
            })
            .collect()
    }

    /// The number of steps: 1 for a top-level key.
    pub fn depth(&self) -> usize {
        self.segments.len()
    }

    /// Whether a step of it is an index, which cannot be edited.
    pub fn has_index(&self) -> bool {
        self.key_steps().is_none()
    }

    /// Whether it names a top-level key.
    #[inline]
    pub fn is_top_level(&self) -> bool {
        self.segments.len() == 1
    }

    /// Looks the field up in a record.
    #[inline]
    pub fn find<'a>(&self, record: RawValue<'a>) -> Option<RawValue<'a>> {
        self.descend(record, 0)
    }

    /// Looks the field up below its top-level key, given the value of that key.
    #[inline]
    pub(crate) fn find_below_head<'a>(&self, value: RawValue<'a>) -> Option<RawValue<'a>> {
        self.descend(value, 1)
    }

    fn descend<'a>(&self, from: RawValue<'a>, depth: usize) -> Option<RawValue<'a>> {
        self.segments
            .iter()
            .skip(depth)
            .try_fold(from, |value, segment| match segment {
                Segment::Key(key) => value.get(key.as_bytes()),
                Segment::Index(index) => value.item(*index),
            })
    }
}

impl FromStr for FieldPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let Some(mut rest) = text
            .strip_prefix('$')
            .filter(|rest| rest.starts_with(['.', '[']))
        else {
            return if text.is_empty() {
                Err(PathError::EmptyKey)
            } else {
                Ok(Self::key(text))
            };
        };
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let (segment, after) = step(rest)?;
            segments.push(segment);
            rest = after;
        }
        match segments.first() {
            Some(Segment::Key(_)) => Ok(Self { segments }),
            _ => Err(PathError::StartsWithIndex),
        }
    }
}

fn step(text: &str) -> Result<(Segment, &str), PathError> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        return if key.is_empty() {
            Err(PathError::EmptyKey)
        } else {
            Ok((Segment::Key(key.into()), after))
        };
    }
    let inner = text.strip_prefix('[').ok_or(PathError::Bracket)?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (key, after) = quoted.split_once(quote).ok_or(PathError::Bracket)?;
            let after = after.strip_prefix(']').ok_or(PathError::Bracket)?;
            return Ok((Segment::Key(key.into()), after));
        }
    }
    let (index, after) = inner.split_once(']').ok_or(PathError::Bracket)?;
    Ok((
        Segment::Index(index.parse().map_err(|_| PathError::Bracket)?),
        after,
    ))
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Key(key) if key.contains(['.', '[', '\'']) => write!(f, "[\"{key}\"]"),
            Segment::Key(key) => write!(f, ".{key}"),
            Segment::Index(index) => write!(f, "[{index}]"),
        })
    }
}
