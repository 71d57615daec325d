//! The lines that are not whole yet, and those that are being stored: what is held, and when it is let go. No I/O.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use sdk::{
    budget::{Budget, Permit},
    event::Tag,
    obligation::Obligation,
};
use tokio::time::Instant;

use super::{journal::Found, line::Line, recent::Recent};

/// Lines that may be open at a time; each container has at most two.
const LINES_MAX: usize = 16_384;
/// The part of the memory budget that all parts together may occupy.
const SHARE: usize = 4;

/// What a line is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tag: Tag,
    /// `partial_id`.
    pub(super) id: Arc<[u8]>,
}

/// One part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: Key,
    pub(super) ordinal: u32,
    pub(super) is_last: bool,
    /// The whole entry, as it came.
    pub(super) entry: Bytes,
}

/// Why a line is let go before it is whole. Also the value of the metric label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// No part came for `partial_timeout`.
    Timeout,
    /// It became longer than `partial_size_limit`.
    Size,
    /// Too much is held in all.
    Room,
    /// The input stops.
    Stop,
}

impl Why {
    pub(super) const ALL: [Self; 4] = [Self::Timeout, Self::Size, Self::Room, Self::Stop];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Size => "size",
            Self::Room => "room",
            Self::Stop => "stop",
        }
    }
}

/// A line whose storing is under way, when its parts are in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    pub(super) key: Key,
    number: u64,
}

/// A line that was taken out in order to be stored.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) key: Key,
    /// Stretches of parts that follow each other; one, from the first part to the last, when it is whole.
    pub(super) stretches: Vec<Vec<Bytes>>,
    /// Whether everything is there.
    pub(super) is_whole: bool,
    /// To be settled or reopened when the answer is known.
    pub(super) ticket: Option<Ticket>,
    /// The memory of parts that nothing else holds any more.
    pub(super) permit: Option<Permit>,
}

/// What became of a part.
#[derive(Debug)]
pub(super) enum Added {
    /// It is held.
    Held,
    /// It makes its line whole.
    Whole(Ended),
    /// Its line was stored, or is being stored: the answer to the share that was given waits for that alone.
    Again,
}

/// What is left to do when a line is stored.
#[derive(Debug)]
pub(super) struct Settled {
    /// Its parts end here.
    pub(super) upto: u32,
    pub(super) is_whole: bool,
    /// Senders that sent a part of it again meanwhile.
    pub(super) dues: Vec<Obligation>,
}

#[derive(Debug)]
struct Closing {
    number: u64,
    line: Line,
    is_whole: bool,
    dues: Vec<Obligation>,
}

/// All lines of a source.
#[derive(Debug)]
pub(super) struct Lines {
    open: HashMap<Key, Line>,
    closing: HashMap<Key, Vec<Closing>>,
    recent: Recent,
    budget: Budget,
    line_bytes_max: usize,
    bytes_max: usize,
    open_max: usize,
    bytes: usize,
    parts: usize,
    next_ticket: u64,
}

impl Lines {
    /// None yet; a line may have this many bytes.
    pub(super) fn new(budget: Budget, line_bytes_max: usize) -> Self {
        Self {
            open: HashMap::new(),
            closing: HashMap::new(),
            recent: Recent::default(),
            bytes_max: (budget.limit_bytes() / SHARE).max(line_bytes_max),
            budget,
            line_bytes_max,
            open_max: LINES_MAX,
            bytes: 0,
            parts: 0,
            next_ticket: 0,
        }
    }

    /// Takes in what a process before this one left in the journal: its parts wait for the rest.
    pub(super) fn recover(&mut self, found: Found, now: Instant) {
        found
            .stored
            .into_iter()
            .for_each(|key| self.recent.add(key));
        for part in found.parts {
            let permit = self.budget.try_take(part.entry.len());
            let entry = self.open.entry(part.key);
            let line = entry.or_insert_with(|| Line::new(1, now));
            line.is_journaled = true;
            line.give(permit);
            self.bytes += part.entry.len();
            self.parts += 1;
            line.put(part.ordinal, part.is_last, part.entry, now);
        }
    }

    /// Parts that are held, those included that are being stored and stand in the journal.
    pub(super) fn held(&self) -> usize {
        self.parts
    }

    /// Takes a part in. `due` is the share of a sender that wants to know when it is safe, and then it goes into the
    /// journal. What has to make room for it is put into `ended`.
    pub(super) fn add(
        &mut self,
        part: Part,
        due: Option<&Obligation>,
        now: Instant,
        ended: &mut Vec<(Ended, Why)>,
    ) -> Added {
        if self.is_again(&part, due) {
            return Added::Again;
        }
        self.make_room(&part, ended);
        let Part {
            key,
            ordinal,
            is_last,
            entry,
        } = part;
        let permit = self.budget.try_take(entry.len());
        let line = self
            .open
            .entry(key.clone())
            .or_insert_with(|| Line::new(1, now));
        // Without one it is beyond the budget, within `bytes_max`: a line must not wait for those who wait for it.
        line.give(permit);
        let (bytes, was) = (entry.len(), line.put(ordinal, is_last, entry, now));
        line.is_journaled |= due.is_some();
        self.bytes += bytes;
        self.bytes -= was;
        self.parts += usize::from(was == 0);
        if line.may_be_joined()
            && let Some(ended) = self.end(&key)
        {
            return Added::Whole(ended);
        }
        Added::Held
    }

