//! The writer thread of a buffer: group commit, and everything else that changes files.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use sdk::{event::Piece, obligation::Obligation, output::Frame};

use super::{
    Shared,
    audit::Audit,
    frame::Kind,
    inbox::{Pending, Work},
    layout::{Place, Stored, memory_len},
    log::{Fit, Log, Trouble},
    mending::Mending,
    now_ms,
    open_groups::OpenGroup,
    overflow::Untold,
    passage::Passage,
    settings::Durability,
    space::Space,
    state::Note,
    syncing::Lag,
    window::Window,
};

/// What is owed for a frame: its sequence, and the message that it is a piece of.
type Owed = (u64, Option<Piece>, Obligation);

/// How often the writer looks around while a group is open or the disk is full.
const TICK: Duration = Duration::from_millis(200);
/// Most batches in one group commit, so that the first of them does not wait for thousands.
const COMMIT_BATCHES_MAX: usize = 4_096;

/// The writer of one buffer; it runs on a thread of its own.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// `None` in a memory buffer, where only the order matters.
    pub(super) disk: Option<Disk>,
    /// What a power cut would take of what was promised.
    pub(super) lag: Lag,
    /// What is owed for frames, where the destination's answer is the receipt.
    pub(super) passage: Passage,
    /// What is not to be stored again.
    pub(super) window: Window,
    /// Whether it is known what is not to be stored again.
    pub(super) has_window: bool,
    /// What waits until that is known.
    pub(super) waiting: VecDeque<Pending>,
    pub(super) next_sequence: u64,
    pub(super) open_groups: HashMap<u64, OpenGroup>,
    pub(super) backlog: VecDeque<Pending>,
    pub(super) disk_full: bool,
    pub(super) mending: Mending,
    /// Until then, no segment is removed: it did not work a moment ago.
    pub(super) rest_until: Option<Instant>,
    pub(super) untold: Untold,
    pub(super) audit: Audit,
}

/// What a disk buffer writes to.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) log: Log,
    pub(super) space: Space,
}

impl Writer {
    /// Runs until nobody uses the buffer any more.
    pub(super) fn run(mut self) {
        self.remove_spent();
        loop {
            let Work {
                pending,
                done,
                recovered,
                ended,
            } = self.shared.inbox.take(self.patience(), self.window());
            self.obey();
            if !done.is_empty() {
                self.clear(&done);
            }
            self.take_in(pending);
            if let Some(recovered) = recovered {
                self.recovered(recovered);
            }
            self.mend();
            self.store();
            self.look_at_volume();
            self.sync_in_time();
            self.give_up_groups();
            self.drop_oldest();
            self.audit();
            self.evacuate();
            self.reclaim();
            if self.rest_until.is_some() {
                self.remove_spent();
            }
            if ended {
                return self.end();
            }
        }
    }

    /// Does as the settings of this moment say.
    fn obey(&mut self) {
        if let Some(disk) = &mut self.disk {
            let settings = self.shared.settings();
            let limit = disk.space.segment_limit(&settings);
            disk.log.obey(settings.durability, limit);
        }
    }

    fn patience(&self) -> Option<Duration> {
        let restless = !self.open_groups.is_empty()
            || !self.backlog.is_empty()
            || self.rest_until.is_some()
            || self.is_strained()
            || self.shared.room.is_wanted();
        let tick = restless.then(|| self.shared.files.lasts(TICK));
        let waits = tick.into_iter().chain(self.mending.wait());
        let waits = waits.chain(self.until_sync());
        let audit = self.disk.as_ref().map(|_| self.audit.wait());
        waits.chain(audit).min()
    }

    /// How long to wait for more before a commit.
    fn window(&self) -> Option<Duration> {
        let window = self.shared.settings().commit_window?;
        Some(self.until_sync().map_or(window, |left| left.min(window)))
    }

