//! Stateful filters: they hold events back, join them, or send them on under another tag.

mod outbox;

use std::time::Instant;

pub use self::outbox::{Held, Left, Outbox};
use crate::event::Batch;

/// A filter with memory. One task owns it, and batches come to it one after the other.
///
/// It answers by an [`Outbox`]. Every event that comes in must leave by it: passed, changed, merged into another,
/// dropped or failed, at once or later. An event that is held keeps the obligation of its batch open, so its sender is
/// not answered before it left.
pub trait StatefulFilter: Send {
    /// Called once, inside the runtime, before the first batch. Background work that is begun here must end when the
    /// filter is dropped.
    fn start(&mut self) {}

    /// Takes a batch. `now` is when it came.
    fn filter(&mut self, batch: &Batch, now: Instant, out: &mut Outbox);

    /// Lets go of what has waited long enough. Called when the time of [`wake`](Self::wake) has come.
    fn tick(&mut self, now: Instant, out: &mut Outbox) {
        let _ = (now, out);
    }

    /// When it wants to be called next; `None` while it holds nothing.
    fn wake(&self) -> Option<Instant> {
        None
    }

    /// Lets go of everything: the router is draining. Batches may still come afterwards, and then it is called again.
    fn finish(&mut self, out: &mut Outbox) {
        let _ = out;
    }
}
