//! What a graph that runs lends to the one that takes its place: filters that stay, with what they remember, and
//! outputs, with what waits in their buffers.

use std::sync::Arc;

use sdk::plugin::Kind;

use super::{FilterKind, FilterNode, Pipeline, Stage, Way};
use crate::{
    config::{Change, Diff, OutputSpec},
    output::OutputNode,
};

/// Lends parts of a running graph.
#[derive(Debug, Clone)]
pub struct Lender {
    /// What changes.
    pub diff: Arc<Diff>,
    /// The graph below the sources.
    pub pipeline: Arc<Pipeline>,
    /// Its outputs, and those of earlier ones that have not ended yet.
    pub outputs: Vec<(Arc<OutputNode>, OutputSpec)>,
}

impl Lender {
    /// The filter with this id, if it stays as it is.
    pub(super) fn filter(&self, id: &Arc<str>) -> Option<&FilterNode> {
        if self.diff.of(Kind::Filter, id) != Change::Kept {
            return None;
        }
        let mut filters = self.pipeline.labels.iter().flat_map(|label| &label.filters);
        filters.find(|filter| filter.id == *id)
    }

    /// The output whose buffer is also that of this one; whether all of it stays as it is.
    pub(super) fn output(&self, spec: &OutputSpec) -> Option<(Arc<OutputNode>, bool)> {
        let mut outputs = self.outputs.iter();
        let (node, before) = outputs.find(|(_, before)| before.shares_buffer_with(spec))?;
        Some((Arc::clone(node), before == spec))
    }
}

impl FilterNode {
    /// Its stage for batches that come by this way.
    pub(super) fn stage(&self, way: Way) -> Option<Arc<Stage>> {
        let FilterKind::Stages(seats) = &self.kind else {
            return None;
        };
        let seat = seats.iter().find(|seat| seat.stage.way == way)?;
        Some(Arc::clone(&seat.stage))
    }
}
