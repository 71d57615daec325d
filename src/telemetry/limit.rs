//! A limit on our own log: a place in the code that complains without end says so a few times, then is counted.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Event, Level, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::layer::{Context, Filter};

/// Lines of one place within one window.
const LINES_PER_WINDOW: u32 = 5;
/// How long a window lasts.
const WINDOW: Duration = Duration::from_secs(10);

/// Lets through the first lines of each place in each window. Only warnings and errors are limited.
#[derive(Debug, Default)]
pub(super) struct RateLimit(Mutex<HashMap<Identifier, Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    left_out: u64,
    place: &'static str,
}

/// What one place said too often.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The module of the place.
    pub(super) place: &'static str,
    /// Lines that were not written.
    pub(super) lines: u64,
}

impl RateLimit {
    fn admits(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(metadata.callsite()).or_insert(Window {
            began: now,
            lines: 0,
            left_out: 0,
            place: metadata.target(),
        });
        // What was left out is reported before a new window begins.
        if window.left_out == 0 && now.duration_since(window.began) >= WINDOW {
            window.began = now;
            window.lines = 0;
        }
        let admits = window.lines < LINES_PER_WINDOW;
        if admits {
            window.lines += 1;
        } else {
            window.left_out += 1;
        }
        admits
    }

    /// Places whose window is over and that had more to say; forgets them.
    pub(super) fn take_left_out(&self, now: Instant) -> Vec<LeftOut> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |window: &Window| now.duration_since(window.began) >= WINDOW;
        let ended = windows.extract_if(|_, window| over(window));
        let report = |(_, window): (Identifier, Window)| LeftOut {
            place: window.place,
            lines: window.left_out,
        };
        ended.map(report).filter(|left| left.lines > 0).collect()
    }
}

impl<S: Subscriber> Filter<S> for &'static RateLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        *event.metadata().level() > Level::WARN || self.admits(event.metadata(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

    use super::*;

    #[test]
    fn a_place_that_repeats_itself_is_cut_short_and_counted() {
        let limit: &'static RateLimit = Box::leak(Box::default());
        let written = std::sync::Arc::new(Mutex::new(Vec::new()));
        let lines = std::sync::Arc::clone(&written);
        let make = move || Lines(std::sync::Arc::clone(&lines));
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(make)
            .with_filter(limit);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..20 {
                tracing::warn!(number, "again");
                tracing::info!(number, "news");
            }
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("again").count(), LINES_PER_WINDOW as usize);
        assert_eq!(text.matches("news").count(), 20);
        assert_eq!(limit.take_left_out(Instant::now()), []);
        let left_out = limit.take_left_out(Instant::now() + WINDOW);
        let expected = LeftOut {
            place: "weir::telemetry::limit::tests",
            lines: 15,
        };
        assert_eq!(left_out, [expected]);
    }

    struct Lines(std::sync::Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
