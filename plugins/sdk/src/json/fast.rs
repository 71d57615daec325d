//! Keys of ordinary records: written as they are, compared by fingerprint. Anything out of the ordinary, an
//! equal fingerprint among it, hands the record over to the exact way.

use super::{
    Lead, Names,
    names::{is_reserved, is_suspicious},
    stage::Stage,
    text::{self, fingerprint, has_dot, is_ascii},
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
    open: usize,
    names: Names,
}

impl Fast {
    pub(super) fn new() -> Self {
        Self {
            prints: [0; PRINTS],
            len: 0,
            bases: [0; DEPTH_MAX + 1],
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
        let Some(base) = self.bases.get_mut(self.open) else {
            return Err(Halt::Inexact);
        };
        *base = self.len;
        self.open += 1;
        Ok(())
    }

    #[inline]
    fn remember(&mut self, print: u32) {
        if let Some(slot) = self.prints.get_mut(self.len) {
            *slot = print;
            self.len += 1;
        }
    }

    #[inline]
    fn is_known(&self, print: u32) -> bool {
        let base = self
            .open
            .checked_sub(1)
            .and_then(|last| self.bases.get(last));
        base.and_then(|base| self.prints.get(*base..self.len))
            .is_some_and(|prints| prints.contains(&print))
    }

    /// Whether the name can be written as it is.
    #[inline]
    fn is_plain(&self, name: &[u8], source: &[u8]) -> bool {
        if !is_ascii(name, source) && simdutf8::basic::from_utf8(name).is_err() {
            return false;
        }
        match self.names {
            Names::Any => true,
            Names::Document { reserved } => {
                let first = name.first().copied().unwrap_or_default();
                let is_ours = first == b'_' && self.open == 1 && is_reserved(name, reserved);
                !(is_ours || first <= b' ' || (has_dot(name, source) && is_suspicious(name)))
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
        let (Token::Str(name) | Token::Bin(name)) = reader.token()? else {
            return Err(Halt::Inexact);
        };
        let source = reader.tail(reader.position() - name.len());
        let print = fingerprint(name, source);
        if self.is_known(print) || !self.is_plain(name, source) {
            return Err(Halt::Inexact);
        }
        self.remember(print);
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
