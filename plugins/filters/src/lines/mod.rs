//! Lines of many streams that are held until they make one event: what `concat` and `detect_exceptions` stand on.

mod group;
mod streams;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sdk::{
    event::{Batch, RawEvent, Tag},
    metrics::{Counter, Metrics},
    stateful::{Held, Outbox},
};

use group::Group;
pub(crate) use group::{Shape, line, scalar};
pub(crate) use streams::Streams;

/// What may be held. Where a limit is reached, what was held longest leaves as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Lines of one event.
    pub(crate) lines: usize,
    /// Bytes of one event.
    pub(crate) bytes: usize,
    /// Streams that hold lines.
    pub(crate) streams: usize,
    /// Bytes of all streams.
    pub(crate) total_bytes: usize,
    /// How long a stream may be silent; `None` for ever.
    pub(crate) idle: Option<Duration>,
}

/// The lines that are held, by stream, each stream with a state of its filter.
#[derive(Debug)]
pub(crate) struct Lines<S> {
    streams: Streams<(Option<S>, Group)>,
    bytes: usize,
    limits: Limits,
    shape: Shape,
    stripped: Vec<u8>,
    /// What is wrong with lines whose stream was silent for too long, where that is an error.
    idle_fails: Option<&'static str>,
    early: Early,
}

/// Events that left before their end was seen, by what made them leave.
#[derive(Debug)]
struct Early {
    idle: Counter,
    size: Counter,
    streams: Counter,
}

impl Early {
    fn new(metrics: &Metrics) -> Self {
        let counter = |reason| {
            let help = "Joined events that left before their end was seen";
            metrics.counter("filter_early_flushes", help, &[("reason", reason)])
        };
        Self {
            idle: counter("idle"),
            size: counter("size"),
            streams: counter("streams"),
        }
    }
}

impl<S> Lines<S> {
    pub(crate) fn new(limits: Limits, shape: Shape, metrics: &Metrics) -> Self {
        Self {
            streams: Streams::new(),
            bytes: 0,
            limits,
            shape,
            stripped: Vec::new(),
            idle_fails: None,
            early: Early::new(metrics),
        }
    }

    /// Lines whose stream was silent for too long fail with this reason.
    pub(crate) fn fail_idle(&mut self, reason: &'static str) {
        self.idle_fails = Some(reason);
    }

    /// The calls that follow mean this stream.
    pub(crate) fn select(&mut self, tag: &Tag, identity: &[u8]) {
        self.streams.select(tag, identity);
    }

    /// Where the selected stream holds lines: its state, the field of the lines, and their number.
    pub(crate) fn pending(&mut self) -> Option<(&S, &Arc<str>, usize)> {
        let (state, group) = self.streams.get()?;
        Some((state.as_ref()?, group.key(), group.len()))
    }

    /// An event goes on under `tag` without being held. Fields that only told how to join are taken out.
    pub(crate) fn pass(
        &mut self,
        batch: &Batch,
        index: u32,
        event: &RawEvent<'_>,
        tag: &Tag,
        out: &mut Outbox,
    ) {
        self.stripped.clear();
        if self.shape.strip(event.record, &mut self.stripped) {
            out.change(batch, index, tag, event.time, &self.stripped);
        } else {
            out.retag(batch, index, event, tag);
        }
    }

    /// Adds a line to the selected stream, whose state is `state` from now on.
    pub(crate) fn hold(
        &mut self,
        held: Held,
        key: &Arc<str>,
        state: S,
        now: Instant,
        out: &mut Outbox,
    ) {
        let size = held.entry.len();
        self.make_room(size, out);
        let make = || (None, Group::new(key));
        let (slot, group) = self.streams.touch(now, make);
        *slot = Some(state);
        group.push(held);
        self.bytes += size;
    }

    /// What the selected stream holds leaves as one event.
    pub(crate) fn flush(&mut self, out: &mut Outbox) {
        if let Some((_, group)) = self.streams.remove() {
            self.bytes -= group.bytes();
            group.leave(&self.shape, out);
        }
    }

    /// Streams leave that have been silent for too long.
    pub(crate) fn tick(&mut self, now: Instant, out: &mut Outbox) {
        while self.wake().is_some_and(|wake| wake <= now) {
            let Some((_, group)) = self.streams.pop_oldest() else {
                return;
            };
            self.bytes -= group.bytes();
            self.early.idle.inc();
            match self.idle_fails {
                Some(reason) => group.fail(reason, out),
                None => group.leave(&self.shape, out),
            }
        }
    }

    /// When the next stream has been silent for too long.
    pub(crate) fn wake(&self) -> Option<Instant> {
        Some(self.streams.oldest()? + self.limits.idle?)
    }

    /// Everything leaves.
    pub(crate) fn finish(&mut self, out: &mut Outbox) {
        while self.pop_oldest(out) {}
    }

    /// Lets what is held go until a line of `size` bytes has room in the selected stream.
    fn make_room(&mut self, size: usize, out: &mut Outbox) {
        let limits = self.limits;
        let count = self.streams.len();
        match self.streams.get() {
            Some((_, group)) => {
                let full = group.len() >= limits.lines || group.bytes() + size > limits.bytes;
                if full && group.len() > 0 {
                    self.early.size.inc();
                    self.empty_selected(out);
                }
            }
            None if count >= limits.streams => {
                self.early.streams.inc();
                self.pop_oldest(out);
            }
            None => {}
        }
        while self.bytes > 0 && self.bytes + size > limits.total_bytes {
            self.early.size.inc();
            if !self.pop_oldest(out) {
                break;
            }
        }
    }

    /// The lines of the selected stream leave; it stays, with its state, for those that follow.
    fn empty_selected(&mut self, out: &mut Outbox) {
        if let Some((_, group)) = self.streams.get() {
            let rest = Group::new(group.key());
            let group = std::mem::replace(group, rest);
            self.bytes -= group.bytes();
            group.leave(&self.shape, out);
        }
    }

    fn pop_oldest(&mut self, out: &mut Outbox) -> bool {
        let Some((_, group)) = self.streams.pop_oldest() else {
            return false;
        };
        self.bytes -= group.bytes();
        group.leave(&self.shape, out);
        true
    }
}
