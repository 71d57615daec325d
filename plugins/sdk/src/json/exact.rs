//! Keys of extraordinary records: the names of each map are made and compared before it is written. It costs
//! several times what the fast way does, and never more than a sort of the names.

use std::ops::Range;

use super::{
    Clash, Lead, Names, Unwritable,
    names::name,
    stage::Stage,
    text,
    walk::{Halt, Keys, Level},
};
use crate::msgpack::{RawValue, Reader};

/// Names of the open maps.
#[derive(Debug)]
pub(super) struct Exact {
    names: Names,
    /// JSON text of the names of all open maps, without quotes.
    texts: Vec<u8>,
    /// The pairs of all open maps.
    pairs: Vec<Pair>,
    open: Vec<Open>,
}

#[derive(Debug, Clone)]
struct Pair {
    text: Range<usize>,
    /// Of equal names the highest rank is written. A pair that was renamed has the lowest.
    rank: u32,
    dropped: bool,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    texts: usize,
    pairs: usize,
    next: usize,
}

impl Exact {
    pub(super) fn new(names: Names) -> Self {
        Self {
            names,
            texts: Vec::new(),
            pairs: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Begins with the map of a record: writes the brace and those leading fields that stand. Returns whether
    /// there are any.
    ///
    /// # Errors
    /// A key that cannot be written.
    pub(super) fn start(
        &mut self,
        out: &mut Vec<u8>,
        lead: &Lead,
        reader: &Reader<'_>,
        pairs: u32,
        clash: &mut dyn FnMut(&str, RawValue<'_>) -> Clash,
    ) -> Result<bool, Halt> {
        let values = self.gather(reader, pairs)?;
        let mut left_out = vec![false; lead.fields().len()];
        for (index, field) in lead.fields().iter().enumerate() {
            // Only the last of equal names counts, as everywhere.
            let text = escaped(field.name().as_bytes());
            let last = (0..values.len())
                .rev()
                .find(|pair| self.text(*pair) == text);
            let Some(last) = last else { continue };
            let value = values.get(last).copied();
            let decision = value.map_or(Clash::Lead, |value| clash(field.name(), value));
            if decision == Clash::Record {
                if let Some(slot) = left_out.get_mut(index) {
                    *slot = true;
                }
            } else {
                self.yield_to_lead(last, &decision);
            }
        }
        self.drop_equal(0);
        out.push(b'{');
        let brace = out.len();
        for (index, _) in left_out
            .iter()
            .enumerate()
            .filter(|(_, left_out)| !**left_out)
        {
            if out.len() > brace {
                out.push(b',');
            }
            out.extend_from_slice(lead.field_text(index));
        }
        Ok(out.len() > brace)
    }

    fn text(&self, pair: usize) -> &[u8] {
        self.pairs
            .get(pair)
            .and_then(|pair| self.texts.get(pair.text.clone()))
            .unwrap_or_default()
    }

    /// Every pair with the name of `last` is left out; `last` itself may stand under another name.
    fn yield_to_lead(&mut self, last: usize, decision: &Clash) {
        let old = self.text(last).to_vec();
        for index in 0..=last {
            if self.text(index) == old
                && let Some(pair) = self.pairs.get_mut(index)
            {
                pair.dropped = true;
            }
        }
        if let Clash::Rename(new) = decision {
            let start = self.texts.len();
            self.texts.extend_from_slice(&escaped(new.as_bytes()));
            let text = start..self.texts.len();
            if let Some(pair) = self.pairs.get_mut(last) {
                *pair = Pair {
                    text,
                    rank: 0,
                    dropped: false,
                };
            }
        }
    }

    /// Reads the names of a map, and returns its values.
    fn gather<'a>(&mut self, reader: &Reader<'a>, pairs: u32) -> Result<Vec<RawValue<'a>>, Halt> {
        let mut reader = reader.clone();
        let top = self.open.is_empty();
        self.open.push(Open {
            texts: self.texts.len(),
            pairs: self.pairs.len(),
            next: self.pairs.len(),
        });
        let mut values = Vec::new();
        for rank in 1..=pairs {
            let name = name(reader.value()?, self.names, top).map_err(Halt::Unwritable)?;
            let start = self.texts.len();
            self.texts.extend_from_slice(&escaped(&name));
            self.pairs.push(Pair {
                text: start..self.texts.len(),
                rank,
                dropped: false,
            });
            let value = reader.value()?;
            if top {
                values.push(value);
            }
        }
        Ok(values)
    }

    /// Of equal names among the pairs from `first` on, all but the one with the highest rank are left out.
    fn drop_equal(&mut self, first: usize) {
        let mut order: Vec<usize> = (first..self.pairs.len())
            .filter(|index| self.pairs.get(*index).is_some_and(|pair| !pair.dropped))
            .collect();
        let rank = |pair: usize| self.pairs.get(pair).map_or(0, |pair| pair.rank);
        order.sort_by(|left, right| {
            (self.text(*left), rank(*left)).cmp(&(self.text(*right), rank(*right)))
        });
        let beaten: Vec<usize> = order
            .array_windows()
            .filter(|[left, right]| self.text(*left) == self.text(*right))
            .map(|[left, _]| *left)
            .collect();
        for index in beaten {
            if let Some(pair) = self.pairs.get_mut(index) {
                pair.dropped = true;
            }
        }
    }
}

impl Keys for Exact {
    fn open(&mut self, reader: &Reader<'_>, pairs: u32) -> Result<(), Halt> {
        let first = self.pairs.len();
        self.gather(reader, pairs)?;
        self.drop_equal(first);
        Ok(())
    }

    fn key(
        &mut self,
        stage: &mut Stage,
        at: usize,
        out: &mut Vec<u8>,
        reader: &mut Reader<'_>,
        level: Level,
    ) -> Result<Option<usize>, Halt> {
        reader.skip()?;
        let Some(open) = self.open.last_mut() else {
            return Ok(None);
        };
        let pair = self.pairs.get(open.next);
        open.next += 1;
        let Some(pair) = pair.filter(|pair| !pair.dropped) else {
            return Ok(None);
        };
        let at = if level.started {
            stage.put(at, b",\"")
        } else {
            stage.put(at, b"\"")
        };
        let at = stage.spill(at, out);
        out.extend_from_slice(self.texts.get(pair.text.clone()).unwrap_or_default());
        Ok(Some(stage.put(at, b"\":")))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.texts.truncate(open.texts);
            self.pairs.truncate(open.pairs);
        }
    }
}

/// A name as JSON text without quotes.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut stage = Stage::new();
    let at = text::contents(&mut stage, 0, &mut out, name, name);
    stage.spill(at, &mut out);
    out
}

impl From<Unwritable> for Halt {
    fn from(unwritable: Unwritable) -> Self {
        Self::Unwritable(unwritable)
    }
}
