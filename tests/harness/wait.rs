//! Waiting for a condition with a deadline, never for a fixed time.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// Between two looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` finds something, and returns it.
///
/// # Panics
/// When the deadline has passed.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    patience_secs: u64,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(patience_secs);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {patience_secs} s"
        );
        thread::sleep(LOOK_EVERY);
    }
}

/// Looks until `look` gives `expected`.
///
/// # Panics
/// When the deadline has passed; the message has the last value seen.
#[track_caller]
pub(crate) fn holds<T: PartialEq + Debug>(
    what: &str,
    patience_secs: u64,
    expected: &T,
    mut look: impl FnMut() -> T,
) {
    let deadline = Instant::now() + Duration::from_secs(patience_secs);
    loop {
        let seen = look();
        if seen == *expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {patience_secs} s; expected {expected:?}, last saw {seen:?}"
        );
        thread::sleep(LOOK_EVERY);
    }
}
