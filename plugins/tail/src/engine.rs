//! The engine: streams, and one pass over them. Blocking, and without a clock of its own.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use sdk::{RunError, event::Tag};
use tokio::time::Instant;

use crate::{
    Counters, Decode, Settings,
    done::Done,
    generation::Generation,
    pos_file,
    positions::{self, Positions, Stored},
    reading::{Reader, Turn, has_work},
    stream::Stream,
};

/// Events of the batches of one pass, in bytes, at most.
const PASS_BYTES: usize = 4 << 20;
/// How often the gauges are set.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// Follows files.
pub struct Engine<D: Decode> {
    pub(crate) settings: Settings,
    pub(crate) decode: D,
    pub(crate) counters: Arc<Counters>,
    pub(crate) streams: BTreeMap<u64, Stream<D::Stream>>,
    pub(crate) by_path: HashMap<PathBuf, u64>,
    pub(crate) done: Done,
    /// Positions that Fluentd has left, by inode.
    pub(crate) fluentd: HashMap<u64, pos_file::PosEntry>,
    positions: Positions,
    /// Positions were stored by an earlier run.
    pub(crate) has_history: bool,
    /// The paths were listed.
    pub(crate) has_listed: bool,
    pub(crate) numbers: u64,
    pub(crate) next_stream: u64,
    pub(crate) next_scan: Option<Instant>,
    next_measure: Option<Instant>,
    cursor: u64,
    buf: Vec<u8>,
    pub(crate) in_flight_bytes: usize,
    pub(crate) is_dirty: bool,
}

/// What one pass came to.
#[derive(Debug, Default)]
pub struct Pass {
    /// To be emitted in this order.
    pub chunks: Vec<Chunk>,
    /// There is more to read now.
    pub is_busy: bool,
}

/// A batch to be.
#[derive(Debug)]
pub struct Chunk {
    /// To be given back when the receipt resolves.
    pub ticket: Ticket,
    /// The tag of its events.
    pub tag: Tag,
    /// Entries back to back.
    pub events: Bytes,
    /// Their number.
    pub count: u32,
}

/// What a chunk stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    stream: u64,
    epoch: u64,
    serial: u64,
}

impl<D: Decode> Engine<D> {
    /// An engine that has seen nothing yet. Does no I/O.
    pub fn new(settings: Settings, decode: D, counters: Arc<Counters>) -> Self {
        Self {
            positions: Positions::new(settings.state_dir.clone()),
            settings,
            decode,
            counters,
            streams: BTreeMap::new(),
            by_path: HashMap::new(),
            done: Done::default(),
            fluentd: HashMap::new(),
            has_history: false,
            has_listed: false,
            numbers: 1,
            next_stream: 1,
            next_scan: None,
            next_measure: None,
            cursor: 0,
            buf: Vec::new(),
            in_flight_bytes: 0,
            is_dirty: false,
        }
    }

    /// Takes up the positions of the last run, or those of Fluentd.
    ///
    /// # Errors
    /// When they are there and cannot be read: to begin anew would lose or repeat lines.
    pub fn load(&mut self, now: Instant) -> Result<(), RunError> {
        for path in &self.settings.pos_files {
            let entries = pos_file::read(path).map_err(|source| RunError::Io {
                what: format!("read positions of Fluentd from {}", path.display()),
                source,
            })?;
            self.fluentd
                .extend(entries.into_iter().map(|entry| (entry.ino, entry)));
        }
        let stored = self
            .positions
            .load()
            .map_err(|error| RunError::Other(format!("positions: {error}")))?;
        self.has_history = stored.is_some();
        let Stored { streams, done } = stored.unwrap_or_default();
        self.done = Done::new(done);
        for marks in streams {
            self.restore(&marks, now);
        }
        if self.settings.skip_refresh_on_startup {
            self.next_scan = Some(now + self.settings.refresh_interval);
        }
        Ok(())
    }

