//! Walking one encoded map: which of its bytes are replaced by what.

use std::ops::Range;

use sdk::msgpack::{RawValue, Reader, Token, write};

use crate::{
    action::{self, Action, is_stand_in},
    detectors::{DETECTORS, Same, is_card, is_placeholder},
    filter::Redact,
    finds::{Find, finds},
    scan::{Place, What},
    text::Text,
};

/// How often one text is looked at.
const ROUNDS_MAX: usize = 4;

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stay,
    /// Its field goes.
    Drop,
}

/// Bytes of the map that others replace.
#[derive(Debug)]
struct Patch {
    old: Range<usize>,
    /// In the arena.
    new: Range<usize>,
}

/// One walk.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    redact: &'a Redact,
    bytes: &'a [u8],
    reader: Reader<'a>,
    places: &'a [Place],
    /// Subtrees that are left alone.
    allowed: Vec<Range<usize>>,
    patches: Vec<Patch>,
    arena: Vec<u8>,
    drop_event: bool,
}

/// What a walk came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Unchanged,
    Changed,
    DropEvent,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(redact: &'a Redact, value: RawValue<'a>, places: &'a [Place]) -> Self {
        let bytes = value.bytes();
        let allowed = redact.allow.iter().filter_map(|path| path.find(value));
        let range = |part: RawValue<'_>| {
            let start = part
                .bytes()
                .as_ptr()
                .addr()
                .saturating_sub(bytes.as_ptr().addr());
            start..start + part.bytes().len()
        };
        Self {
            redact,
            bytes,
            reader: Reader::new(bytes),
            places,
            allowed: allowed.map(range).collect(),
            patches: Vec::new(),
            arena: Vec::new(),
            drop_event: false,
        }
    }

    /// Walks, and appends the map with the replacements to `out` where there are any.
    pub(crate) fn run(mut self, out: &mut Vec<u8>) -> Outcome {
        self.value(false);
        if self.drop_event {
            return Outcome::DropEvent;
        }
        if self.patches.is_empty() {
            return Outcome::Unchanged;
        }
        let mut from = 0;
        for Patch { old, new } in self.patches {
            out.extend_from_slice(self.bytes.get(from..old.start).unwrap_or_default());
            out.extend_from_slice(self.arena.get(new).unwrap_or_default());
            from = old.end;
        }
        out.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
        Outcome::Changed
    }

    /// Whether nothing can follow that is to be looked at.
    fn is_done(&self) -> bool {
        self.drop_event || (self.places.is_empty() && !self.redact.scan.everywhere)
    }

    /// The places of the value at `range`; those in front of it are forgotten.
    fn places_in(&mut self, range: &Range<usize>) -> &'a [Place] {
        let before = self
            .places
            .iter()
            .take_while(|place| place.at < range.start)
            .count();
        let rest = self.places.get(before..).unwrap_or_default();
        let count = rest.iter().take_while(|place| place.at < range.end).count();
        let (here, rest) = rest.split_at_checked(count).unwrap_or_default();
        self.places = rest;
        here
    }

    /// Looks at the next value. `secret`: it is, or is in, the value of a field whose name a rule matches.
    fn value(&mut self, secret: bool) -> Fate {
        let start = self.reader.position();
        if let Some(range) = self.allowed.iter().find(|range| range.start == start) {
            let range = range.clone();
            self.places_in(&range);
            // It cannot fail: the value was checked when it came.
            return self.reader.skip().map_or(Fate::Stay, |()| Fate::Stay);
        }
        let Ok(token) = self.reader.token() else {
            return Fate::Stay;
        };
        let range = start..self.reader.position();
        match token {
            Token::Map(count) => self.map(range, count, secret),
            Token::Array(count) => self.array(range, count, secret),
            Token::Str(bytes) | Token::Bin(bytes) if secret => self.secret(range, bytes),
            Token::Str(bytes) => self.text(range, bytes, write::str_bytes),
            Token::Bin(bytes) => self.text(range, bytes, write::bin),
            Token::Int(number) if secret => self.secret(range, number.to_string().as_bytes()),
            Token::UInt(number) if secret => self.secret(range, number.to_string().as_bytes()),
            Token::Int(number) => self.integer(range, &number),
            Token::UInt(number) => self.integer(range, &number),
            Token::F64(number) if secret => self.secret(range, number.to_string().as_bytes()),
            Token::F32(number) if secret => self.secret(range, number.to_string().as_bytes()),
            _ => Fate::Stay,
        }
    }

    fn map(&mut self, header: Range<usize>, count: u32, secret: bool) -> Fate {
        let (slot, mut dropped, mut fate) = (self.patches.len(), 0, Fate::Stay);
        for _ in 0..count {
            if self.is_done() && !secret {
                break;
            }
            let (start, patches) = (self.reader.position(), self.patches.len());
            let Ok(key) = self.reader.value() else { break };
            let name = start..self.reader.position();
            let pointed = !self.places_in(&name).is_empty() || self.redact.scan.everywhere;
            let is_secret = secret
                || (pointed
                    && key
                        .as_bytes()
                        .is_some_and(|name| self.redact.scan.keys.matches(name)));
            let value = self.reader.position();
            if self.value(is_secret) == Fate::Drop {
                if secret {
                    fate = Fate::Drop;
                    break;
                }
                dropped += 1;
                self.remove(start, value, patches);
            }
        }
        self.recount(slot, header, count - dropped, dropped, write::map);
        fate
    }

    fn array(&mut self, header: Range<usize>, count: u32, secret: bool) -> Fate {
        let (slot, mut dropped, mut fate) = (self.patches.len(), 0, Fate::Stay);
        for _ in 0..count {
            if self.is_done() && !secret {
                break;
            }
            let (start, patches) = (self.reader.position(), self.patches.len());
            if self.value(secret) == Fate::Drop {
                if secret {
                    fate = Fate::Drop;
                    break;
                }
                dropped += 1;
                self.remove(start, start, patches);
            }
        }
        self.recount(slot, header, count - dropped, dropped, write::array);
        fate
    }

    /// Takes out what begins at `start` and ends with the value that begins at `value`.
    fn remove(&mut self, start: usize, value: usize, patches: usize) {
        let mut reader = Reader::new(self.bytes.get(value..).unwrap_or_default());
        let end = value + reader.value().map_or(0, |value| value.bytes().len());
        self.reader = Reader::starting_at(self.bytes, end);
        self.patches.truncate(patches);
        self.patches.push(Patch {
            old: start..end,
            new: 0..0,
        });
        self.places_in(&(start..end));
    }

    /// A map or array from which something was dropped gets a new header.
    fn recount(
        &mut self,
        slot: usize,
        old: Range<usize>,
        count: u32,
        dropped: u32,
        header: fn(&mut Vec<u8>, u32),
    ) {
        if dropped > 0 {
            let from = self.arena.len();
            header(&mut self.arena, count);
            let new = from..self.arena.len();
            self.patches.insert(slot, Patch { old, new });
        }
    }

    /// The value of a field whose name a rule matches.
    fn secret(&mut self, range: Range<usize>, value: &[u8]) -> Fate {
        self.places_in(&range);
        if value.is_empty() || is_stand_in(value) || is_placeholder(value) {
            return Fate::Stay;
        }
        let mut new = Vec::new();
        let find = Find {
            range: 0..value.len(),
            by: DETECTORS.len(),
        };
        match self.replace(&mut new, &find, value) {
            Fate::Stay => self.patch(range, &new, write::str_bytes),
            Fate::Drop => Fate::Drop,
        }
    }

    fn text(&mut self, range: Range<usize>, bytes: &[u8], header: fn(&mut Vec<u8>, &[u8])) -> Fate {
        let here = self.places_in(&range);
        let (redact, patterns) = (self.redact, &self.redact.patterns);
        if here.is_empty() && patterns.is_empty() {
            return Fate::Stay;
        }
        let start = range.end - bytes.len();
        let mut found = finds(Text(bytes), start, here, redact.on, patterns);
        if found.is_empty() {
            return Fate::Stay;
        }
        let mut text = bytes.to_vec();
        // What stood against a value is looked at once more without it.
        for _ in 0..ROUNDS_MAX {
            let Some(new) = self.rewrite(&text, &found) else {
                return Fate::Drop;
            };
            text = new;
            let mut places = Vec::new();
            redact.scan.record(&text, &mut places);
            found = finds(Text(&text), 0, &places, redact.on, &[]);
            if found.is_empty() {
                break;
            }
        }
        self.patch(range, &text, header)
    }

    /// The text with what stands for each find; nothing when its field goes.
    fn rewrite(&mut self, text: &[u8], found: &[Find]) -> Option<Vec<u8>> {
        let (mut new, mut from) = (Vec::with_capacity(text.len()), 0);
        for find in found {
            new.extend_from_slice(text.get(from..find.range.start).unwrap_or_default());
            from = find.range.end;
            if self.replace(&mut new, find, text) == Fate::Drop {
                return None;
            }
        }
        new.extend_from_slice(text.get(from..).unwrap_or_default());
        Some(new)
    }

    /// An integer that is the number of a card becomes text.
    fn integer(&mut self, range: Range<usize>, number: &impl ToString) -> Fate {
        let here = self.places_in(&range);
        let Some(by) = self.redact.card else {
            return Fate::Stay;
        };
        if !here.iter().any(|place| place.what == What::Integer) {
            return Fate::Stay;
        }
        let number = number.to_string();
        let (mut new, whole) = (Vec::new(), 0..number.len());
        if number.starts_with('-') || !is_card(number.as_bytes()) {
            return Fate::Stay;
        }
        match self.replace(&mut new, &Find { range: whole, by }, number.as_bytes()) {
            Fate::Stay => self.patch(range, &new, write::str_bytes),
            Fate::Drop => Fate::Drop,
        }
    }

    /// Appends what stands for the find, or says that its field goes.
    fn replace(&mut self, new: &mut Vec<u8>, find: &Find, text: &[u8]) -> Fate {
        let Some(entry) = self.redact.entries.get(find.by) else {
            return Fate::Stay;
        };
        entry.count.inc();
        match entry.deed.action {
            Action::Drop => return Fate::Drop,
            Action::DropEvent => self.drop_event = true,
            _ => {
                let value = text.get(find.range.clone()).unwrap_or_default();
                let same = DETECTORS
                    .get(find.by)
                    .map_or(Same::Exact, |detector| detector.same);
                action::stand_in(
                    new,
                    entry.deed,
                    self.redact.key.as_ref(),
                    &entry.name,
                    same,
                    value,
                );
            }
        }
        Fate::Stay
    }

    fn patch(&mut self, old: Range<usize>, value: &[u8], header: fn(&mut Vec<u8>, &[u8])) -> Fate {
        let from = self.arena.len();
        header(&mut self.arena, value);
        let new = from..self.arena.len();
        self.patches.push(Patch { old, new });
        Fate::Stay
    }
}
