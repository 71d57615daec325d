//! Building the filters of a label: those that keep nothing, and stages.

use std::sync::Arc;

use sdk::{config::ConfigErrors, plugin::Build};

use super::{
    BuildError, FilterKind, FilterNode, Seat, Way,
    build::{Parts, wrong_kind},
    stage::{self, Counts, Rank, Stage},
    ways::Ways,
};
use crate::config::{FilterSpec, PluginSpec};

/// Where a filter stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Index of its label.
    pub(super) label: usize,
    /// The label's place in the order of relabels.
    pub(super) rank: usize,
    /// Its own place in the label.
    pub(super) filter: usize,
    /// By which ways batches come here.
    pub(super) ways: &'a Ways,
}

impl Place<'_> {
    fn seat(&self, way: Way, stage: Arc<Stage>) -> Seat {
        Seat {
            stage,
            label: self.label,
            rank: Rank {
                by_error: way.by_error,
                label: self.rank,
                filter: self.filter,
            },
        }
    }
}

/// Builds a filter. `lent` is the same filter in the graph that runs.
///
/// # Errors
/// [`BuildError`] when the plugin refuses its table.
pub(super) fn filter(
    parts: &Parts,
    spec: &FilterSpec,
    place: Place<'_>,
    lent: Option<&FilterNode>,
) -> Result<FilterNode, BuildError> {
    if let Some(lent) = lent.filter(|lent| matches!(lent.kind, FilterKind::Plain(_))) {
        return Ok(lent.clone());
    }
    let metrics = parts.metrics_of("filter", &spec.plugin);
    let count = |name, help| metrics.counter(name, help, &[]);
    let seen = count("filter_records_in", "Records that reached the filter");
    let passed = count("filter_records_out", "Records that left the filter");
    let failed = count("filter_errors", "Records that the filter could not handle");
    let cx = parts.build_cx(&spec.plugin, metrics.clone());
    let kind = match spec.plugin.descriptor.build {
        Build::Filter(make) => {
            let filter = make(spec.plugin.params.clone(), &cx);
            FilterKind::Plain(filter.map_err(|errors| refused(&spec.plugin, errors))?)
        }
        Build::Stateful(make) => {
            // Once on trial: what is wrong shall be known before anything runs.
            drop(
                make(spec.plugin.params.clone(), &cx)
                    .map_err(|errors| refused(&spec.plugin, errors))?,
            );
            let counts = Counts {
                seen: seen.clone(),
                passed: passed.clone(),
                failed: failed.clone(),
                held: metrics.gauge(
                    "filter_held_records",
                    "Records that the filter holds back",
                    &[],
                ),
            };
            let new = |way: &Way| {
                let (params, cx) = (spec.plugin.params.clone(), cx.clone());
                Arc::new(Stage::new(stage::Parts {
                    id: Arc::clone(&spec.plugin.id),
                    metrics: metrics.clone(),
                    on_failure: spec.failure,
                    way: *way,
                    make: Box::new(move || make(params.clone(), &cx)),
                    counts: counts.clone(),
                    account: parts.pipeline_account(),
                }))
            };
            let stage = |way: &Way| {
                let lent = lent.and_then(|lent| lent.stage(*way));
                place.seat(*way, lent.unwrap_or_else(|| new(way)))
            };
            FilterKind::Stages(place.ways.iter().map(stage).collect())
        }
        _ => return Err(wrong_kind(&spec.plugin)),
    };
    Ok(FilterNode {
        id: Arc::clone(&spec.plugin.id),
        kind,
        seen,
        passed,
        failed,
    })
}

fn refused(plugin: &PluginSpec, errors: ConfigErrors) -> BuildError {
    BuildError::Config {
        id: Arc::clone(&plugin.id),
        errors,
    }
}
