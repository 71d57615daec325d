//! Looking through what an earlier process left, while the buffer already takes records: oldest segment first, on a
//! thread of its own. What a segment holds can be delivered as soon as it was looked through.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    Shared, files,
    inbox::Recovered,
    layout::Group,
    metrics::BufferMetrics,
    now_ms,
    old_groups::Strength,
    quarantine::Quarantine,
    recover::{Old, Recovery},
    salt::find_salt,
    survey::{PAUSES_MS, Surroundings, Survey, survey},
    window::Window,
};
use crate::telemetry::ledger::{Account, DropReason};

/// Between two tries to read what could not be read.
const PAUSE: Duration = Duration::from_secs(30);
/// Between two looks whether the loader is done with what it reads.
const MOMENT: Duration = Duration::from_millis(20);

/// Looks through everything, on a thread of its own. It ends early when the buffer does.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start(
    recovery: Recovery,
    shared: &Arc<Shared>,
) -> io::Result<thread::JoinHandle<()>> {
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("recovery".to_owned());
    thread.spawn(move || {
        let _ends = Ends(&shared);
        recovery.run(&shared);
    })
}

impl Recovery {
    /// Bytes that are still to be looked through.
    pub(super) fn left(&self) -> u64 {
        self.segments.iter().map(|old| old.len).sum()
    }

    fn run(mut self, shared: &Shared) {
        let began = Instant::now();
        let bytes = self.left();
        let mut left = bytes;
        for old in std::mem::take(&mut self.segments) {
            if shared.is_ending() {
                return;
            }
            shared.metrics.recovery_left(left);
            if self.look_through(&old, shared) {
                left -= old.len;
            } else {
                shared.index().forget(&[old.first]);
                self.unreadable.push(old);
            }
            shared.tell_looked_through();
        }
        let frames = std::mem::take(&mut self.known);
        let window = Window::recover(&self.files, &self.dir, self.id, frames, now_ms());
        shared.inbox.recovered(Recovered {
            window: Some(window),
            is_over: false,
        });
        if self.unreadable.is_empty() {
            self.end(shared);
        }
        let (records, took_ms) = (shared.account.held_now(), began.elapsed().as_millis());
        tracing::info!(output = %shared.output_id, bytes, records, took_ms, "old segments looked through");
        shared.set_recovered();
        while !self.unreadable.is_empty() && !shared.is_ending() {
            thread::park_timeout(self.files.lasts(PAUSE));
            self.try_again(shared);
        }
    }

    /// Tries again to read what could not be read. Its records come out of their order.
    fn try_again(&mut self, shared: &Shared) {
        for old in std::mem::take(&mut self.unreadable) {
            if shared.is_ending() || !self.look_through(&old, shared) {
                self.unreadable.push(old);
            } else {
                shared.tell_looked_through();
            }
        }
        let left = self.unreadable.iter().map(|old| old.len).sum();
        shared.metrics.recovery_left(left);
        if self.unreadable.is_empty() {
            self.end(shared);
        }
    }

    /// `false` when it cannot be read.
    fn look_through(&mut self, old: &Old, shared: &Shared) -> bool {
        match self.look(old, &shared.metrics) {
            Ok(Some(survey)) => {
                let groups = self.take_in(&survey, &shared.account);
                loop {
                    let mut index = shared.index();
                    if index.may_adopt(old.first) || shared.is_ending() {
                        index.adopt(*survey, groups);
                        return true;
                    }
                    drop(index);
                    thread::park_timeout(MOMENT);
                }
            }
            Ok(None) => {
                if !self.is_foreign(old) {
                    self.aside.push(old.first);
                }
                self.set_aside(old, shared);
                true
            }
            Err(error) => {
                tracing::error!(output = %shared.output_id, segment = old.first, %error, "a segment cannot be read; it stays as it is, and is tried again");
                shared.metrics.corrupt_ranges.inc();
                false
            }
        }
    }

