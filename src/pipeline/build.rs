//! From a checked configuration to a graph. The only place that constructs filters and outputs.

use std::{path::Path, sync::Arc};

use sdk::{
    clock::Clock,
    config::ConfigErrors,
    metrics::Metrics,
    plugin::{BuildCx, state_dir},
};

use super::{
    FilterKind, Label, Lender, Pipeline, Poison, Seat, Stage, Store, Target,
    build_filter::{self, Place},
    settings,
    ways::{self, Ways},
};
use crate::{
    buffer::{BufferError, BufferSettings, DeadLetterError},
    config::{
        Config, LabelSpec, MatchSpec, OutputSpec, PluginSpec, Registry, StoreSpec, TargetSpec,
    },
    output::{Means, OutputNode},
    router::{LabelRules, Router},
    telemetry::ledger::{Account, Holder, Ledger},
};

/// What a graph is built from besides its configuration.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The registry and the accounts.
    pub ledger: Ledger,
    /// The wall clock.
    pub clock: Clock,
    /// The name of this host.
    pub hostname: Arc<str>,
    /// `[service] data_dir`.
    pub data_dir: Arc<Path>,
    /// Every plugin there is.
    pub plugins: Registry,
}

/// A graph, and its stages and outputs for those who run them.
#[derive(Debug)]
pub struct Built {
    /// The way from the sources to the buffers.
    pub pipeline: Arc<Pipeline>,
    /// Every filter with memory, in the order in which records go through them.
    pub stages: Vec<Arc<Stage>>,
    /// Every output with what its supervisor needs.
    pub outputs: Vec<BuiltOutput>,
}

/// One output, and how it is run.
#[derive(Debug)]
pub struct BuiltOutput {
    /// The output: a new one, or one that was lent.
    pub node: Arc<OutputNode>,
    /// How it is to deliver from now on, when it was lent and changes.
    pub means: Option<Means>,
    /// What the configuration says.
    pub spec: OutputSpec,
    /// Carries the labels of the component.
    pub metrics: Metrics,
}

impl BuiltOutput {
    /// What its buffer is told.
    pub fn buffer_settings(&self) -> BufferSettings {
        settings::buffer(&self.spec.buffer)
    }
}

/// Why a graph could not be built. Configuration has been checked before, so this is about the disk.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A plugin refused its table; `weir check` says more.
    #[error("component {id:?}: {}", first(.errors))]
    Config {
        /// The component.
        id: Arc<str>,
        /// What it said.
        errors: ConfigErrors,
    },
    /// A buffer could not be opened.
    #[error("open the buffer of output {id:?}: {source}")]
    Buffer {
        /// The output.
        id: Arc<str>,
        /// The cause.
        source: BufferError,
    },
    /// A dead letter could not be opened.
    #[error("open the dead letter of output {id:?}: {source}")]
    DeadLetter {
        /// The output.
        id: Arc<str>,
        /// The cause.
        source: DeadLetterError,
    },
}

impl BuildError {
    /// The id of the component.
    pub fn component(&self) -> &Arc<str> {
        let (Self::Config { id, .. } | Self::Buffer { id, .. } | Self::DeadLetter { id, .. }) =
            self;
        id
    }
}

fn first(errors: &ConfigErrors) -> String {
    errors.first().map_or_else(String::new, |error| {
        format!("{}: {}", error.path, error.message)
    })
}

impl Parts {
    /// The registry with the labels of a component.
    pub fn metrics_of(&self, kind: &str, plugin: &PluginSpec) -> Metrics {
        let labels = [
            ("component_id", &*plugin.id),
            ("component_kind", kind),
            ("component_type", plugin.descriptor.name),
        ];
        self.ledger.metrics().with(&labels)
    }

    fn pipeline_metrics(&self) -> Metrics {
        self.ledger.metrics().with(&[
            ("component_id", "pipeline"),
            ("component_kind", "pipeline"),
            ("component_type", "pipeline"),
        ])
    }

    /// The page of the way from the sources to the buffers. Every graph has the same.
    pub(super) fn pipeline_account(&self) -> Account {
        let metrics = self.pipeline_metrics();
        self.ledger.open(Holder::Pipeline, &metrics)
    }

    /// What the builder of a plugin is given.
    pub fn build_cx(&self, plugin: &PluginSpec, metrics: Metrics) -> BuildCx {
        BuildCx {
            id: Arc::clone(&plugin.id),
            // What it says was looked at when the file was read.
            type_name: None,
            metrics,
            clock: self.clock.clone(),
            hostname: Arc::clone(&self.hostname),
            data_dir: self.data_dir.to_path_buf(),
            state_dir: Some(state_dir(&self.data_dir, &plugin.id)),
            plugins: self.plugins,
        }
    }
}

