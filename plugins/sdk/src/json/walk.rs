//! The walk over one value: a loop with a stack of its own, so that depth never costs stack space.

use super::{Unwritable, scalar, stage::Stage, text};
use crate::msgpack::{DEPTH_MAX, Malformed, Reader, Token};

/// Why a walk ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// The keys have to be compared exactly.
    Inexact,
    /// Nobody can write this.
    Unwritable(Unwritable),
}

impl From<Malformed> for Halt {
    fn from(malformed: Malformed) -> Self {
        Self::Unwritable(malformed.into())
    }
}

impl From<Halt> for Unwritable {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Inexact => Self::ContainerKey,
            Halt::Unwritable(unwritable) => unwritable,
        }
    }
}

/// How the keys of maps are written and compared.
pub(super) trait Keys {
    /// A map with this many pairs begins; the reader stands before its first key.
    fn open(&mut self, reader: &Reader<'_>, pairs: u32) -> Result<(), Halt>;

    /// Reads a key and writes it with its colon, after a comma when `level` asks for one. `None`: the pair is
    /// left out, and its value still has to be skipped.
    fn key(
        &mut self,
        stage: &mut Stage,
        at: usize,
        out: &mut Vec<u8>,
        reader: &mut Reader<'_>,
        level: Level,
    ) -> Result<Option<usize>, Halt>;

    /// The map that was opened last ends.
    fn close(&mut self);
}

/// An array or a map that is being written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    left: u32,
    kind: Kind,
    /// Whether something was written in it.
    pub(super) started: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Array,
    Map,
}

impl Level {
    /// One value without brackets.
    pub(super) fn single() -> Self {
        Self {
            left: 1,
            kind: Kind::Single,
            started: false,
        }
    }

    /// A map whose opening brace is written; `started` when fields are written too.
    pub(super) fn map(left: u32, started: bool) -> Self {
        Self {
            left,
            kind: Kind::Map,
            started,
        }
    }

    fn array(left: u32) -> Self {
        Self {
            left,
            kind: Kind::Array,
            started: false,
        }
    }
}

/// Writes what is left of `first` and everything below it.
///
/// # Errors
/// [`Halt`]; what was written until then stays in `out`.
#[inline]
pub(super) fn walk<K: Keys>(
    keys: &mut K,
    stage: &mut Stage,
    out: &mut Vec<u8>,
    reader: &mut Reader<'_>,
    first: Level,
) -> Result<(), Halt> {
    let mut stack = [first; DEPTH_MAX];
    let mut depth = 0_usize;
    let mut level = first;
    let mut at = 0;
    loop {
        at = stage.room(at, out);
        let Some(left) = level.left.checked_sub(1) else {
            at = end(keys, stage, at, level);
            let Some(above) = depth.checked_sub(1) else {
                stage.spill(at, out);
                return Ok(());
            };
            depth = above;
            level = stack.get(depth).copied().unwrap_or(first);
            continue;
        };
        level.left = left;
        if level.kind == Kind::Map {
            let Some(behind) = keys.key(stage, at, out, reader, level)? else {
                reader.skip()?;
                continue;
            };
            at = behind;
        } else if level.started {
            at = stage.put(at, b",");
        }
        level.started = true;
        if let Some((value, source)) = reader.short_str() {
            at = text::quoted(stage, at, out, value, source);
            continue;
        }
        // By reference: the token comes back in memory, and to copy it would wait until it is there.
        let below = match &reader.token() {
            Ok(Token::Map(pairs)) => {
                at = stage.put(at, b"{");
                keys.open(reader, *pairs)?;
                Level::map(*pairs, false)
            }
            Ok(Token::Array(items)) => {
                at = stage.put(at, b"[");
                Level::array(*items)
            }
            Ok(token) => {
                at = scalar::write(stage, at, out, token);
                continue;
            }
            Err(malformed) => return Err((*malformed).into()),
        };
        let Some(slot) = stack.get_mut(depth) else {
            return Err(Malformed::TooDeep.into());
        };
        *slot = level;
        depth += 1;
        level = below;
    }
}

#[inline]
fn end<K: Keys>(keys: &mut K, stage: &mut Stage, at: usize, level: Level) -> usize {
    match level.kind {
        Kind::Single => at,
        Kind::Array => stage.put(at, b"]"),
        Kind::Map => {
            keys.close();
            stage.put(at, b"}")
        }
    }
}
