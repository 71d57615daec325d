//! Reading one turn of a stream: bytes into lines, lines into events.

use std::io;

use tokio::time::Instant;

use crate::{
    Counters, Decode, Events, OversizeAction, Place, Settings, generation::Generation,
    reconcile::give_up, stream::Stream,
};

/// Events of one batch, in bytes, at most; one more line may go over.
const BATCH_BYTES: usize = 2 << 20;
/// Shortest read, in bytes.
const READ_BYTES_MIN: usize = 4 << 10;
/// Times that a compressed file is tried before it is given up.
const GZIP_TRIES: u32 = 20;

/// What is needed besides the stream.
pub(crate) struct Reader<'a, D> {
    pub(crate) decode: &'a mut D,
    pub(crate) settings: &'a Settings,
    pub(crate) counters: &'a Counters,
    pub(crate) buf: &'a mut Vec<u8>,
    pub(crate) now: Instant,
}

/// What a turn came to.
pub(crate) struct Turn {
    pub(crate) events: Events,
    pub(crate) moves: Vec<Place>,
}

/// What the lines in a buffer came to.
struct Split {
    consumed: usize,
    lines: usize,
}

impl<D: Decode> Reader<'_, D> {
    /// Reads on. `None` when there is nothing to read now.
    pub(crate) fn turn(&mut self, stream: &mut Stream<D::Stream>) -> Option<Turn> {
        let index = next_to_read(stream)?;
        let lines = self
            .decode
            .turn(&mut stream.state, self.now)
            .min(self.settings.read_lines_limit);
        let left = stream
            .second
            .left(self.settings.read_bytes_limit_per_second, self.now);
        if lines == 0 || left == 0 {
            return None;
        }
        let mut out = Events::default();
        self.flush_at_tear(stream, index, &mut out);
        let bytes = match self.read(stream, index, lines, left, &mut out) {
            Ok(bytes) => bytes,
            Err(error) => {
                failed(stream, index, &error, self.counters);
                0
            }
        };
        stream.second.take(bytes);
        if self.decode.is_holding(&stream.state) {
            if bytes > 0 || stream.held_at.is_none() {
                stream.held_at = Some(self.now);
            }
        } else {
            stream.held_at = None;
        }
        (bytes > 0 || out.count > 0).then(|| Turn {
            moves: moves(self.decode, stream),
            events: out,
        })
    }

    /// When something before this file was lost, the rest of what is held back may have been in it: it is written as it is,
    /// and not joined with what comes now.
    fn flush_at_tear(&mut self, stream: &mut Stream<D::Stream>, index: usize, out: &mut Events) {
        let before = stream.generations.iter_mut().take(index);
        let torn: u64 = before
            .map(|generation| std::mem::take(&mut generation.torn_bytes))
            .sum();
        if torn > 0 && self.decode.is_holding(&stream.state) {
            self.decode.flush(&mut stream.state, out);
        }
    }

    /// Writes what is held back.
    pub(crate) fn flush(&mut self, stream: &mut Stream<D::Stream>) -> Turn {
        let mut events = Events::default();
        self.decode.flush(&mut stream.state, &mut events);
        stream.held_at = None;
        Turn {
            events,
            moves: moves(self.decode, stream),
        }
    }

    fn read(
        &mut self,
        stream: &mut Stream<D::Stream>,
        index: usize,
        lines: usize,
        left: u64,
        out: &mut Events,
    ) -> io::Result<u64> {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let mut want = self.settings.turn_bytes.min(left).max(READ_BYTES_MIN);
        loop {
            let Some(generation) = stream.generations.get_mut(index) else {
                return Ok(0);
            };
            if self.buf.len() < want {
                self.buf.resize(want, 0);
            }
            let room = self.buf.get_mut(..want).unwrap_or_default();
            let len = generation.read(room)?;
            if !generation.verify()? {
                // It was cut, and what was read may be of the new text.
                stream.needs_reconcile = true;
                return Ok(0);
            }
            let is_end = len < want;
            let is_final = is_end && self.is_over(generation);
            let data = std::mem::take(self.buf);
            let text = data.get(..len).unwrap_or_default();
            let split = self.split(stream, index, text, lines, is_final, out);
            *self.buf = data;
            if split.consumed == 0 && !is_end && want <= self.settings.max_line_bytes {
                want = want.saturating_mul(2).min(self.settings.max_line_bytes + 2);
                continue;
            }
            return Ok(self.took(stream, index, &split, len, is_end));
        }
    }

    /// Moves on by what was consumed.
    fn took(
        &self,
        stream: &mut Stream<D::Stream>,
        index: usize,
        split: &Split,
        len: usize,
        is_end: bool,
    ) -> u64 {
        let consumed = split.consumed as u64;
        let is_live = index + 1 == stream.generations.len();
        let Some(generation) = stream.generations.get_mut(index) else {
            return 0;
        };
        if is_end && !generation.is_gzip {
            generation.size = generation.size.max(generation.read + len as u64);
        }
        generation.read += consumed;
        generation.stuck = (consumed == 0 && is_end).then_some(generation.size);
        self.counters.read_bytes.inc_by(consumed);
        self.counters.read_lines.inc_by(split.lines as u64);
        if !is_live {
            self.counters.caught_up.inc_by(consumed);
        }
        consumed
    }

    /// Whether nothing will be added to a file any more, not even the end of its last line.
    fn is_over(&self, generation: &Generation) -> bool {
        generation.is_gzip
            || generation.rotated.is_some_and(|since| {
                self.now.saturating_duration_since(since) >= self.settings.last_line_wait()
            })
    }

    fn split(
        &mut self,
        stream: &mut Stream<D::Stream>,
        index: usize,
        data: &[u8],
        lines_max: usize,
        is_final: bool,
        out: &mut Events,
    ) -> Split {
        let Some((generation, base)) = stream
            .generations
            .get(index)
            .map(|generation| (generation.number, generation.read))
        else {
            return Split {
                consumed: 0,
                lines: 0,
            };
        };
        let place = |at: usize| Place {
            generation,
            offset: base + at as u64,
        };
        let (mut at, mut lines) = (0, 0);
        let mut rest = data;
        while lines < lines_max && out.bytes.len() < BATCH_BYTES {
            let (len, end) = match self.settings.eol.find(rest) {
                Some(found) => found,
                None if is_final && !rest.is_empty() => (rest.len(), 0),
                None => break,
            };
            let line = rest.get(..len).unwrap_or_default();
            rest = rest.get(len + end..).unwrap_or_default();
            if stream.skipping.take().is_none() {
                self.line(&mut stream.state, line, place(at), out);
                lines += 1;
            }
            at += len + end;
        }
        if at == 0 && !is_final && data.len() > self.settings.max_line_bytes {
            // Its end is not in sight: what may be kept is, and the rest is passed over.
            if stream.skipping.is_none() {
                self.line(&mut stream.state, data, place(0), out);
                stream.skipping = Some(place(0));
            }
            at = data.len() & !1;
        } else if stream.skipping.is_some() && lines == 0 && at == 0 {
            at = data.len() & !1;
        }
        Split {
            consumed: at,
            lines,
        }
    }

    #[inline]
    fn line(&mut self, state: &mut D::Stream, line: &[u8], place: Place, out: &mut Events) {
        let line = match line.get(..self.settings.max_line_bytes) {
            Some(kept) if kept.len() < line.len() => {
                self.counters.oversize_lines.inc();
                if self.settings.oversize_action == OversizeAction::Drop {
                    return;
                }
                kept
            }
            _ => line,
        };
        self.decode.line(state, line, place, out);
    }
}

