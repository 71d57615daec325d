//! `durability = "interval"`: what is written is promised at once and synced a while later.

use std::time::{Duration, Instant};

use super::{log::Trouble, settings::Durability, writer::Writer};

/// What was promised and is not synced yet.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// When the oldest of it was about to be written.
    since: Option<Instant>,
}

impl Writer {
    /// How long the next sync may still wait; `None` when there is nothing to sync.
    pub(super) fn until_sync(&self) -> Option<Duration> {
        let since = self.lag.since?;
        Some(match self.shared.settings().durability {
            Durability::Interval(interval) => interval.saturating_sub(since.elapsed()),
            // It was promised when syncs could wait.
            Durability::Commit | Durability::Os | Durability::Delivered => Duration::ZERO,
        })
    }

    /// A group was committed that was about to be written at this moment.
    pub(super) fn committed(&mut self, start: Instant) {
        match self.shared.settings().durability {
            Durability::Interval(_) => drop(self.lag.since.get_or_insert(start)),
            Durability::Commit => {
                self.shared.metrics.syncs.inc();
                self.mending.works();
            }
            Durability::Os | Durability::Delivered => self.mending.works(),
        }
    }

    /// Syncs when something was written an interval ago.
    pub(super) fn sync_in_time(&mut self) {
        let is_due = self.until_sync().is_some_and(|left| left.is_zero());
        if is_due && let Err(Trouble::Failed(reason)) = self.sync_written() {
            self.strike(&reason);
        }
    }

    /// Syncs what was written and not synced yet, if that is for us to do. If it fails, what was promised meanwhile is
    /// still read and delivered, but a power cut may take it.
    pub(super) fn sync_written(&mut self) -> Result<(), Trouble> {
        if self.lag.since.take().is_none() {
            return Ok(());
        }
        #[cfg(feature = "defects")]
        if crate::telemetry::defects::is_on("interval_never_syncs") {
            return Ok(());
        }
        let Some(disk) = &mut self.disk else {
            return Ok(());
        };
        self.shared.metrics.syncs.inc();
        let synced = disk.log.sync();
        match &synced {
            Ok(()) => self.mending.works(),
            Err(_) => drop(self.shared.metrics.abandoned_segments.inc()),
        }
        synced
    }
}
