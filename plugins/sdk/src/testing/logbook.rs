//! What an input says in the log, for tests that run it on their own thread.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

/// The lines of this thread since it was opened: `LEVEL name=value ... message`.
#[derive(Clone, Default)]
pub(super) struct Logbook(Arc<Mutex<Vec<String>>>);

impl Logbook {
    /// Begins to write down. Ends when the guard is dropped.
    pub(super) fn open() -> (Self, DefaultGuard) {
        let logbook = Self::default();
        let guard = tracing::subscriber::set_default(logbook.clone());
        (logbook, guard)
    }

    /// The lines so far that hold this.
    pub(super) fn lines(&self, part: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines
            .iter()
            .filter(|line| line.contains(part))
            .cloned()
            .collect()
    }
}

impl Subscriber for Logbook {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
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
        self.0.lock().unwrap().push(text);
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
            write!(self.message, "{value:?}").unwrap();
        } else {
            write!(self.fields, " {}={value:?}", field.name()).unwrap();
        }
    }
}
