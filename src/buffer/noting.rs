//! Who writes to the state file, and when: whoever finishes a chunk does it at once, the writer thread does the rest.
//!
//! The file has a lock of its own, which is taken before that of the index and not held during a sync.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Shared,
    chunk::Mark,
    layout::Removable,
    ranges::Ranges,
    state::{Note, StateFile},
    tries::{self, Tries},
};

impl Shared {
    /// These frames need not be kept: notes it, and leaves to the writer what is to be done then. Blocking, for one
    /// small write.
    pub(super) fn done(&self, marks: Vec<Mark>) {
        if !marks.is_empty() {
            self.note_done(&marks);
            self.inbox.done(marks);
        }
    }

    /// Notes frames that need not be kept, in the index and in the state file.
    ///
    /// This is not left to the writer, which may be in the middle of a sync: a worker that went on meanwhile would have
    /// more than one chunk that a `kill -9` repeats.
    pub(super) fn note_done(&self, marks: &[Mark]) {
        let Some(state) = &self.state else {
            self.index().settle(marks);
            return;
        };
        // Until it is written, nobody may see that a segment has nothing left.
        let mut state = lock(state);
        let done = self.index().settle(marks);
        #[cfg(feature = "defects")]
        if crate::telemetry::defects::is_on("forget_done") {
            return;
        }
        let notes: Vec<Note> = done
            .iter()
            .map(|(first, last)| Note::Done(first, last))
            .collect();
        self.append(&mut state, &notes);
    }

    /// Notes what a chunk of these frames went through.
    pub(super) fn note_tries(&self, ranges: &Ranges, tries: &Tries) {
        let mut state = self.state.as_ref().map(lock);
        let mut index = self.index();
        for (first, last) in ranges.iter() {
            index.tried.insert(first, last, tries.clone());
        }
        drop(index);
        if let Some(state) = &mut state {
            let notes = ranges.iter();
            let notes = notes.flat_map(|(first, last)| tries::notes(first, last, tries));
            self.append(state, &notes.collect::<Vec<_>>());
        }
    }

    /// Adds to the state file.
    pub(super) fn note(&self, notes: &[Note]) {
        if let Some(state) = &self.state {
            self.append(&mut lock(state), notes);
        }
    }

    /// It is written anew when it is long, and when nothing can be added to it.
    fn append(&self, state: &mut StateFile, notes: &[Note]) {
        let result = self.with_ballast(|| {
            let added = state.append(notes);
            if added.is_ok() && !state.is_long() {
                return added;
            }
            state.rewrite(&self.index().notes())
        });
        if let Err(error) = result {
            tracing::warn!(output = %self.output_id, %error, "the state file cannot be written; a restart would repeat records");
        }
    }

    /// The segments of which nothing is needed, and it is noted so.
    pub(super) fn removable(&self) -> Vec<Removable> {
        let _noted = self.state.as_ref().map(lock);
        self.index().removable()
    }

    /// Notes durably that these segments go, so that nobody misses them.
    pub(super) fn note_leaving(&self, leaving: &[u64]) -> io::Result<()> {
        let Some(state) = &self.state else {
            return Ok(());
        };
        let notes: Vec<Note> = leaving.iter().map(|first| Note::Removed(*first)).collect();
        let added = {
            let mut state = lock(state);
            state.append(&notes).and_then(|()| state.file())
        };
        // Nobody waits for this sync.
        let is_synced = added.is_ok_and(|file| file.sync_data().is_ok() && lock(state).is(&file));
        if is_synced {
            return Ok(());
        }
        // It could not be synced, or was written anew meanwhile by somebody who knew nothing of these notes.
        let mut state = lock(state);
        let mut all = self.index().notes();
        all.extend(notes);
        self.with_ballast(|| state.rewrite(&all))
    }
}

fn lock(state: &Mutex<StateFile>) -> MutexGuard<'_, StateFile> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