    /// Looks at what is due and, unless too much is in flight, reads.
    pub fn pass(&mut self, now: Instant) -> Pass {
        self.look(now);
        let mut pass = Pass::default();
        let mut events = 0;
        for id in self.readable(now) {
            let is_full = self.in_flight_bytes + events >= self.settings.in_flight_bytes;
            if is_full || events >= PASS_BYTES {
                pass.is_busy = !is_full;
                break;
            }
            self.cursor = id + 1;
            let turn = self
                .reader(id, now)
                .and_then(|(mut reader, stream)| reader.turn(stream));
            if let Some(chunk) = turn.and_then(|turn| self.send(id, turn)) {
                events += chunk.events.len();
                pass.chunks.push(chunk);
            }
            pass.is_busy |= self.streams.get(&id).is_some_and(has_work);
        }
        self.flush_held(now, &mut pass);
        pass
    }

    /// Lists paths, looks at files and sets the gauges, as far as each is due; reads nothing.
    pub fn look(&mut self, now: Instant) {
        if self.next_scan.is_none_or(|next| next <= now) {
            self.next_scan = Some(now + self.settings.refresh_interval);
            self.scan(now);
        }
        self.look_at_streams(now);
        if self.next_measure.is_none_or(|next| next <= now) {
            self.next_measure = Some(now + MEASURE_INTERVAL);
            self.measure(now);
        }
    }

    /// Streams that have something to read, beginning behind the one that was read last.
    fn readable(&mut self, now: Instant) -> Vec<u64> {
        let mut ids: Vec<u64> = Vec::new();
        let mut before = 0;
        for (id, stream) in &mut self.streams {
            if has_work(stream) && !stream.is_held(now) {
                ids.push(*id);
                before += usize::from(*id < self.cursor);
            }
        }
        ids.rotate_left(before);
        ids
    }

    fn reader(&mut self, id: u64, now: Instant) -> Option<(Reader<'_, D>, &mut Stream<D::Stream>)> {
        let stream = self.streams.get_mut(&id)?;
        let reader = Reader {
            decode: &mut self.decode,
            settings: &self.settings,
            counters: &self.counters,
            buf: &mut self.buf,
            now,
        };
        Some((reader, stream))
    }

    /// Takes note of what a turn came to. `None` when there is nothing to emit.
    fn send(&mut self, id: u64, turn: Turn) -> Option<Chunk> {
        let stream = self.streams.get_mut(&id)?;
        if self.settings.open_on_every_update
            && let Some(live) = stream.live()
        {
            live.close();
        }
        if turn.events.count == 0 {
            self.is_dirty |= stream.move_on(turn.moves);
            return None;
        }
        let bytes = turn.events.bytes.len();
        self.in_flight_bytes += bytes;
        let serial = stream.send(bytes, turn.moves);
        Some(Chunk {
            ticket: Ticket {
                stream: id,
                epoch: stream.epoch,
                serial,
            },
            tag: stream.tag.clone(),
            events: turn.events.bytes.into(),
            count: turn.events.count,
        })
    }