    fn is_again(&mut self, part: &Part, due: Option<&Obligation>) -> bool {
        if self.recent.has(&part.key) {
            return true;
        }
        let mut closing = self.closing.get_mut(&part.key).into_iter().flatten();
        let same = closing.find(|closing| closing.line.parts.contains_key(&part.ordinal));
        if let Some(closing) = same {
            closing.dues.extend(due.cloned());
            return true;
        }
        false
    }

    fn make_room(&mut self, part: &Part, ended: &mut Vec<(Ended, Why)>) {
        let grown = self.open.get(&part.key).map(|line| {
            let was = line.parts.get(&part.ordinal).map_or(0, Bytes::len);
            line.bytes - was + part.entry.len()
        });
        if grown.is_some_and(|bytes| bytes > self.line_bytes_max)
            && let Some(line) = self.open.get(&part.key)
        {
            let from = line.parts.keys().next_back().map_or(1, |last| last + 1);
            // What follows is the rest of the line; a part from before is one of its own.
            let next = (part.ordinal >= from).then(|| {
                let mut next = Line::new(from, line.touched);
                next.last = line.last;
                next
            });
            ended.extend(self.end(&part.key).map(|ended| (ended, Why::Size)));
            self.open.extend(next.map(|next| (part.key.clone(), next)));
        }
        let is_new = grown.is_none();
        if self.bytes + part.entry.len() > self.bytes_max
            || is_new && self.open.len() >= self.open_max
        {
            self.let_go_oldest(&part.key, ended);
        }
    }

    /// Lets a quarter of what is held go, so that this is not done for every part.
    fn let_go_oldest(&mut self, spared: &Key, ended: &mut Vec<(Ended, Why)>) {
        let mut keys: Vec<(Instant, Key)> = self
            .open
            .iter()
            .filter(|(key, _)| *key != spared)
            .map(|(key, line)| (line.touched, key.clone()))
            .collect();
        keys.sort_unstable_by_key(|(touched, _)| *touched);
        for (_, key) in keys {
            if self.bytes <= self.bytes_max / 4 * 3 && self.open.len() <= self.open_max / 4 * 3 {
                break;
            }
            ended.extend(self.end(&key).map(|ended| (ended, Why::Room)));
        }
    }

    /// Takes out what got nothing more for `timeout`, and what is whole but could not be stored before.
    pub(super) fn expired(&mut self, now: Instant, timeout: Duration) -> Vec<Ended> {
        self.end_those(|line| line.is_whole() || now.duration_since(line.touched) >= timeout)
    }

    /// Takes everything out.
    pub(super) fn all(&mut self) -> Vec<Ended> {
        self.end_those(|_| true)
    }

    fn end_those(&mut self, is_over: impl Fn(&Line) -> bool) -> Vec<Ended> {
        let over = self.open.iter().filter(|(_, line)| is_over(line));
        let keys: Vec<Key> = over.map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| self.end(key)).collect()
    }

    fn end(&mut self, key: &Key) -> Option<Ended> {
        let mut line = self.open.remove(key)?;
        if line.parts.is_empty() {
            return None;
        }
        let is_whole = line.is_whole();
        let mut ended = Ended {
            key: key.clone(),
            stretches: line.stretches(),
            is_whole: line.may_be_joined() && line.from == 1,
            ticket: None,
            permit: None,
        };
        if line.is_journaled {
            self.next_ticket += 1;
            let number = self.next_ticket;
            ended.ticket = Some(Ticket {
                key: key.clone(),
                number,
            });
            let closing = Closing {
                number,
                line,
                is_whole,
                dues: Vec::new(),
            };
            self.closing.entry(key.clone()).or_default().push(closing);
        } else {
            self.bytes -= line.bytes;
            self.parts -= line.parts.len();
            ended.permit = line.permit.take();
        }
        Some(ended)
    }

    /// A line is stored.
    pub(super) fn settle(&mut self, ticket: &Ticket) -> Option<Settled> {
        let closing = self.take_closing(ticket)?;
        self.bytes -= closing.line.bytes;
        self.parts -= closing.line.parts.len();
        if closing.is_whole {
            self.recent.add(ticket.key.clone());
        }
        Some(Settled {
            upto: closing.line.parts.keys().next_back().copied()?,
            is_whole: closing.is_whole,
            dues: closing.dues,
        })
    }

    /// A line could not be stored: its parts wait again. Whoever sent one again meanwhile is not answered.
    pub(super) fn reopen(&mut self, ticket: &Ticket, now: Instant) {
        let Some(Closing { mut line, .. }) = self.take_closing(ticket) else {
            return;
        };
        if let Some(later) = self.open.remove(&ticket.key) {
            let (bytes, parts) = line.take_in(later);
            self.bytes -= bytes;
            self.parts -= parts;
        }
        line.failures += 1;
        line.touched = now;
        self.open.insert(ticket.key.clone(), line);
    }

    fn take_closing(&mut self, ticket: &Ticket) -> Option<Closing> {
        let all = self.closing.get_mut(&ticket.key)?;
        let at = all
            .iter()
            .position(|closing| closing.number == ticket.number)?;
        let closing = all.swap_remove(at);
        if all.is_empty() {
            self.closing.remove(&ticket.key);
        }
        Some(closing)
    }
}
