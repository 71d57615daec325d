//! What the writer does while the recovery still looks through what an earlier process left.

use std::collections::VecDeque;

use super::{
    inbox::{Pending, Recovered},
    writer::Writer,
};

impl Writer {
    /// What may have been stored by an earlier process waits until that is known.
    pub(super) fn take_in(&mut self, pending: VecDeque<Pending>) {
        if self.has_window {
            return self.backlog.extend(pending);
        }
        for pending in pending {
            if pending.batch.fingerprint.is_some() {
                self.waiting.push_back(pending);
            } else {
                self.backlog.push_back(pending);
            }
        }
    }

    pub(super) fn recovered(&mut self, recovered: Recovered) {
        if let Some(window) = recovered.window {
            (self.window, self.has_window) = (window, true);
            let later = std::mem::take(&mut self.backlog);
            self.backlog = std::mem::take(&mut self.waiting);
            self.backlog.extend(later);
        }
        if recovered.is_over {
            self.shared.index().free_held();
        }
        self.remove_spent();
    }
}