    /// Writes what was held back for too long.
    fn flush_held(&mut self, now: Instant, pass: &mut Pass) {
        let wait = self.settings.flush_interval;
        let is_due = |stream: &Stream<D::Stream>| {
            let waited = stream
                .held_at
                .map(|since| now.saturating_duration_since(since));
            let is_over = stream.generations.iter().all(|generation| {
                generation.unread() == 0 && generation.rotated.is_some() && !generation.has_unread()
            });
            match (waited, wait) {
                (Some(waited), Some(wait)) => waited >= wait,
                // Without a limit, only the end of the path ends a record.
                (Some(waited), None) => is_over && waited >= self.settings.rotate_wait,
                (None, _) => false,
            }
        };
        let due: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| is_due(stream))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let turn = self
                .reader(id, now)
                .map(|(mut reader, stream)| reader.flush(stream));
            let chunk = turn.and_then(|turn| self.send(id, turn));
            pass.chunks.extend(chunk);
        }
    }

    /// The receipt of a chunk has resolved.
    pub fn settle(&mut self, ticket: Ticket, is_stored: bool, now: Instant) {
        let Some(stream) = self.streams.get_mut(&ticket.stream) else {
            return;
        };
        if stream.epoch != ticket.epoch {
            return;
        }
        if is_stored {
            let (moved, bytes) = stream.settle(ticket.serial);
            self.is_dirty |= moved;
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
        } else {
            self.decode.rewind(&mut stream.state);
            let (bytes, lost) = stream.rewind(now);
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
            if lost > 0 {
                self.counters.lost_bytes.inc_by(lost);
            }
        }
    }

    /// The text of the file with the positions, if they moved since it was asked for last.
    pub fn take_positions(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.is_dirty) {
            return None;
        }
        let streams = self.streams.values().filter_map(Stream::marks);
        Some(positions::text(streams, self.done.marks()))
    }

    /// They could not be written: they are to be taken again.
    pub fn positions_failed(&mut self) {
        self.is_dirty = true;
    }

    /// Replaces the file with the positions. Blocking.
    ///
    /// # Errors
    /// When it cannot be written; the old one is then as it was.
    pub fn store_positions(&self, text: &[u8]) -> std::io::Result<()> {
        self.positions.store(text)
    }

    /// Whether nothing is read before receipts resolve.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight_bytes >= self.settings.in_flight_bytes
    }

    pub(crate) fn positions(&self) -> Positions {
        self.positions.clone()
    }

    fn measure(&mut self, now: Instant) {
        let wall = SystemTime::now();
        let (mut unread, mut open) = (0_u64, 0_usize);
        let mut oldest: Option<SystemTime> = None;
        let mut until_loss = f64::INFINITY;
        for stream in self.streams.values_mut() {
            stream.rate.measure(now);
            let behind = stream.unread();
            unread += behind;
            open += stream.generations.iter().filter(|g| g.is_open()).count();
            if behind == 0 {
                stream.behind_since = None;
                continue;
            }
            let since = *stream.behind_since.get_or_insert(wall);
            oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
            until_loss = until_loss.min(seconds_until_loss(stream, &self.settings));
        }
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap_or_default().as_secs_f64()
        };
        let lag = oldest.and_then(|oldest| wall.duration_since(oldest).ok());
        let counters = &self.counters;
        counters.watched.set(signed(self.streams.len()));
        counters.open.set(signed(open));
        counters
            .unread_bytes
            .set(i64::try_from(unread).unwrap_or(i64::MAX));
        counters.oldest_unread.set(oldest.map_or(0.0, seconds));
        counters
            .lag_seconds
            .set(lag.unwrap_or_default().as_secs_f64());
        counters.seconds_until_loss.set(until_loss);
    }
}

/// When rotation removes the first file of the stream that is not read to its end, at the speed of now.
fn seconds_until_loss<S>(stream: &Stream<S>, settings: &Settings) -> f64 {
    let Some(kept) = settings.retention.or(stream.kept) else {
        return f64::INFINITY;
    };
    let ago = stream
        .generations
        .iter()
        .rev()
        .position(|generation| generation.unread() == 0)
        .unwrap_or(stream.generations.len())
        .saturating_sub(1) as u64;
    let live = stream
        .generations
        .back()
        .map_or(0, |live: &Generation| live.size);
    let bytes = (kept.files.saturating_sub(ago) * kept.file_bytes).saturating_sub(live);
    if stream.rate.bytes_per_second < 1.0 {
        return f64::INFINITY;
    }
    #[expect(clippy::cast_precision_loss, reason = "bytes in a float for a ratio")]
    let bytes = bytes as f64;
    bytes / stream.rate.bytes_per_second
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