    /// Stores everything that waits, in as few commits as there can be.
    fn store(&mut self) {
        while !self.backlog.is_empty() {
            if self.mending.has_failed() {
                return self.refuse_all();
            }
            match self.commit() {
                Ok(()) => self.sync_in_time(),
                Err(Trouble::NoRoom(error)) => {
                    // What is given up makes room on the volume too.
                    if self.may_drop_oldest() && self.drop_some() {
                        continue;
                    }
                    if !std::mem::replace(&mut self.disk_full, true) {
                        tracing::warn!(output = %self.shared.output_id, %error, "the disk is full; waiting for room");
                    }
                    return self.shared.room.set_disk_full(true);
                }
                Err(Trouble::Failed(reason)) => self.strike(&reason),
            }
        }
        if std::mem::take(&mut self.disk_full) {
            self.shared.room.set_disk_full(false);
        }
    }

    /// One group commit: what fits in the segment is written and synced at once.
    fn commit(&mut self) -> Result<(), Trouble> {
        self.look_at_volume();
        self.has_space()?;
        let stored_ms = now_ms();
        let places = self.stage(stored_ms);
        let Some(count) = std::num::NonZero::new(places.len()) else {
            // What waited may all have been too long, or stored before.
            if self.backlog.is_empty() {
                return Ok(());
            }
            return self.rotate();
        };
        if let Some(disk) = &mut self.disk {
            let start = Instant::now();
            let lens = places.iter().map(|(_, place)| place.len);
            disk.space.wrote(lens.sum());
            let batches = self.backlog.iter().take(count.get());
            let events = batches.map(|pending| &pending.batch.events);
            if let Err(trouble) = disk.log.commit(self.next_sequence, events) {
                if let Trouble::Failed(_) = trouble {
                    self.shared.metrics.abandoned_segments.inc();
                    self.skip_to(self.next_sequence + count.get() as u64);
                }
                return Err(trouble);
            }
            self.shared
                .metrics
                .commit_seconds
                .observe(start.elapsed().as_secs_f64());
            self.committed(start);
        }
        self.shared.metrics.commits.inc();
        self.shared
            .metrics
            .commit_batches
            .inc_by(count.get() as u64);
        self.publish(places, stored_ms);
        Ok(())
    }

    /// Prepares batches from the front of the backlog; returns their kinds and places.
    fn stage(&mut self, stored_ms: u64) -> Vec<(Option<(u64, bool)>, Place)> {
        let mut places: Vec<(Option<(u64, bool)>, Place)> = Vec::new();
        let mut staged = HashSet::new();
        while let Some(pending) = self
            .backlog
            .get(places.len())
            .filter(|_| places.len() < COMMIT_BATCHES_MAX)
        {
            let sequence = self.next_sequence + places.len() as u64;
            let batch = &pending.batch;
            if self.is_broken(batch) {
                if let Some(pending) = self.backlog.remove(places.len()) {
                    self.refuse(&pending);
                }
                continue;
            }
            if let Some(fingerprint) = &batch.fingerprint {
                if staged.contains(&fingerprint.digest) || self.is_begun(places.len(), batch) {
                    // Once what is staged is stored, it is known what to do.
                    break;
                }
                if self.window.recognises(fingerprint, stored_ms) {
                    if let Some(pending) = self.backlog.remove(places.len()) {
                        self.pass_over(pending);
                    }
                    continue;
                }
            }
            let piece = batch.piece.as_ref().map(|piece| {
                let open = self
                    .open_groups
                    .entry(piece.group.id)
                    .or_insert_with(|| OpenGroup::new(&piece.group, sequence));
                (open.id, piece.last)
            });
            let kind = piece.map_or(Kind::Whole, |(_, last)| Kind::Piece { last });
            let group = piece.map_or(0, |(id, _)| id);
            let fit = match &mut self.disk {
                Some(disk) => disk.log.stage(batch, kind, group, sequence, stored_ms),
                None => Fit::Staged(Place {
                    len: memory_len(batch.events.len()),
                    ..Place::default()
                }),
            };
            match fit {
                Fit::Staged(place) => {
                    staged.extend(batch.fingerprint.as_ref().map(|print| print.digest));
                    places.push((piece, place));
                }
                Fit::NextSegment => break,
                // What is staged may be of the same message; it is stored first.
                Fit::TooLong if !places.is_empty() => break,
                Fit::TooLong => match self.backlog.pop_front() {
                    Some(pending) => self.refuse(&pending),
                    None => break,
                },
            }
        }
        places
    }

