//! What waits for the writer thread: batches to store, and frames that are done.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sdk::event::Batch;

use super::{chunk::Mark, window::Window};

/// A batch that was admitted.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    /// Bytes of its reservation.
    pub(super) reserved: u64,
    pub(super) arrived: tokio::time::Instant,
}

/// What the writer has to do.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) pending: VecDeque<Pending>,
    pub(super) done: Vec<Mark>,
    /// What recovery found out.
    pub(super) recovered: Option<Recovered>,
    /// Nobody uses the buffer any more.
    pub(super) ended: bool,
}

/// What recovery found out for the writer.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The messages that may come again.
    pub(super) window: Option<Window>,
    /// Nothing is left to be looked through.
    pub(super) is_over: bool,
}

/// The queue in front of the writer. Its length is bounded by the reservations, which are bounded by the limit.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    arrival: Condvar,
}

#[derive(Debug, Default)]
struct State {
    work: Work,
    poked: bool,
    /// Whether the writer sleeps; if not, it looks by itself before it does.
    sleeping: bool,
}

impl Inbox {
    /// A batch to store.
    pub(super) fn push(&self, pending: Pending) {
        self.change(|state| state.work.pending.push_back(pending));
    }

    /// Frames of which it is noted that they need not be kept.
    pub(super) fn done(&self, marks: impl IntoIterator<Item = Mark>) {
        self.change(|state| state.work.done.extend(marks));
    }

    /// What recovery found out.
    pub(super) fn recovered(&self, recovered: Recovered) {
        self.change(|state| {
            let before = state.work.recovered.take();
            let window = before.and_then(|before| before.window);
            state.work.recovered = Some(Recovered {
                window: recovered.window.or(window),
                ..recovered
            });
        });
    }

    /// The writer should look around.
    pub(super) fn poke(&self) {
        self.change(|state| state.poked = true);
    }

    /// The writer should finish what there is and end.
    pub(super) fn end(&self) {
        self.change(|state| state.work.ended = true);
    }

    /// Waits for work and takes all of it; `patience` is the longest wait. After the first batch it waits another
    /// `window` for more.
    pub(super) fn take(&self, patience: Option<Duration>, window: Option<Duration>) -> Work {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut state = self.lock();
        while !state.has_work() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            state = self.sleep(state, left);
        }
        if let Some(window) = window.filter(|_| !state.work.pending.is_empty()) {
            let until = Instant::now() + window;
            while !state.work.ended {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = self.sleep(state, Some(left));
            }
        }
        state.poked = false;
        let ended = state.work.ended;
        std::mem::replace(
            &mut state.work,
            Work {
                ended,
                ..Work::default()
            },
        )
    }

    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.sleeping = true;
        let mut state = match left {
            Some(left) => {
                self.arrival
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self
                .arrival
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
        };
        state.sleeping = false;
        state
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let wake = std::mem::take(&mut state.sleeping);
        drop(state);
        if wake {
            self.arrival.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_work(&self) -> bool {
        self.poked
            || self.work.ended
            || self.work.recovered.is_some()
            || !self.work.pending.is_empty()
            || !self.work.done.is_empty()
    }
}
