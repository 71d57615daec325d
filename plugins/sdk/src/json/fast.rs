//! Keys of ordinary records: written as they are, compared by fingerprint. Anything out of the ordinary, an
//! equal fingerprint among it, hands the record over to the exact way.

use super::{
    Lead, Names,
    names::{is_reserved, is_suspicious},
    stage::Stage,
    text::{self, Glance, glance},
    walk::{Halt, Keys, Level},
};
use crate::msgpack::{DEPTH_MAX, Reader, Token};

/// Keys of open maps that can be remembered at a time. Maps with more keys go the exact way, where comparing
/// them costs less than the square of their number.
const PRINTS: usize = 192;
/// Keys of one map that are compared by looking at all of them.
const PAIRS_MAX: u32 = 64;

/// Fingerprints of the keys of the open maps.
#[derive(Debug)]
pub(super) struct Fast {
    prints: [u32; PRINTS],
    len: usize,
    /// Where the prints of each open map begin.
    bases: [usize; DEPTH_MAX + 1],
    /// One bit per print of each open map, so that most keys need not be looked for.
    blooms: [u64; DEPTH_MAX + 1],
    open: usize,
    names: Names,
}

impl Fast {
    pub(super) fn new() -> Self {
        Self {
            prints: [0; PRINTS],
            len: 0,
            bases: [0; DEPTH_MAX + 1],
            blooms: [0; DEPTH_MAX + 1],
            open: 0,
            names: Names::Any,
        }
    }

    /// Forgets everything, and takes these rules for names.
    #[inline]
    pub(super) fn reset(&mut self, names: Names) {
        self.names = names;
        self.len = 0;
        self.open = 0;
    }

    /// Begins with the map of a record that has `pairs` fields besides those of `lead`.
    #[inline]
    pub(super) fn start(&mut self, names: Names, lead: &Lead, pairs: u32) -> Result<(), Halt> {
        self.reset(names);
        self.enter(pairs, lead.fields().len())?;
        for field in lead.fields() {
            self.remember(field.print);
        }
        Ok(())
    }

    #[inline]
    fn enter(&mut self, pairs: u32, more: usize) -> Result<(), Halt> {
        if pairs > PAIRS_MAX || self.len + pairs as usize + more > PRINTS {
            return Err(Halt::Inexact);
        }
        let (Some(base), Some(bloom)) = (
            self.bases.get_mut(self.open),
            self.blooms.get_mut(self.open),
        ) else {
            return Err(Halt::Inexact);
        };
        *base = self.len;
        *bloom = 0;
        self.open += 1;
        Ok(())
    }

    /// Remembers a key of the innermost map. `false`: there may be an equal one.
    #[inline]
    fn remember(&mut self, print: u32) -> bool {
        let Some(map) = self.open.checked_sub(1) else {
            return false;
        };
        let (Some(bloom), Some(slot)) = (self.blooms.get_mut(map), self.prints.get_mut(self.len))
        else {
            return false;
        };
        let bit = 1 << (print % 64);
        let may_be_known = *bloom & bit != 0;
        *bloom |= bit;
        *slot = print;
        self.len += 1;
        !(may_be_known && self.is_known(map, print))
    }

    /// Whether a key before the last one of this map has the same print.
    #[cold]
    fn is_known(&self, map: usize, print: u32) -> bool {
        let base = self.bases.get(map).copied().unwrap_or_default();
        let before = self.prints.get(base..self.len - 1);
        before.is_none_or(|prints| prints.contains(&print))
    }

    /// Whether the name can be written as it is.
    #[inline]
    fn is_plain(&self, name: &[u8], glance: Glance) -> bool {
        if !glance.is_ascii && simdutf8::basic::from_utf8(name).is_err() {
            return false;
        }
        match self.names {
            Names::Any => true,
            Names::Document { reserved } => {
                let first = name.first().copied().unwrap_or_default();
                let is_ours = first == b'_' && self.open == 1 && is_reserved(name, reserved);
                !(is_ours || first <= b' ' || (glance.has_dot && is_suspicious(name)))
            }
        }
    }
}

impl Keys for Fast {
    #[inline]
    fn open(&mut self, _: &Reader<'_>, pairs: u32) -> Result<(), Halt> {
        self.enter(pairs, 0)
    }

    #[inline]
    fn key(
        &mut self,
        stage: &mut Stage,
        at: usize,
        out: &mut Vec<u8>,
        reader: &mut Reader<'_>,
        level: Level,
    ) -> Result<Option<usize>, Halt> {
        let (name, source) = if let Some(found) = reader.short_str() {
            found
        } else {
            let (Token::Str(name) | Token::Bin(name)) = reader.token()? else {
                return Err(Halt::Inexact);
            };
            (name, reader.tail(reader.position() - name.len()))
        };
        let glance = glance(name, source);
        if !self.remember(glance.print) || !self.is_plain(name, glance) {
            return Err(Halt::Inexact);
        }
        let at = if level.started {
            stage.put(at, b",\"")
        } else {
            stage.put(at, b"\"")
        };
        let at = text::contents(stage, at, out, name, source);
        Ok(Some(stage.put(at, b"\":")))
    }

    #[inline]
    fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
        self.len = self.bases.get(self.open).copied().unwrap_or_default();
    }
}
