//! What the operator sees of the requests: counters, and log lines that come seldom.

use std::{fmt, sync::Arc};

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
    open: Gauge,
    accepted: Counter,
    said: Sparing,
}

impl Report {
    /// For the source of this context.
    pub(crate) fn new(cx: &InputCx) -> Self {
        let labels = [("direction", "in")];
        let metrics = &cx.metrics;
        Self {
            source: Arc::clone(&cx.id),
            open: metrics.gauge("http_connections", "Open connections", &labels),
            accepted: metrics.counter(
                "http_connections_accepted",
                "Connections that were accepted",
                &labels,
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

    /// A connection was closed for a reason from a closed list.
    pub(crate) fn closed(&self, reason: &'static str) {
        let labels = [("direction", "in"), ("reason", reason)];
        let help = "Connections that were closed from this side, by reason";
        let counter = self
            .cx
            .metrics
            .counter("http_connections_closed", help, &labels);
        counter.inc();
    }

    /// A request was answered.
    pub(crate) fn answered(&self, code: u16) {
        let code = code.to_string();
        let labels = [("direction", "in"), ("code", code.as_str())];
        let help = "Requests that were answered, by status";
        self.cx
            .metrics
            .counter("http_requests", help, &labels)
            .inc();
    }

    /// A body held no records, for a reason from a closed list.
    pub(crate) fn invalid(&self, reason: &'static str) {
        self.cx.invalid_records(reason).inc();
    }

    /// The files of TLS changed.
    pub(crate) fn tls_reload(&self, reload: &Reload<'_>) {
        let result = match reload {
            Reload::Done => "ok",
            Reload::Failed { .. } => "failed",
        };
        let labels = [("direction", "in"), ("result", result)];
        let help = "Times that changed TLS files were read again";
        self.cx
            .metrics
            .counter("http_tls_reloads", help, &labels)
            .inc();
        if let Reload::Failed { cert_path, error } = reload {
            let text = format!("{error}; what was read before stays in use");
            self.warn("tls_files", &cert_path.display(), &text);
        }
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
