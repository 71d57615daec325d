//! From a source to the buffers: the graph, how it is built, and the way of a batch through it.
//!
//! Begin with `emit.rs`, the hot path. `plan.rs` runs filters and follows matches without waiting,
//! `admit.rs` reserves room everywhere before anything is stored anywhere, and `build.rs` is the only
//! place that constructs plugins.

mod admit;
mod build;
mod emit;
mod plan;
mod settings;

use std::sync::Arc;

use sdk::{filter::Filter, metrics::Counter};

pub use self::build::{BuildError, Built, BuiltOutput, Parts, build};
pub use self::emit::SourceEmit;
use crate::{output::OutputNode, router::Router, telemetry::ledger::Account};

/// The running graph below the sources. Shared by all connections.
#[derive(Debug)]
pub struct Pipeline {
    router: Router,
    labels: Vec<Label>,
    /// Index of the `ERROR` label, where the configuration has one.
    error_label: Option<usize>,
    account: Account,
    unmatched: Counter,
}

/// One label: its filters and its matches, in file order.
#[derive(Debug)]
struct Label {
    name: Arc<str>,
    filters: Vec<FilterNode>,
    targets: Vec<Target>,
}

/// A filter with what it counts.
struct FilterNode {
    filter: Arc<dyn Filter>,
    seen: Counter,
    passed: Counter,
    failed: Counter,
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