    /// What is in a segment; `None` when it is none of this buffer.
    fn look(&self, old: &Old, metrics: &BufferMetrics) -> io::Result<Option<Box<Survey>>> {
        let path = files::segment_path(&self.dir, old.first);
        let (file, len, salt) = self.files.patiently(&PAUSES_MS, || {
            let (file, len) = self.files.open(&path)?;
            let salt = match old.header {
                Some(header) => Some(header.salt),
                None => find_salt(&file, old.first, len)?,
            };
            Ok((file, len, salt))
        })?;
        let Some(salt) = salt.filter(|_| !self.is_foreign(old)) else {
            return Ok(None);
        };
        let quarantine = Quarantine::new(&self.files, &self.dir);
        let around = Surroundings {
            files: &self.files,
            void: &self.void,
            done: &self.done,
            quarantine: &quarantine,
            metrics,
        };
        let mut survey = survey(file, old.first, salt, len, self.end_of(old.first), around);
        survey.segment.voids = old.voids();
        // What only it knows is needed until all is looked through.
        survey.segment.held = !survey.lost.is_empty() || !survey.known.is_empty();
        Ok(Some(Box::new(survey)))
    }

    /// Keeps what is needed of a survey, and books its records. Returns the messages that are complete with it.
    fn take_in(&mut self, survey: &Survey, account: &Account) -> Vec<(u64, Group)> {
        let first = survey.segment.first;
        self.known
            .extend(survey.known.iter().map(|found| (first, *found)));
        self.lost.extend(&survey.lost);
        account.recovered(survey.live_records);
        let (records, bytes) = (survey.corrupt_records, survey.corrupt_bytes);
        if bytes > 0 {
            tracing::error!(
                segment = first,
                records,
                bytes,
                "records are lost: their frames are damaged"
            );
        }
        book(account, DropReason::Corrupt, records, bytes);
        self.add_pieces(&survey.pieces);
        let groups = self.complete_groups(Strength::Sure);
        recovered(account, &groups);
        groups
    }

    /// A file that is not a segment of this buffer goes into quarantine as it is.
    fn set_aside(&self, old: &Old, shared: &Shared) {
        let path = files::segment_path(&self.dir, old.first);
        tracing::error!(path = %path.display(), "not a segment of this buffer; moved into quarantine");
        let quarantine = Quarantine::new(&self.files, &self.dir);
        match shared.with_ballast(|| quarantine.take_file(&path)) {
            Ok(()) => shared.room.free(old.len),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "it cannot be moved, and stays where it is");
            }
        }
        shared.index().forget(&[old.first]);
    }

    /// Everything was looked through: decides on messages whose last piece was not come across.
    fn end(&mut self, shared: &Shared) {
        if !self.pieces.is_empty() {
            self.find_aside();
        }
        let groups = self.complete_groups(Strength::Likely);
        recovered(&shared.account, &groups);
        let mut index = shared.index();
        for (id, group) in groups {
            let marker = group.marker.filter(|marker| self.lost.contains(marker));
            if let Some(marker) = marker.filter(|marker| !index.is_marker(*marker)) {
                index.keep_for(marker);
            }
            index.adopt_group(id, group, true);
        }
        drop(index);
        let (records, marks) = self.give_up();
        let bytes = marks.iter().map(|mark| mark.place.len).sum();
        book(&shared.account, DropReason::Aborted, records, bytes);
        shared.done(marks);
        shared.metrics.recovery_left(0);
        shared.inbox.recovered(Recovered {
            window: None,
            is_over: true,
        });
        shared.notify.notify_waiters();
    }
}

fn recovered(account: &Account, groups: &[(u64, Group)]) {
    let pieces = groups.iter().flat_map(|(_, group)| &group.pieces);
    account.recovered(pieces.map(|piece| u64::from(piece.count)).sum());
}

/// Books records that were there and end here.
fn book(account: &Account, reason: DropReason, records: u64, bytes: u64) {
    account.recovered(records);
    account.release(records);
    account.dropped(reason, records, bytes);
}

/// When the thread panics, what was not looked through is left for the next start, so that nobody waits for it.
struct Ends<'a>(&'a Shared);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(output = %self.0.output_id, "recovery panicked; what was not looked through is left for the next start");
            self.0.index().forget_unseen();
            self.0.inbox.recovered(Recovered {
                window: Some(Window::default()),
                is_over: false,
            });
            self.0.set_recovered();
            self.0.notify.notify_waiters();
        }
    }
}
