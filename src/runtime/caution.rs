//! Safe mode: how outputs are started after a crash loop. Sources and buffers run as always, so nobody has to wait.
//! Outputs come one by one, each with a single worker, so that one chunk is under way at a time; the one that was being
//! started at the last crash comes last.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sdk::metrics::{Gauge, Metrics};
use tokio::time::Instant;

use super::{boot::Boot, outputs::Running};

/// How long an output may take to deliver something before the next one is started.
const TURN: Duration = Duration::from_secs(10);
/// How long it must go well before everything is as usual.
const CALM: Duration = Duration::from_mins(1);

/// Who is to be started, in this order.
pub(super) struct Caution {
    boot: Boot,
    gauge: Gauge,
    waiting: VecDeque<Arc<str>>,
    /// The one whose turn it is.
    turn: Option<Turn>,
    /// Since when everybody runs.
    calm_since: Option<Instant>,
}

struct Turn {
    id: Arc<str>,
    since: Instant,
    /// Chunks that it had settled before.
    settled: u64,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Wait,
    /// Start the output with this id.
    Start(Arc<str>),
    /// Everything is as usual again.
    Over,
}

impl Caution {
    /// For these outputs, in the order of the configuration; `None` when there was no crash loop.
    pub(super) fn new(boot: &Boot, ids: Vec<Arc<str>>, metrics: &Metrics) -> Option<Self> {
        let help = "Whether outputs are started one by one after a crash loop";
        let gauge = metrics.gauge("safe_mode", help, &[]);
        if !boot.is_crash_loop() {
            return None;
        }
        gauge.set(1);
        let (last, first): (Vec<_>, Vec<_>) = ids
            .into_iter()
            .partition(|id| boot.suspect() == Some(&**id));
        tracing::warn!(
            suspect = boot.suspect().unwrap_or("none"),
            "this process crashed again and again: safe mode; outputs are started one by one"
        );
        Some(Self {
            boot: boot.clone(),
            gauge,
            waiting: first.into_iter().chain(last).collect(),
            turn: None,
            calm_since: None,
        })
    }

    /// Looks whether somebody else may have a turn.
    pub(super) fn step(&mut self, running: &[Running]) -> Step {
        let now = Instant::now();
        if let Some(turn) = &self.turn {
            let output = running.iter().find(|running| running.node.id == turn.id);
            let has_shown = output.is_none_or(|running| turn.has_shown(running));
            if !has_shown && now - turn.since < TURN {
                return Step::Wait;
            }
            self.turn = None;
            self.boot.starting(None);
        }
        while let Some(id) = self.waiting.pop_front() {
            // A reload may have taken it away.
            let Some(output) = running.iter().find(|running| running.node.id == id) else {
                continue;
            };
            tracing::info!(output = %id, "safe mode: starting");
            self.boot.starting(Some(&id));
            self.turn = Some(Turn {
                id: Arc::clone(&id),
                since: now,
                settled: output.node.metrics.sent_batches.get(),
            });
            return Step::Start(id);
        }
        let since = *self.calm_since.get_or_insert(now);
        if now - since < CALM {
            return Step::Wait;
        }
        tracing::info!("safe mode is over");
        self.gauge.set(0);
        self.boot.settled();
        Step::Over
    }
}

impl Turn {
    /// Whether the output delivered something, or has nothing to deliver.
    fn has_shown(&self, running: &Running) -> bool {
        let node = &running.node;
        node.metrics.sent_batches.get() > self.settled || node.buffer.is_empty()
    }
}
