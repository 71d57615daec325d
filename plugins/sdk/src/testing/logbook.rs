//! What a plugin says in the log, for tests that run it on their own thread.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, callsite,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, Interest},
};

/// The lines of this thread since it was opened: `LEVEL name=value ... message`.
#[derive(Debug, Clone)]
pub struct Logbook {
    level: Level,
    lines: Arc<Mutex<Vec<String>>>,
}

/// Is there from the first logbook on. While nobody listens, a place that logs for the first time is told for good that
/// nobody ever does, and a logbook that is opened in that moment would miss its lines.
static LISTENER: OnceLock<Dispatch> = OnceLock::new();

impl Logbook {
    /// Begins to write down what is at least as grave as `level`. Ends when the guard is dropped.
    pub fn open(level: Level) -> (Self, DefaultGuard) {
        let new = |level| Self {
            level,
            lines: Arc::default(),
        };
        LISTENER.get_or_init(|| Dispatch::new(new(Level::TRACE)));
        let logbook = new(level);
        let guard = tracing::subscriber::set_default(logbook.clone());
        callsite::rebuild_interest_cache();
        (logbook, guard)
    }

    /// The lines so far that hold this.
    pub fn lines(&self, part: &str) -> Vec<String> {
        let lines = self.lock();
        let wanted = lines.iter().filter(|line| line.contains(part));
        wanted.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Logbook {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!(
            "{}{} {}",
            event.metadata().level(),
            line.fields,
            line.message
        );
        self.lock().push(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    fields: String,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.message, "{value:?}").ok();
        } else {
            write!(self.fields, " {}={value:?}", field.name()).ok();
        }
    }
}
