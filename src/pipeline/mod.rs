//! From a source to the buffers: the graph, how it is built, and the way of a batch through it.
//!
//! Begin with `emit.rs`, the hot path. `plan.rs` runs filters and follows matches without waiting,
//! `admit.rs` reserves room everywhere before anything is stored anywhere, `stage.rs` is a filter with memory, and
//! `build.rs` with `build_filter.rs` is the only place that constructs plugins. `current.rs` is where a reload puts
//! another graph in the place of this one, and `lender.rs` says what of this one goes into that.

mod admit;
mod build;
mod build_filter;
mod build_output;
mod current;
mod emit;
mod lender;
mod pause;
mod plan;
mod poison;
mod queue;
mod settings;
mod stage;
mod ways;

use std::sync::Arc;

use sdk::{
    filter::Filter,
    metrics::{Counter, Histogram},
};

pub use self::build::{BuildError, Built, BuiltOutput, Parts, build};
pub use self::current::{Current, Switch};
pub use self::emit::SourceEmit;
pub use self::lender::Lender;
pub use self::stage::Stage;
use self::{poison::Poison, stage::Rank};
use crate::{output::OutputNode, router::Router, telemetry::ledger::Account};

/// The running graph below the sources. Shared by all connections.
#[derive(Debug)]
pub struct Pipeline {
    router: Router,
    labels: Vec<Label>,
    /// Index of the `ERROR` label, where the configuration has one.
    error_label: Option<usize>,
    /// The stages, in the order in which records go through them.
    seats: Vec<Seat>,
    account: Account,
    unmatched: Counter,
    poison: Poison,
    panics: Counter,
}

/// One label: its filters and its matches, in file order.
#[derive(Debug)]
struct Label {
    name: Arc<str>,
    /// Time of all filters of the label on a batch.
    filter_seconds: Histogram,
    filters: Vec<FilterNode>,
    targets: Vec<Target>,
}

/// A filter with what it counts.
#[derive(Clone)]
struct FilterNode {
    id: Arc<str>,
    kind: FilterKind,
    seen: Counter,
    passed: Counter,
    failed: Counter,
}

/// What a filter is to the graph.
#[derive(Clone)]
enum FilterKind {
    /// It keeps nothing: it runs in the task of the sender.
    Plain(Arc<dyn Filter>),
    /// It has memory: one stage for each way by which batches come, so that what the copies of a record are forgiven
    /// does not mix.
    Stages(Vec<Seat>),
}

/// A stage, and where it stands in this graph. In the next one it may stand elsewhere.
#[derive(Debug, Clone)]
struct Seat {
    stage: Arc<Stage>,
    /// Index of its label.
    label: usize,
    rank: Rank,
}

/// Where a match sends its batches.
#[derive(Debug)]
enum Target {
    Output(Arc<OutputNode>),
    /// Index of the label.
    Relabel(usize),
    Copy(Vec<Store>),
}

/// One store of a copy.
#[derive(Debug)]
struct Store {
    target: Target,
    leniency: Leniency,
}

/// How a batch came to where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Way {
    /// What the stores on the way are forgiven.
    leniency: Leniency,
    /// Whether it came through the `ERROR` label. What fails again ends, so that nothing goes in circles.
    by_error: bool,
}

impl Way {
    /// The way of what a filter could not handle.
    const FAILED: Self = Self {
        leniency: Leniency {
            ignore_error: false,
            ignore_full: false,
        },
        by_error: true,
    };

    /// Further through a store.
    fn through(self, leniency: Leniency) -> Self {
        Self {
            leniency: self.leniency.and(leniency),
            ..self
        }
    }
}

/// What a store may be forgiven without failing the whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Leniency {
    /// `on_error = "ignore"`
    ignore_error: bool,
    /// `on_full = "ignore"`
    ignore_full: bool,
}

impl Leniency {
    /// A store inside a store is forgiven what either of them is forgiven.
    fn and(self, other: Self) -> Self {
        Self {
            ignore_error: self.ignore_error || other.ignore_error,
            ignore_full: self.ignore_full || other.ignore_full,
        }
    }
}

impl std::fmt::Debug for FilterNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FilterNode")
    }
}