/// The first file that is not read to its end, unless there is nothing to read of it yet.
fn next_to_read<S>(stream: &Stream<S>) -> Option<usize> {
    let index = stream
        .generations
        .iter()
        .position(|generation| generation.unread() > 0 || generation.has_unread())?;
    stream
        .generations
        .get(index)
        .is_some_and(Generation::has_unread)
        .then_some(index)
}

/// Whether a turn would find something.
pub(crate) fn has_work<S>(stream: &Stream<S>) -> bool {
    next_to_read(stream).is_some()
}

/// Where positions may stand when everything that was read is stored.
fn moves<D: Decode>(decode: &D, stream: &Stream<D::Stream>) -> Vec<Place> {
    let skipped = stream.skipping;
    stream
        .generations
        .iter()
        .filter(|generation| generation.read > generation.safe)
        .map(|generation| {
            let held = decode.held(&stream.state, generation.number);
            let skipped = skipped
                .filter(|place| place.generation == generation.number)
                .map(|place| place.offset);
            let bounds = [held, skipped, Some(generation.read)];
            Place {
                generation: generation.number,
                offset: bounds
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap_or(generation.safe),
            }
        })
        .collect()
}

/// A file cannot be read on. A compressed one may not be whole yet, so it is opened again; not for ever.
fn failed<S>(stream: &mut Stream<S>, index: usize, error: &io::Error, counters: &Counters) {
    let Some(generation) = stream.generations.get_mut(index) else {
        return;
    };
    tracing::warn!(path = %generation.path.display(), %error, "a file cannot be read on; it is tried again");
    generation.failures += 1;
    if generation.is_gzip && generation.failures >= GZIP_TRIES {
        give_up(generation, counters);
        return;
    }
    generation.close();
    stream.needs_reconcile = true;
}