    /// What was committed is now visible to the workers; permits are given back and obligations met.
    fn publish(&mut self, places: Vec<(Option<(u64, bool)>, Place)>, stored_ms: u64) {
        let mut stored = Vec::with_capacity(places.len());
        let mut due = Vec::with_capacity(places.len());
        let (mut reserved, mut occupied) = (0, 0);
        for (piece, place) in places {
            let Some(Pending {
                batch,
                reserved: bytes,
                arrived,
            }) = self.backlog.pop_front()
            else {
                break;
            };
            (reserved, occupied) = (reserved + bytes, occupied + place.len);
            if let Some(fingerprint) = batch.fingerprint {
                self.window
                    .remember(fingerprint, place.segment, self.next_sequence, stored_ms);
            }
            let (tag, events, count, origin) = (batch.tag, batch.events, batch.count, batch.origin);
            let frame = Frame {
                sequence: self.next_sequence,
                tag,
                events,
                count,
                origin,
            };
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            stored.push(Stored {
                frame,
                piece,
                place,
                arrived,
                stored_ms,
            });
            due.push((sequence, batch.piece, batch.due));
        }
        let published = stored.len();
        if self.shared.settings().durability == Durability::Delivered {
            // Before anybody sees the frames: whoever delivers them finds what is owed.
            due = self.keep(due);
        }
        self.shared.index().publish(stored);
        self.shared.room.store(reserved, occupied);
        self.shared
            .unpublished
            .fetch_sub(published, Ordering::Release);
        self.shared.notify.notify_waiters();
        for (_, piece, due) in due {
            let Some(piece) = piece else {
                due.meet();
                continue;
            };
            if !piece.last {
                if let Some(open) = self.open_groups.get_mut(&piece.group.id) {
                    open.due.push(due);
                }
            } else if let Some(open) = self.open_groups.remove(&piece.group.id) {
                open.due.into_iter().chain([due]).for_each(Obligation::meet);
            }
        }
    }

    /// Keeps what is owed until the frames are settled; nothing is left to be met now.
    fn keep(&mut self, due: Vec<Owed>) -> Vec<Owed> {
        for (sequence, piece, due) in due {
            self.passage.keep(sequence, due);
            if let Some(piece) = piece.filter(|piece| piece.last) {
                self.open_groups.remove(&piece.group.id);
            }
        }
        Vec::new()
    }

    /// Sequences before this one that are not used yet never will be.
    fn skip_to(&mut self, sequence: u64) {
        let unused = self.next_sequence..sequence;
        self.next_sequence = sequence;
        self.open_groups
            .retain(|_, open| open.broken || !unused.contains(&open.id));
    }

    /// Begins the next segment, unless the newest one is still empty.
    pub(super) fn rotate(&mut self) -> Result<(), Trouble> {
        self.sync_written()?;
        let Some(disk) = self
            .disk
            .as_mut()
            .filter(|disk| !disk.log.is_segment_empty())
        else {
            return Ok(());
        };
        let begun = disk.log.begin(self.next_sequence)?;
        let sealed = begun.sealed.map_or(0, |sealed| sealed.grown + sealed.rest);
        self.shared.room.occupy(begun.len + sealed);
        self.shared.index().begin_segment(&begun);
        self.shared.note(&[Note::Begun(begun.first)]);
        self.skip_to(begun.first);
        self.remove_spent();
        Ok(())
    }

    /// When somebody waits for room and the newest segment holds nothing that is needed, begins another.
    fn reclaim(&mut self) {
        let wanted =
            self.disk.is_some() && self.shared.room.is_wanted() && !self.mending.has_failed();
        if !wanted || !self.shared.index().is_newest_spent() {
            return;
        }
        // Without room for a new segment there is none for a batch either: the next tick tries again.
        if let Err(Trouble::Failed(reason)) = self.rotate_on_ballast() {
            self.fail(&reason);
        }
    }
}
