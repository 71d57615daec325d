//! The writer thread of a buffer: group commit, and everything else that changes files.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use sdk::{
    event::{Batch, Group},
    obligation::Obligation,
    output::Frame,
};

use super::{
    Shared,
    error::Refusal,
    frame::Kind,
    inbox::{Pending, Work},
    layout::{Place, Stored, memory_len},
    log::{Fit, Log, Trouble},
    now_ms,
    state::StateFile,
    window::Window,
};

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
    /// What is not to be stored again.
    pub(super) window: Window,
    pub(super) next_sequence: u64,
    pub(super) open_groups: HashMap<u64, OpenGroup>,
    pub(super) backlog: VecDeque<Pending>,
    pub(super) disk_full: bool,
}

/// What a disk buffer writes to.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) log: Log,
    pub(super) state: StateFile,
}

/// A group that is not complete.
#[derive(Debug)]
pub(super) struct OpenGroup {
    /// Sequence of its first frame.
    pub(super) id: u64,
    pub(super) sender: Weak<Group>,
    /// Met when the group is complete: until then, nothing of it is sure to stay.
    pub(super) due: Vec<Obligation>,
}

impl Writer {
    /// Runs until nobody uses the buffer any more.
    pub(super) fn run(mut self) {
        self.remove_spent();
        loop {
            let Work {
                pending,
                done,
                ended,
            } = self
                .shared
                .inbox
                .take(self.patience(), self.shared.settings.commit_window);
            self.settle(&done);
            self.backlog.extend(pending);
            self.store();
            self.give_up_groups();
            self.reclaim();
            if ended {
                return self.end();
            }
        }
    }

    fn patience(&self) -> Option<Duration> {
        let restless = !self.open_groups.is_empty()
            || !self.backlog.is_empty()
            || self.shared.room.is_wanted();
        restless.then_some(TICK)
    }

    /// Stores everything that waits, in as few commits as there can be.
    fn store(&mut self) {
        while !self.backlog.is_empty() {
            if self.shared.failure().is_some() {
                return self.refuse_all();
            }
            match self.commit() {
                Ok(()) => {}
                Err(Trouble::NoRoom(error)) => {
                    if !std::mem::replace(&mut self.disk_full, true) {
                        tracing::warn!(output = %self.shared.output_id, %error, "the disk is full; waiting for room");
                    }
                    return self.shared.room.set_disk_full(true);
                }
                Err(Trouble::Failed(reason)) => self.fail(&reason),
            }
        }
        if std::mem::take(&mut self.disk_full) {
            self.shared.room.set_disk_full(false);
        }
    }

    /// One group commit: what fits in the segment is written and synced at once.
    fn commit(&mut self) -> Result<(), Trouble> {
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
            disk.log.commit(
                self.backlog
                    .iter()
                    .take(count.get())
                    .map(|pending| &pending.batch.events),
            )?;
            self.shared
                .metrics
                .commit_seconds
                .observe(start.elapsed().as_secs_f64());
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
                    .or_insert_with(|| OpenGroup {
                        id: sequence,
                        sender: Arc::downgrade(&piece.group),
                        due: Vec::new(),
                    });
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
                Fit::TooLong => match self.backlog.remove(places.len()) {
                    Some(pending) => self.refuse(&pending),
                    None => break,
                },
            }
        }
        places
    }

    /// Whether the first `count` of the backlog, which are staged, hold a piece of this batch's message.
    fn is_begun(&self, count: usize, batch: &Batch) -> bool {
        let Some(piece) = &batch.piece else {
            return false;
        };
        let staged = self.backlog.iter().take(count);
        let mut pieces = staged.filter_map(|pending| pending.batch.piece.as_ref());
        pieces.any(|other| other.group.id == piece.group.id)
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
            self.next_sequence += 1;
            stored.push(Stored {
                frame,
                piece,
                place,
                arrived,
                stored_ms,
            });
            due.push((batch.piece, batch.due));
        }
        let published = stored.len();
        self.shared.index().publish(stored);
        self.shared.room.store(reserved, occupied);
        self.shared
            .unpublished
            .fetch_sub(published, Ordering::Release);
        self.shared.notify.notify_waiters();
        for (piece, due) in due {
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

    /// Begins the next segment.
    fn rotate(&mut self) -> Result<(), Trouble> {
        let Some(disk) = self
            .disk
            .as_mut()
            .filter(|disk| !disk.log.is_segment_empty())
        else {
            return Ok(());
        };
        let rotated = disk.log.rotate(self.next_sequence, now_ms())?;
        self.shared.room.occupy(rotated.len + rotated.end_len);
        self.shared
            .index()
            .begin_segment(rotated.first, rotated.len, Some(rotated.sealed_len));
        self.remove_spent();
        Ok(())
    }

    /// When all room is taken by messages that are not complete, waiting for room would never end.
    pub(super) fn refuse_if_stuck(&self) {
        let at_rest =
            !self.open_groups.is_empty() && self.shared.unpublished.load(Ordering::Acquire) == 0;
        if at_rest && self.shared.room.is_stuck() && self.shared.index().is_barren() {
            self.shared.room.refuse_waiting(&Refusal::Full);
        }
    }

    /// When somebody waits for room and the newest segment holds nothing that is needed, begins another.
    fn reclaim(&mut self) {
        let wanted =
            self.disk.is_some() && self.shared.room.is_wanted() && self.shared.failure().is_none();
        if !wanted || !self.shared.index().is_newest_spent() {
            return;
        }
        // Without room for a new segment there is none for a batch either: the next tick tries again.
        if let Err(Trouble::Failed(reason)) = self.rotate() {
            self.fail(&reason);
        }
    }

    /// The disk cannot be trusted any more: nothing is taken, nothing is promised. What is readable is delivered.
    fn fail(&mut self, reason: &str) {
        tracing::error!(output = %self.shared.output_id, reason, "the buffer has failed and takes nothing more");
        self.shared.set_failure(reason);
        self.shared.room.close(&Refusal::Failed {
            reason: reason.to_owned(),
        });
        self.open_groups
            .values_mut()
            .for_each(|open| open.due.clear());
    }
}
