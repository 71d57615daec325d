//! The wall clock, handed in so that a test can turn it. Durations come from `tokio::time`, which tests can pause.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Time;

/// Where the wall-clock time comes from. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self(Arc::new(Time::now))
    }

    /// A clock that stands at `time` until the returned handle moves it.
    pub fn fixed(time: Time) -> (Self, Arc<Mutex<Time>>) {
        let hand = Arc::new(Mutex::new(time));
        let read = Arc::clone(&hand);
        (
            Self(Arc::new(move || {
                *read.lock().unwrap_or_else(PoisonError::into_inner)
            })),
            hand,
        )
    }

    /// The time now.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
