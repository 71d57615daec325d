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
#[derive(Debug, Clone, PartialEq)]
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
    /// What happens when it fails, if it has memory; `None`: what `[service]` says.
    pub failure: Option<OnFailure>,
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
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// The output.
    pub plugin: PluginSpec,
    /// How records wait.
    pub buffer: BufferConfig,
    /// Where refused records go.
    pub dead_letter: DeadLetterConfig,
    /// The output that gets what this one could not deliver.
    pub secondary: Option<PluginSpec>,
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

impl PartialEq for PluginSpec {
    fn eq(&self, other: &Self) -> bool {
        let is_same_type = self.descriptor.name == other.descriptor.name;
        self.id == other.id && is_same_type && self.params == other.params
    }
}

impl FilterSpec {
    /// Whether both do the same, whichever tags they are for.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.plugin == other.plugin && self.failure == other.failure
    }
}

impl Config {
    /// Every filter, label by label, in file order.
    pub fn filters(&self) -> Vec<&FilterSpec> {
        self.labels
            .iter()
            .flat_map(|label| &label.filters)
            .collect()
    }

    /// The plugin of every output, those of stores included, in file order.
    pub fn outputs(&self) -> Vec<&PluginSpec> {
        let specs = self.output_specs().into_iter();
        specs.map(|output| &output.plugin).collect()
    }

    /// Every output, those of stores included, in file order.
    pub fn output_specs(&self) -> Vec<&OutputSpec> {
        fn add<'a>(target: &'a TargetSpec, all: &mut Vec<&'a OutputSpec>) {
            match target {
                TargetSpec::Relabel(_) => {}
                TargetSpec::Output(output) => all.push(output),
                TargetSpec::Copy(stores) => {
                    for store in stores {
                        add(&store.target, all);
                    }
                }
            }
        }
        let mut all = Vec::new();
        for rule in self.labels.iter().flat_map(|label| &label.matches) {
            add(&rule.target, &mut all);
        }
        all
    }

    /// The ids of outputs that nobody waits for when they are full: stores with `on_full = "ignore"`.
    pub fn forgiven_outputs(&self) -> Vec<Arc<str>> {
        fn add(target: &TargetSpec, is_forgiven: bool, all: &mut Vec<Arc<str>>) {
            match target {
                TargetSpec::Output(output) if is_forgiven => {
                    all.push(Arc::clone(&output.plugin.id));
                }
                TargetSpec::Copy(stores) => {
                    for store in stores {
                        let is_forgiven = is_forgiven || store.on_full == StorePolicy::Ignore;
                        add(&store.target, is_forgiven, all);
                    }
                }
                TargetSpec::Output(_) | TargetSpec::Relabel(_) => {}
            }
        }
        let mut all = Vec::new();
        for rule in self.labels.iter().flat_map(|label| &label.matches) {
            add(&rule.target, false, &mut all);
        }
        all
    }

    /// Whether there is a component with this id.
    pub fn has_component(&self, id: &str) -> bool {
        let sources = self.sources.iter().map(|source| &source.plugin);
        let filters = self.filters().into_iter().map(|filter| &filter.plugin);
        let outputs = self.output_specs().into_iter();
        let secondaries = outputs.filter_map(|output| output.secondary.as_ref());
        let mut all = sources
            .chain(filters)
            .chain(self.outputs())
            .chain(secondaries);
        all.any(|plugin| &*plugin.id == id)
    }

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
