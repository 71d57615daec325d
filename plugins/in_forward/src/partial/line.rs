//! One line of which parts are held.

use std::{collections::BTreeMap, mem};

use bytes::Bytes;
use sdk::budget::Permit;
use tokio::time::Instant;

/// A line, as far as it is there.
#[derive(Debug)]
pub(super) struct Line {
    /// Its first part is this one; above 1 when what came before was let go for its size.
    pub(super) from: u32,
    pub(super) parts: BTreeMap<u32, Bytes>,
    pub(super) last: Option<u32>,
    pub(super) bytes: usize,
    /// Whether one of its parts is in the journal.
    pub(super) is_journaled: bool,
    pub(super) touched: Instant,
    /// How often it could not be stored.
    pub(super) failures: u32,
    pub(super) permit: Option<Permit>,
}

impl Line {
    pub(super) fn new(from: u32, now: Instant) -> Self {
        Self {
            from,
            parts: BTreeMap::new(),
            last: None,
            bytes: 0,
            is_journaled: false,
            touched: now,
            failures: 0,
            permit: None,
        }
    }

    /// Puts a part in its place; returns the bytes of the one that was there.
    pub(super) fn put(&mut self, ordinal: u32, is_last: bool, entry: Bytes, now: Instant) -> usize {
        if is_last {
            self.last = Some(ordinal);
        }
        self.from = self.from.min(ordinal.max(1));
        self.touched = now;
        self.bytes += entry.len();
        let was = self.parts.insert(ordinal, entry).map_or(0, |was| was.len());
        self.bytes -= was;
        was
    }

    pub(super) fn give(&mut self, permit: Option<Permit>) {
        match (&mut self.permit, permit) {
            (Some(taken), Some(more)) => taken.join(more),
            (taken @ None, more) => *taken = more,
            (Some(_), None) => {}
        }
    }

    /// Adds the parts of another; returns bytes and number of those that were there twice.
    pub(super) fn take_in(&mut self, mut other: Self) -> (usize, usize) {
        let now = self.touched;
        let (bytes, parts) = (
            self.bytes + other.bytes,
            self.parts.len() + other.parts.len(),
        );
        self.last = self.last.or(other.last);
        self.is_journaled |= other.is_journaled;
        for (ordinal, entry) in mem::take(&mut other.parts) {
            self.put(ordinal, false, entry, now);
        }
        self.give(other.permit.take());
        (bytes - self.bytes, parts - self.parts.len())
    }

    pub(super) fn is_whole(&self) -> bool {
        let Some(last) = self.last else {
            return false;
        };
        let wanted = (last + 1).saturating_sub(self.from) as usize;
        wanted > 0 && self.parts.range(self.from..=last).count() == wanted
    }

    /// Whether it is whole, and nothing speaks against storing it as one.
    pub(super) fn may_be_joined(&self) -> bool {
        self.failures < 2 && self.is_whole()
    }

    /// The parts that follow each other, together. After two failures each alone: the destination may not take them
    /// together.
    pub(super) fn stretches(&self) -> Vec<Vec<Bytes>> {
        let mut stretches: Vec<Vec<Bytes>> = Vec::new();
        let mut before = None;
        for (ordinal, entry) in &self.parts {
            match stretches.last_mut() {
                Some(stretch) if before == Some(ordinal - 1) && self.failures < 2 => {
                    stretch.push(entry.clone());
                }
                _ => stretches.push(vec![entry.clone()]),
            }
            before = Some(*ordinal);
        }
        stretches
    }
}
