//! What the operator sees of the connections: counters, and log lines that come seldom.

use std::{fmt, sync::Arc};

use forward_protocol::{Flaw, Flaws};
use sdk::{
    input::InputCx,
    metrics::{Counted, Counter, Gauge},
    sparing::Sparing,
};
use tls::Reload;

/// Counters and the log of one source.
#[derive(Debug)]
pub(crate) struct Report {
    source: Arc<str>,
    cx: InputCx,
    flaws: Vec<(Flaw, Counter)>,
    strays: Counter,
    /// Connections that are open.
    open: Gauge,
    accepted: Counter,
    acks: Counter,
    acks_dropped: Counter,
    said: Sparing,
}

impl Report {
    /// For the source of this context.
    pub(crate) fn new(cx: &InputCx) -> Self {
        let counter = |name, help| cx.metrics.counter(name, help, &[("direction", "in")]);
        Self {
            source: Arc::clone(&cx.id),
            flaws: Flaw::ALL
                .into_iter()
                .map(|flaw| (flaw, cx.invalid_records(flaw.reason())))
                .collect(),
            strays: cx.invalid_records("no_message"),
            open: cx.metrics.gauge(
                "forward_connections",
                "Open connections",
                &[("direction", "in")],
            ),
            accepted: counter(
                "forward_connections_accepted",
                "Connections that were accepted",
            ),
            acks: counter("forward_acks", "Acknowledgements sent"),
            acks_dropped: counter(
                "forward_acks_dropped",
                "Acknowledgements not sent because the sender reads none",
            ),
            said: Sparing::default(),
            cx: cx.clone(),
        }
    }

    /// A connection was accepted. It is open until what this returns is dropped.
    pub(crate) fn accepted(&self) -> Counted {
        self.accepted.inc();
        Counted::new(&self.open)
    }

    /// A connection ended. `reason` is from a closed list.
    pub(crate) fn closed(&self, reason: &'static str) {
        let labels = [("direction", "in"), ("reason", reason)];
        let help = "Connections that ended, by what ended them";
        self.cx
            .metrics
            .counter("forward_connections_closed", help, &labels)
            .inc();
    }

    /// A connection was not let in. `reason` is from a closed list.
    pub(crate) fn not_in(
        &self,
        reason: &'static str,
        peer: &dyn fmt::Display,
        error: &dyn fmt::Display,
    ) {
        let labels = [("direction", "in"), ("reason", reason)];
        let help = "Connections that failed in the TLS or the forward handshake";
        self.cx
            .metrics
            .counter("forward_handshake_failures", help, &labels)
            .inc();
        self.warn(reason, peer, error);
    }

    /// The files of TLS changed. What cannot be used is said in the log.
    pub(crate) fn tls_reload(&self, reload: &Reload<'_>) {
        let help = "Times that changed TLS files were read again";
        let result = match reload {
            Reload::Done => "ok",
            Reload::Failed { .. } => "failed",
        };
        let labels = [("direction", "in"), ("result", result)];
        self.cx
            .metrics
            .counter("forward_tls_reloads", help, &labels)
            .inc();
        match reload {
            Reload::Done => self.info(&"the changed TLS files are in use for new connections"),
            Reload::Failed { cert_path, error } => {
                let text = format!("{error}; what was read before stays in use");
                self.warn("tls_files", &cert_path.display(), &text);
            }
        }
    }

    /// Says something good in the log.
    pub(crate) fn info(&self, text: &dyn fmt::Display) {
        let source = &*self.source;
        tracing::info!(source, "{text}");
    }

    /// The journal of partial messages could not be written. Nothing of it is acknowledged.
    pub(crate) fn partial_journal(&self, error: &dyn fmt::Display) {
        let help = "Times that the journal of partial messages could not be written";
        let labels = [("direction", "in")];
        self.cx
            .metrics
            .counter("forward_partial_journal_failures", help, &labels)
            .inc();
        let text = format!("the journal of partial messages cannot be written: {error}");
        self.warn("partial_journal", &"", &text);
    }

    /// What the journal of partial messages held at the start.
    pub(crate) fn partial_found(&self, parts: usize, damaged_bytes: usize, torn_bytes: usize) {
        if damaged_bytes > 0 {
            let text = format!(
                "{damaged_bytes} bytes of the journal of partial messages are damaged and were passed over; \
                 parts.damaged is a copy"
            );
            self.warn("partial_damaged", &"", &text);
        }
        if parts > 0 || torn_bytes > 0 {
            let text = format!(
                "{parts} parts of lines wait for their rest; {torn_bytes} bytes that were never acknowledged were cut off"
            );
            self.info(&text);
        }
    }

    /// An acknowledgement was sent.
    pub(crate) fn ack(&self) {
        self.acks.inc();
    }

    /// An acknowledgement was not sent, since too many wait to be read by the sender.
    pub(crate) fn ack_dropped(&self, peer: &dyn fmt::Display) {
        self.acks_dropped.inc();
        self.warn(
            "acks_dropped",
            peer,
            &"the sender reads no acknowledgements: some are not sent to it",
        );
    }

    /// Events of a message were dropped.
    pub(crate) fn flaws(&self, flaws: &Flaws, peer: &dyn fmt::Display) {
        for (flaw, counter) in &self.flaws {
            let count = flaws.of(*flaw);
            if count > 0 {
                counter.inc_by(count.into());
                let text = format!(
                    "{count} invalid event(s) of a message were dropped: {}",
                    flaw.reason()
                );
                self.warn(flaw.reason(), peer, &text);
            }
        }
    }

    /// A value was no message.
    pub(crate) fn stray(&self, peer: &dyn fmt::Display) {
        self.strays.inc();
        self.warn(
            "no_message",
            peer,
            &"a value that is no message was passed over",
        );
    }

    /// A connection cannot go on: undecodable input, counted by reason.
    pub(crate) fn undecodable(
        &self,
        reason: &'static str,
        peer: &dyn fmt::Display,
        error: &dyn fmt::Display,
    ) {
        self.cx.invalid_records(reason).inc();
        self.warn(reason, peer, error);
    }

    /// Logs, but not more often than every few seconds for each reason.
    pub(crate) fn warn(
        &self,
        reason: &'static str,
        peer: &dyn fmt::Display,
        text: &dyn fmt::Display,
    ) {
        if let Some(unsaid) = self.said.may_say(reason) {
            let source = &*self.source;
            tracing::warn!(source, %peer, reason, unsaid, "{text}");
        }
    }
}
