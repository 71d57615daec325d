//! A watched path: its files, oldest first, and the batches of it whose receipts are open.

use std::{
    collections::VecDeque,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use sdk::event::Tag;
use tokio::time::Instant;

use crate::{Place, Retention, generation::Generation, positions::StreamMarks};

/// First and longest wait before what was refused is read again.
const REFUSED_WAIT: Duration = Duration::from_millis(500);
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(30);

/// A watched path.
pub(crate) struct Stream<S> {
    pub(crate) path: PathBuf,
    /// Where the links of the path lead.
    pub(crate) real: PathBuf,
    pub(crate) tag: Tag,
    pub(crate) state: S,
    /// Oldest first; the last one is live unless it says that it was rotated.
    pub(crate) generations: VecDeque<Generation>,
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Grows when what is in flight is given up.
    pub(crate) epoch: u64,
    pub(crate) next_serial: u64,
    /// A line that is too long is passed over; where it began.
    pub(crate) skipping: Option<Place>,
    /// When the path was looked at last.
    pub(crate) seen: SystemTime,
    pub(crate) next_look: Instant,
    pub(crate) changed: Instant,
    /// When its files were brought in line last.
    pub(crate) reconciled: Instant,
    /// Nothing is read before.
    pub(crate) hold_until: Option<Instant>,
    refusals: u32,
    /// When lines were held back last.
    pub(crate) held_at: Option<Instant>,
    /// The files are not what they were thought to be.
    pub(crate) needs_reconcile: bool,
    /// Since when there is something unread.
    pub(crate) behind_since: Option<SystemTime>,
    pub(crate) rate: Rate,
    pub(crate) second: Second,
    pub(crate) was_denied: bool,
    /// What rotation seems to keep.
    pub(crate) kept: Option<Retention>,
    /// The path is no longer among those that are watched.
    pub(crate) is_unlisted: bool,
}

/// A batch whose receipt is open, and the positions that it stands for.
pub(crate) struct InFlight {
    pub(crate) serial: u64,
    pub(crate) bytes: usize,
    pub(crate) is_settled: bool,
    pub(crate) moves: Vec<Place>,
}

/// How fast a stream is written, in bytes per second.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    pub(crate) bytes_per_second: f64,
    pub(crate) written: u64,
    at: Option<Instant>,
    last: u64,
}

/// What was read of a stream in this second.
#[derive(Debug, Default)]
pub(crate) struct Second {
    began: Option<Instant>,
    bytes: u64,
}

impl<S> Stream<S> {
    pub(crate) fn new(path: PathBuf, real: PathBuf, tag: Tag, state: S, now: Instant) -> Self {
        Self {
            path,
            real,
            tag,
            state,
            generations: VecDeque::new(),
            in_flight: VecDeque::new(),
            epoch: 0,
            next_serial: 0,
            skipping: None,
            seen: SystemTime::UNIX_EPOCH,
            next_look: now,
            changed: now,
            reconciled: now,
            hold_until: None,
            refusals: 0,
            held_at: None,
            needs_reconcile: false,
            behind_since: None,
            rate: Rate::default(),
            second: Second::default(),
            was_denied: false,
            kept: None,
            is_unlisted: false,
        }
    }

    /// The file at the watched path.
    pub(crate) fn live(&mut self) -> Option<&mut Generation> {
        self.generations
            .back_mut()
            .filter(|last| last.rotated.is_none() && !last.is_gone)
    }

    pub(crate) fn unread(&self) -> u64 {
        self.generations.iter().map(Generation::unread).sum()
    }

    /// Takes note of a batch; its serial number.
    pub(crate) fn send(&mut self, bytes: usize, moves: Vec<Place>) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.in_flight.push_back(InFlight {
            serial,
            bytes,
            is_settled: false,
            moves,
        });
        serial
    }

    /// Moves positions at once, or when what was sent before is stored.
    pub(crate) fn move_on(&mut self, moves: Vec<Place>) -> bool {
        match self.in_flight.back_mut() {
            Some(last) => {
                last.moves.extend(moves);
                false
            }
            None => self.apply(&moves),
        }
    }

    /// A receipt has resolved; whether positions moved, and how many bytes are no longer in flight.
    pub(crate) fn settle(&mut self, serial: u64) -> (bool, usize) {
        if let Some(batch) = self
            .in_flight
            .iter_mut()
            .find(|batch| batch.serial == serial)
        {
            batch.is_settled = true;
        }
        self.refusals = 0;
        let (mut moved, mut bytes) = (false, 0);
        while let Some(batch) = self.in_flight.pop_front_if(|batch| batch.is_settled) {
            bytes += batch.bytes;
            moved |= self.apply(&batch.moves);
        }
        (moved, bytes)
    }

    fn apply(&mut self, moves: &[Place]) -> bool {
        let mut any = false;
        for place in moves {
            let generation = self
                .generations
                .iter_mut()
                .find(|generation| generation.number == place.generation);
            if let Some(generation) = generation
                && place.offset > generation.safe
            {
                generation.safe = place.offset;
                any = true;
            }
        }
        any
    }

    /// A batch was not stored: everything that is not safe is read again, after a while. How many bytes are no longer in
    /// flight, and how many are lost.
    pub(crate) fn rewind(&mut self, now: Instant) -> (usize, u64) {
        self.epoch += 1;
        self.skipping = None;
        self.held_at = None;
        let bytes = self.in_flight.drain(..).map(|batch| batch.bytes).sum();
        let lost = self.generations.iter_mut().map(Generation::rewind).sum();
        let wait = REFUSED_WAIT * 2_u32.pow(self.refusals.min(6));
        self.refusals += 1;
        self.hold_until = Some(now + wait.min(REFUSED_WAIT_MAX));
        (bytes, lost)
    }

    /// Whether it may be read now.
    pub(crate) fn is_held(&mut self, now: Instant) -> bool {
        if self.hold_until.is_some_and(|until| until <= now) {
            self.hold_until = None;
        }
        self.hold_until.is_some()
    }

    /// What is stored of it.
    pub(crate) fn marks(&self) -> Option<StreamMarks> {
        Some(StreamMarks {
            path: self.path.to_str()?.to_owned(),
            seen: self
                .seen
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            files: self.generations.iter().map(Generation::mark).collect(),
        })
    }
}

impl Rate {
    /// Takes the rate of the last interval in.
    pub(crate) fn measure(&mut self, now: Instant) {
        if let Some(at) = self.at {
            let elapsed = now.saturating_duration_since(at).as_secs_f64();
            if elapsed < 0.5 {
                return;
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "bytes of a few seconds, in a float for a ratio"
            )]
            let latest = (self.written - self.last) as f64 / elapsed;
            // Half-lives of about 10 s, so that one quiet look does not hide a flood.
            let weight = 1.0 - 0.5_f64.powf(elapsed / 10.0);
            self.bytes_per_second += (latest - self.bytes_per_second) * weight;
        }
        self.at = Some(now);
        self.last = self.written;
    }
}

impl Second {
    /// How many bytes may be read now, of `limit` in a second.
    pub(crate) fn left(&mut self, limit: Option<u64>, now: Instant) -> u64 {
        let Some(limit) = limit else {
            return u64::MAX;
        };
        let is_over = |began| now.saturating_duration_since(began) >= Duration::from_secs(1);
        if self.began.is_none_or(is_over) {
            self.began = Some(now);
            self.bytes = 0;
        }
        limit.saturating_sub(self.bytes)
    }

    pub(crate) fn take(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}
