//! What the writer gets rid of: frames that are done, segments that are spent, messages that are cut off or known.

use std::{
    io,
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use sdk::{event::Batch, obligation::Obligation};

use super::{
    chunk::Mark,
    files,
    inbox::Pending,
    layout::Removable,
    log::Trouble,
    now_ms,
    open_groups::{NEVER, OpenGroup},
    quarantine::Quarantine,
    writer::Writer,
};
use crate::telemetry::ledger::DropReason;

/// How long removal rests after it failed.
const REST: Duration = Duration::from_secs(1);

impl Writer {
    /// Notes what is done, and does what is to be done then.
    pub(super) fn settle(&mut self, marks: &[Mark]) {
        if !marks.is_empty() {
            self.shared.note_done(marks);
            self.clear(marks);
        }
    }

    /// It is noted that these frames are done: answers those who wait for it, and gives their room back.
    pub(super) fn clear(&mut self, marks: &[Mark]) {
        self.passage.meet(marks);
        if self.disk.is_some() {
            self.remove_spent();
        } else {
            let bytes = marks.iter().map(|mark| mark.place.len).sum();
            self.shared.room.free(bytes);
        }
    }

    /// Removes the segments of which nothing is needed, in an order that a power cut cannot turn round: what is noted
    /// is durable before a segment goes.
    pub(super) fn remove_spent(&mut self) {
        if self.rest_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.rest_until = None;
        let Some(dir) = self.shared.dir.clone() else {
            return;
        };
        let removable = self.shared.removable();
        if removable.is_empty() {
            return;
        }
        let leaving: Vec<u64> = removable.iter().map(|segment| segment.first).collect();
        let (shared, window) = (&self.shared, &mut self.window);
        let noted =
            shared.with_ballast(|| window.note(&shared.files, &dir, shared.id, &leaving, now_ms()));
        if let Err(error) = noted {
            tracing::warn!(output = %self.shared.output_id, %error, "the duplicate window cannot be written; after a restart, a message that is sent again would be stored again");
        }
        let noted = self.shared.note_leaving(&leaving);
        if let Err(error) = &noted {
            self.rest();
            // On a full disk, nothing but a removal makes room for the state.
            if !files::is_full(error) {
                tracing::warn!(output = %self.shared.output_id, %error, "the state file cannot be synced, so that no segment is removed");
                return;
            }
        }
        let mut gone = Vec::new();
        for segment in removable {
            match self
                .shared
                .with_ballast(|| self.remove_file(&dir, &segment))
            {
                Ok(()) => {
                    gone.push(segment.first);
                    self.free(segment.bytes);
                }
                Err(error) => {
                    tracing::error!(output = %self.shared.output_id, segment = segment.first, %error, "a segment cannot be removed; trying again");
                    self.rest();
                }
            }
        }
        self.shared.index().forget(&gone);
        if noted.is_err() {
            self.shared.note(&[]);
        }
        if let Err(error) = self.shared.files.sync_dir(&dir) {
            tracing::warn!(output = %self.shared.output_id, %error, "the removal of segments is not durable; they are removed again after a power cut");
        }
    }

    /// A segment is gone.
    fn free(&self, bytes: u64) {
        #[cfg(feature = "defects")]
        if crate::telemetry::defects::is_on("leak_room") {
            return;
        }
        self.shared.room.free(bytes);
    }

    fn remove_file(&self, dir: &Path, segment: &Removable) -> io::Result<()> {
        let path = files::segment_path(dir, segment.first);
        if segment.uncopied {
            Quarantine::new(&self.shared.files, dir).take_file(&path)
        } else {
            self.shared.files.remove(&path)
        }
    }

    fn rest(&mut self) {
        self.rest_until = Some(Instant::now() + self.shared.files.lasts(REST));
    }

    /// A message that is stored already: what there is of it is dropped, and its sender gets its answer.
    pub(super) fn pass_over(&mut self, pending: Pending) {
        self.discard(&pending, DropReason::Duplicate);
        let Batch { piece, due, .. } = pending.batch;
        let open = piece.and_then(|piece| self.open_groups.remove(&piece.group.id));
        if let Some(open) = open {
            let marks = self.shared.index().abort(open.id, DropReason::Duplicate);
            self.settle(&marks);
            open.due.into_iter().for_each(Obligation::meet);
        }
        due.meet();
    }

    pub(super) fn refuse_all(&mut self) {
        self.backlog.extend(self.waiting.drain(..));
        while let Some(pending) = self.backlog.pop_front() {
            self.refuse(&pending);
        }
    }

    /// Drops a batch that cannot be stored. Its obligation stays unmet, so its sender gets no answer.
    pub(super) fn refuse(&mut self, pending: &Pending) {
        if let Some(piece) = &pending.batch.piece {
            let open = self.open_groups.entry(piece.group.id);
            open.or_insert_with(|| OpenGroup::new(&piece.group, NEVER))
                .break_off(self.next_sequence);
        }
        self.discard(pending, DropReason::BufferFailed);
    }

    pub(super) fn discard(&self, pending: &Pending, reason: DropReason) {
        let (records, bytes) = (
            u64::from(pending.batch.count),
            pending.batch.events.len() as u64,
        );
        self.shared.account.release(records);
        self.shared.account.dropped(reason, records, bytes);
        self.shared.room.store(pending.reserved, 0);
        self.shared.unpublished.fetch_sub(1, Ordering::Release);
        self.shared.notify.notify_waiters();
    }

    /// Nobody is left: what could not be stored is dropped, and so is what was in memory only.
    pub(super) fn end(mut self) {
        self.refuse_all();
        if let Err(Trouble::Failed(reason)) = self.sync_written() {
            tracing::error!(output = %self.shared.output_id, reason, "the last records may not survive a power cut");
        }
        self.tell_dropped(Duration::ZERO);
        if self.disk.is_some() {
            return;
        }
        let (records, bytes) = self.shared.index().leftover();
        if records > 0 {
            self.shared.account.release(records);
            self.shared
                .account
                .dropped(DropReason::Shutdown, records, bytes);
            tracing::warn!(output = %self.shared.output_id, records, "records in memory were not delivered before the end");
        }
    }
}
