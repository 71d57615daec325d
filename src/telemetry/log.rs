//! Our own log: text on a terminal, JSON lines elsewhere; always on standard error.

use std::{io::IsTerminal as _, sync::LazyLock, time::Instant};

use tracing_subscriber::{
    EnvFilter, Layer as _, field::MakeExt as _, fmt::format::debug_fn, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{
    escape,
    limit::{LeftOut, RateLimit},
};

/// Libraries that put whole answers, with labels and annotations, into their lines.
const TALKATIVE: [&str; 1] = ["kube_client=off"];

static LIMIT: LazyLock<RateLimit> = LazyLock::new(RateLimit::default);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Style {
    /// Text on a terminal, JSON elsewhere.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// Starts the log. `level` is a level or a list of `target=level`; `WEIR_LOG` overrides it.
/// A second call does nothing.
pub fn start(style: Style, level: &str) {
    let filter = std::env::var("WEIR_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = TALKATIVE
        .iter()
        .filter_map(|target| target.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let limit: &'static RateLimit = &LIMIT;
    let started = match style {
        Style::Text => {
            let ansi = std::io::stderr().is_terminal();
            let lines = lines.fmt_fields(debug_fn(escape::field).delimited(" "));
            registry
                .with(lines.with_ansi(ansi).with_filter(limit))
                .try_init()
        }
        Style::Json => registry
            .with(lines.json().flatten_event(true).with_filter(limit))
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

/// Says how many lines were left out because a place repeated itself. Called once a second.
pub fn report_left_out() {
    for LeftOut { place, lines } in LIMIT.take_left_out(Instant::now()) {
        tracing::warn!(place, lines, "left out lines that said the same again");
    }
}