/// Builds the graph and opens its buffers, but for what `lender` lends. Blocking: recovery reads what is on disk.
///
/// # Errors
/// [`BuildError`] of the first component that fails; nothing that was lent is changed.
pub fn build(config: &Config, parts: &Parts, lender: Option<&Lender>) -> Result<Built, BuildError> {
    let mut builder = Builder {
        config,
        parts,
        lender,
        outputs: Vec::new(),
    };
    let mut labels = Vec::new();
    let mut rules = Vec::new();
    let ranks = ways::ranks(config);
    let ways = ways::ways(config);
    for (index, label) in config.labels.iter().enumerate() {
        let place = Place {
            label: index,
            rank: ranks.get(index).copied().unwrap_or_default(),
            filter: 0,
            ways: ways.get(index).unwrap_or(&NO_WAYS),
        };
        labels.push(builder.label(label, place)?);
        rules.push(LabelRules {
            filters: label
                .filters
                .iter()
                .map(|filter| filter.tags.clone())
                .collect(),
            matches: label.matches.iter().map(|rule| rule.tags.clone()).collect(),
        });
    }
    let seats = seats(&labels);
    let metrics = parts.pipeline_metrics();
    let help = "Records whose tag no match takes";
    let pipeline = Pipeline {
        router: Router::new(rules),
        labels,
        error_label: builder.label_index("ERROR"),
        account: parts.pipeline_account(),
        unmatched: metrics.counter("unmatched_records", help, &[]),
        poison: Poison::default(),
        panics: metrics.counter(
            "panics",
            "Panics that were fenced in",
            &[("where", "filter")],
        ),
        seats,
    };
    let stages = pipeline.seats.iter().map(|seat| Arc::clone(&seat.stage));
    Ok(Built {
        stages: stages.collect(),
        pipeline: Arc::new(pipeline),
        outputs: builder.outputs,
    })
}

/// Of a label that nothing reaches.
static NO_WAYS: Ways = Ways::new();

fn seats(labels: &[Label]) -> Vec<Seat> {
    let filters = labels.iter().flat_map(|label| &label.filters);
    let mut seats: Vec<_> = filters
        .flat_map(|filter| match &filter.kind {
            FilterKind::Plain(_) => &[],
            FilterKind::Stages(seats) => seats.as_slice(),
        })
        .cloned()
        .collect();
    seats.sort_by_key(|seat| seat.rank);
    seats
}

pub(super) struct Builder<'a> {
    config: &'a Config,
    pub(super) parts: &'a Parts,
    pub(super) lender: Option<&'a Lender>,
    pub(super) outputs: Vec<BuiltOutput>,
}

impl Builder<'_> {
    fn label_index(&self, name: &str) -> Option<usize> {
        self.config
            .labels
            .iter()
            .position(|label| &*label.name == name)
    }

    fn label(&mut self, label: &LabelSpec, place: Place<'_>) -> Result<Label, BuildError> {
        let filters = label
            .filters
            .iter()
            .enumerate()
            .map(|(filter, spec)| {
                let lent = self
                    .lender
                    .and_then(|lender| lender.filter(&spec.plugin.id));
                build_filter::filter(self.parts, spec, Place { filter, ..place }, lent)
            })
            .collect::<Result<_, _>>()?;
        let mut targets = Vec::new();
        for MatchSpec { target, .. } in &label.matches {
            targets.push(self.target("match", target)?);
        }
        let help = "Time of all filters of a label on a batch";
        Ok(Label {
            name: Arc::clone(&label.name),
            filter_seconds: self.parts.ledger.metrics().histogram(
                "filter_duration_seconds",
                help,
                &[("route", &label.name)],
            ),
            filters,
            targets,
        })
    }

    fn target(&mut self, kind: &str, target: &TargetSpec) -> Result<Target, BuildError> {
        Ok(match target {
            TargetSpec::Relabel(label) => {
                Target::Relabel(self.label_index(label).unwrap_or(usize::MAX))
            }
            TargetSpec::Output(spec) => Target::Output(self.output(kind, spec)?),
            TargetSpec::Copy(specs) => {
                let mut stores = Vec::new();
                for spec in specs {
                    let StoreSpec { target, .. } = spec;
                    stores.push(Store {
                        target: self.target("store", target)?,
                        leniency: ways::leniency(spec),
                    });
                }
                Target::Copy(stores)
            }
        })
    }
}

/// The checker refuses such a configuration, so nobody sees this.
pub(super) fn wrong_kind(plugin: &PluginSpec) -> BuildError {
    BuildError::Config {
        id: Arc::clone(&plugin.id),
        errors: Vec::new(),
    }
}
