//! What a source of lines counts and says.

use sdk::{
    input::{EmitError, InputCx},
    metrics::{Counted, Counter, Gauge},
    sparing::Sparing,
};

/// Counters, and a log that does not repeat itself.
#[derive(Debug)]
pub struct Report {
    cx: InputCx,
    open: Gauge,
    accepted: Counter,
    said: Sparing,
}

impl Report {
    pub(crate) fn new(cx: &InputCx) -> Self {
        let open = cx
            .metrics
            .gauge("input_connections", "Connections that are open", &[]);
        let accepted = cx.metrics.counter(
            "input_connections_accepted",
            "Connections that were accepted",
            &[],
        );
        Self {
            cx: cx.clone(),
            open,
            accepted,
            said: Sparing::default(),
        }
    }

    /// Counts messages that could not be used as they came, with their reason: `unmatched`, `cut`, `framing`.
    pub fn invalid(&self, reason: &'static str) {
        self.cx.invalid_records(reason).inc();
    }

    /// The same, and says so in the log now and then.
    pub fn warn(&self, reason: &'static str, text: &str) {
        self.invalid(reason);
        self.say(reason, text);
    }

    /// A connection was accepted. It is open until what this returns is dropped.
    pub(crate) fn accepted(&self) -> Counted {
        self.accepted.inc();
        Counted::new(&self.open)
    }

    pub(crate) fn lost(&self, reason: &'static str, count: u64) {
        self.cx
            .metrics
            .counter(
                "input_lost_records",
                "Records that were received and could not be stored",
                &[("reason", reason)],
            )
            .inc_by(count);
        self.say(
            reason,
            &format!("{count} records could not be stored ({reason})"),
        );
    }

    pub(crate) fn refused(&self, error: &EmitError) {
        self.say(
            "refused",
            &format!("records were refused and are offered again: {error}"),
        );
    }

    pub(crate) fn closed(&self, reason: &'static str, text: &str) {
        let name = "input_connections_closed";
        let about = "Connections that this side closed before their end, by reason";
        self.cx
            .metrics
            .counter(name, about, &[("reason", reason)])
            .inc();
        self.say(reason, text);
    }

    /// Logs once in a while for each kind.
    pub(crate) fn say(&self, kind: &'static str, text: &str) {
        if self.said.may_say(kind).is_some() {
            tracing::warn!(source = %self.cx.id, "{text}");
        }
    }
}
