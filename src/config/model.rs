//! A configuration in which everything is checked and every choice is made.

use std::sync::Arc;

use sdk::plugin::Descriptor;

use super::{BufferConfig, DeadLetterConfig, OnFailure, Service, StorePolicy, TagSet};

/// Name of the label that the top level is.
pub const ROOT: &str = "ROOT";
/// Name of the label that takes what filters could not handle.
pub const ERROR: &str = "ERROR";

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// What concerns the process as a whole.
    pub service: Service,
    /// In file order.
    pub sources: Vec<SourceSpec>,
    /// [`ROOT`] first, then in file order.
    pub labels: Vec<LabelSpec>,
}

/// A plugin with its parameters.
#[derive(Debug, Clone)]
pub struct PluginSpec {
    /// Unique among all components.
    pub id: Arc<str>,
    /// The plugin.
    pub descriptor: &'static Descriptor,
    /// Its own parameters: the table without the keys of the engine.
    pub params: serde_json::Value,
}

/// A `[[source]]`.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// The input.
    pub plugin: PluginSpec,
    /// The label that its records enter.
    pub label: Arc<str>,
    /// What happens when it fails; `None`: what `[service]` says.
    pub failure: Option<OnFailure>,
}

/// A `[label.NAME]`, or the top level.
#[derive(Debug, Clone)]
pub struct LabelSpec {
    /// Its name.
    pub name: Arc<str>,
    /// In file order.
    pub filters: Vec<FilterSpec>,
    /// In file order.
    pub matches: Vec<MatchSpec>,
}

/// A `[[filter]]`.
#[derive(Debug, Clone)]
pub struct FilterSpec {
    /// The tags it is for.
    pub tags: TagSet,
    /// The filter.
    pub plugin: PluginSpec,
}

/// A `[[match]]`.
#[derive(Debug, Clone)]
pub struct MatchSpec {
    /// The tags it takes.
    pub tags: TagSet,
    /// Where they go.
    pub target: TargetSpec,
}

/// Where a match sends its records.
#[derive(Debug, Clone)]
pub enum TargetSpec {
    /// Into another label, which exists.
    Relabel(Arc<str>),
    /// To an output.
    Output(Box<OutputSpec>),
    /// To each of these.
    Copy(Vec<StoreSpec>),
}

/// One store of a copy.
#[derive(Debug, Clone)]
pub struct StoreSpec {
    /// Whether the copy fails when this store cannot take the records.
    pub on_error: StorePolicy,
    /// Whether the copy waits when this store is full.
    pub on_full: StorePolicy,
    /// Where it sends them.
    pub target: TargetSpec,
}

/// An output and what surrounds it.
#[derive(Debug, Clone)]
pub struct OutputSpec {
    /// The output.
    pub plugin: PluginSpec,
    /// How records wait.
    pub buffer: BufferConfig,
    /// Where refused records go.
    pub dead_letter: DeadLetterConfig,
    /// What happens when its background work fails; `None`: what `[service]` says.
    pub failure: Option<OnFailure>,
}

/// What is counted in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// `[[source]]`
    pub sources: usize,
    /// `[[filter]]`, in all labels.
    pub filters: usize,
    /// `[[match]]`, in all labels.
    pub matches: usize,
    /// Outputs, those of stores included.
    pub outputs: usize,
}

impl Config {
    /// Counts the parts.
    pub fn counts(&self) -> Counts {
        fn outputs(target: &TargetSpec) -> usize {
            match target {
                TargetSpec::Relabel(_) => 0,
                TargetSpec::Output(_) => 1,
                TargetSpec::Copy(stores) => stores.iter().map(|store| outputs(&store.target)).sum(),
            }
        }
        let matches = || self.labels.iter().flat_map(|label| &label.matches);
        Counts {
            sources: self.sources.len(),
            filters: self.labels.iter().map(|label| label.filters.len()).sum(),
            matches: matches().count(),
            outputs: matches().map(|rule| outputs(&rule.target)).sum(),
        }
    }
}
