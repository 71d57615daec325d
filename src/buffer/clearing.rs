//! What the writer gets rid of: frames that are done, segments that are spent, messages that are cut off or known.

use sdk::{event::Batch, obligation::Obligation};
use std::sync::atomic::Ordering;

use super::{
    chunk::Mark,
    files,
    inbox::Pending,
    now_ms,
    quarantine::Quarantine,
    writer::{OpenGroup, Writer},
};
use crate::telemetry::ledger::DropReason;

impl Writer {
    /// Notes what is done, on disk too, and removes the segments of which nothing is left.
    pub(super) fn settle(&mut self, marks: &[Mark]) {
        if marks.is_empty() {
            return;
        }
        let done = self.shared.index().settle(marks);
        let Some(disk) = &mut self.disk else {
            return self
                .shared
                .room
                .free(marks.iter().map(|mark| mark.bytes).sum());
        };
        let ranges: Vec<(u64, u64)> = done.iter().collect();
        let mut written = disk.state.append(&ranges);
        self.remove_spent();
        if let Some(disk) = self.disk.as_mut().filter(|disk| disk.state.is_long()) {
            let all = self.shared.index().all_done();
            written = written.and_then(|()| disk.state.rewrite(&all));
        }
        if let Err(error) = written {
            tracing::warn!(output = %self.shared.output_id, %error, "the state file cannot be written; a restart would repeat records");
        }
    }

    pub(super) fn remove_spent(&mut self) {
        let Some(dir) = &self.shared.dir else { return };
        let removable = self.shared.index().take_removable();
        let leaving: Vec<u64> = removable.iter().map(|segment| segment.first).collect();
        if !leaving.is_empty()
            && let Err(error) = self.window.note(dir, self.shared.id, &leaving, now_ms())
        {
            tracing::warn!(output = %self.shared.output_id, %error, "the duplicate window cannot be written; after a restart, a message that is sent again would be stored again");
        }
        for segment in removable {
            let path = files::segment_path(dir, segment.first);
            let moved = if segment.uncopied {
                Quarantine::new(dir).take_file(&path)
            } else {
                files::remove(&path)
            };
            if let Err(error) = moved {
                tracing::error!(output = %self.shared.output_id, path = %path.display(), %error, "a segment cannot be removed");
            }
            self.shared.room.free(segment.len);
        }
    }

    /// Discards what was stored of messages that will never be complete.
    pub(super) fn give_up_groups(&mut self) {
        let gone = |open: &OpenGroup| open.sender.strong_count() == 0;
        if !self.open_groups.values().any(gone) {
            return self.refuse_if_stuck();
        }
        let mut marks = Vec::new();
        self.open_groups.retain(|_, open| {
            let gone = gone(open);
            if gone {
                marks.extend(self.shared.index().abort(open.id, DropReason::Aborted));
            }
            !gone
        });
        tracing::warn!(output = %self.shared.output_id, frames = marks.len(), "a large message was cut off; discarded");
        self.settle(&marks);
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
        while let Some(pending) = self.backlog.pop_front() {
            self.refuse(&pending);
        }
    }

    /// Drops a batch that cannot be stored. Its obligation stays unmet, so its sender gets no answer.
    pub(super) fn refuse(&self, pending: &Pending) {
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
        if self.disk.is_some() {
            return;
        }
        let (records, bytes) = self.shared.index().leftover();
        if records > 0 {
            self.shared.account.release(records);
            self.shared
                .account
                .dropped(DropReason::Shutdown, records, bytes);
            tracing::warn!(output = %self.shared.output_id, records, "records in a memory buffer were lost at the end");
        }
    }
}
