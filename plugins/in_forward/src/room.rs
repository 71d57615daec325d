//! The memory of one connection, taken from the budget as bytes come and handed on with the batches.

use sdk::budget::{Budget, Permit};
use tokio::time::Instant;

/// So much a connection may hold without taking it from the budget: most messages are whole by then.
const FREE_BYTES: usize = 64 << 10;
/// Taken at least, so that a large message does not take for every read.
const GRAIN_BYTES: usize = 256 << 10;

/// What a connection has taken for the message that it is receiving.
///
/// It takes only while it holds nothing that is waiting for room elsewhere: a message that is whole is emitted
/// with what was taken for it. While a message is not whole, the spare of the budget lets one connection at a
/// time read on, so that connections never wait for each other in a circle.
#[derive(Debug)]
pub(crate) struct Room {
    budget: Budget,
    taken: Option<Permit>,
    /// Since when it goes on beyond the budget.
    urgent_since: Option<Instant>,
}

impl Room {
    /// Nothing yet.
    pub(crate) fn new(budget: Budget) -> Self {
        Self {
            budget,
            taken: None,
            urgent_since: None,
        }
    }

    /// Since when it goes on beyond the budget, so that others may be waiting for it.
    pub(crate) fn urgent_since(&self) -> Option<Instant> {
        self.urgent_since
    }

    /// Waits until there is room for the `held` bytes of the message at hand.
    pub(crate) async fn cover(&mut self, held: usize) {
        let wanted = held.saturating_sub(FREE_BYTES);
        if wanted == 0 {
            self.set(None);
            return;
        }
        let have = self.taken.as_ref().map_or(0, Permit::bytes);
        if have >= wanted || self.urgent_since.is_some() {
            return;
        }
        let mut more = self
            .budget
            .take_or_spare((wanted - have).max(GRAIN_BYTES))
            .await;
        if let Some(taken) = self.taken.take() {
            more.join(taken);
        }
        self.set(Some(more));
    }

    /// What goes along with a batch of `bytes`. Waits only if nothing was taken yet.
    pub(crate) async fn hand_on(&mut self, bytes: usize) -> Option<Permit> {
        if bytes == 0 {
            return None;
        }
        let Some(mut taken) = self.taken.take() else {
            return Some(self.budget.take_or_spare(bytes).await);
        };
        let part = taken.split(bytes);
        self.set(Some(taken).filter(|taken| taken.bytes() > 0));
        let mut part = part?;
        let missing = bytes.saturating_sub(part.bytes());
        if missing > 0
            && let Some(more) = self.budget.try_take(missing)
        {
            part.join(more);
        }
        Some(part)
    }

    fn set(&mut self, taken: Option<Permit>) {
        let is_urgent = taken.as_ref().is_some_and(Permit::has_spare);
        let since = self.urgent_since.take();
        self.urgent_since = is_urgent.then(|| since.unwrap_or_else(Instant::now));
        self.taken = taken;
    }
}
