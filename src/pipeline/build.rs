//! From a checked configuration to a graph. The only place that constructs filters and outputs.

use std::{path::Path, sync::Arc};

use sdk::{
    clock::Clock,
    config::ConfigErrors,
    metrics::Metrics,
    plugin::{Build, BuildCx, state_dir},
};

use super::{FilterNode, Label, Leniency, Pipeline, Store, Target, settings};
use crate::{
    buffer::{Buffer, BufferError, DeadLetter, DeadLetterError},
    config::{
        Config, DeadLetterConfig, DeadLetterFull, DeadLetterKind, FilterSpec, LabelSpec, MatchSpec,
        OnFailure, OutputSpec, PluginSpec, StorePolicy, StoreSpec, TargetSpec,
    },
    output::{OutputMetrics, OutputNode},
    router::{LabelRules, Router},
    telemetry::ledger::{Holder, Ledger},
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
}

/// A graph, and its outputs for those who run them.
#[derive(Debug)]
pub struct Built {
    /// The way from the sources to the buffers.
    pub pipeline: Arc<Pipeline>,
    /// Every output with what its supervisor needs.
    pub outputs: Vec<BuiltOutput>,
}

/// One output, and how it is run.
#[derive(Debug)]
pub struct BuiltOutput {
    /// The output.
    pub node: Arc<OutputNode>,
    /// What happens when its background work fails.
    pub on_failure: Option<OnFailure>,
    /// Whether its records must leave before the process ends.
    pub flush_at_shutdown: bool,
    /// Carries the labels of the component.
    pub metrics: Metrics,
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

    /// What the builder of a plugin is given.
    pub fn build_cx(&self, plugin: &PluginSpec, metrics: Metrics) -> BuildCx {
        BuildCx {
            id: Arc::clone(&plugin.id),
            metrics,
            clock: self.clock.clone(),
            hostname: Arc::clone(&self.hostname),
            data_dir: self.data_dir.to_path_buf(),
            state_dir: Some(state_dir(&self.data_dir, &plugin.id)),
        }
    }
}

/// Builds the graph and opens its buffers. Blocking: recovery reads what is on disk.
///
/// # Errors
/// [`BuildError`] of the first component that fails.
pub fn build(config: &Config, parts: &Parts) -> Result<Built, BuildError> {
    let mut builder = Builder {
        config,
        parts,
        outputs: Vec::new(),
    };
    let mut labels = Vec::new();
    let mut rules = Vec::new();
    for label in &config.labels {
        labels.push(builder.label(label)?);
        rules.push(LabelRules {
            filters: label
                .filters
                .iter()
                .map(|filter| filter.tags.clone())
                .collect(),
            matches: label.matches.iter().map(|rule| rule.tags.clone()).collect(),
        });
    }
    let metrics = parts.ledger.metrics().with(&[
        ("component_id", "pipeline"),
        ("component_kind", "pipeline"),
        ("component_type", "pipeline"),
    ]);
    let pipeline = Pipeline {
        router: Router::new(rules),
        labels,
        error_label: builder.label_index("ERROR"),
        account: parts.ledger.open(Holder::Pipeline, &metrics),
        unmatched: metrics.counter("unmatched_records", "Records whose tag no match takes", &[]),
    };
    Ok(Built {
        pipeline: Arc::new(pipeline),
        outputs: builder.outputs,
    })
}

struct Builder<'a> {
    config: &'a Config,
    parts: &'a Parts,
    outputs: Vec<BuiltOutput>,
}

impl Builder<'_> {
    fn label_index(&self, name: &str) -> Option<usize> {
        self.config
            .labels
            .iter()
            .position(|label| &*label.name == name)
    }

    fn label(&mut self, label: &LabelSpec) -> Result<Label, BuildError> {
        let filters = label
            .filters
            .iter()
            .map(|filter| self.filter(filter))
            .collect::<Result<_, _>>()?;
        let mut targets = Vec::new();
        for MatchSpec { target, .. } in &label.matches {
            targets.push(self.target("match", target)?);
        }
        Ok(Label {
            name: Arc::clone(&label.name),
            filters,
            targets,
        })
    }

    fn filter(&self, spec: &FilterSpec) -> Result<FilterNode, BuildError> {
        let metrics = self.parts.metrics_of("filter", &spec.plugin);
        let count = |name, help| metrics.counter(name, help, &[]);
        let seen = count("filter_records_in", "Records that reached the filter");
        let passed = count("filter_records_out", "Records that left the filter");
        let failed = count("filter_errors", "Records that the filter could not handle");
        let Build::Filter(make) = spec.plugin.descriptor.build else {
            return Err(wrong_kind(&spec.plugin));
        };
        let filter = make(
            spec.plugin.params.clone(),
            &self.parts.build_cx(&spec.plugin, metrics.clone()),
        )
        .map_err(|errors| BuildError::Config {
            id: Arc::clone(&spec.plugin.id),
            errors,
        })?;
        Ok(FilterNode {
            filter,
            seen,
            passed,
            failed,
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
                for StoreSpec {
                    on_error,
                    on_full,
                    target,
                } in specs
                {
                    let leniency = Leniency {
                        ignore_error: *on_error == StorePolicy::Ignore,
                        ignore_full: *on_full == StorePolicy::Ignore,
                    };
                    stores.push(Store {
                        target: self.target("store", target)?,
                        leniency,
                    });
                }
                Target::Copy(stores)
            }
        })
    }

    fn output(&mut self, kind: &str, spec: &OutputSpec) -> Result<Arc<OutputNode>, BuildError> {
        let id = &spec.plugin.id;
        let metrics = self.parts.metrics_of(kind, &spec.plugin);
        let Build::Output(make, _) = spec.plugin.descriptor.build else {
            return Err(wrong_kind(&spec.plugin));
        };
        let plugin = make(
            spec.plugin.params.clone(),
            &self.parts.build_cx(&spec.plugin, metrics.clone()),
        )
        .map_err(|errors| BuildError::Config {
            id: Arc::clone(id),
            errors,
        })?;
        let account = self.parts.ledger.open(Holder::Output, &metrics);
        let buffer = Buffer::open(
            settings::buffer(&spec.buffer),
            Arc::clone(id),
            account.clone(),
            &metrics,
        )
        .map_err(|source| BuildError::Buffer {
            id: Arc::clone(id),
            source,
        })?;
        let node = Arc::new(OutputNode {
            id: Arc::clone(id),
            plugin,
            buffer,
            account,
            dead_letter: dead_letter(id, &spec.dead_letter, &metrics)?,
            drop_when_dead_letter_full: spec.dead_letter.on_full == DeadLetterFull::Drop,
            retry: settings::retry(&spec.buffer),
            flush_thread_count: spec.buffer.flush_thread_count,
            metrics: OutputMetrics::new(&metrics),
        });
        self.outputs.push(BuiltOutput {
            node: Arc::clone(&node),
            on_failure: spec.failure,
            flush_at_shutdown: spec.buffer.flush_at_shutdown,
            metrics,
        });
        Ok(node)
    }
}

fn dead_letter(
    id: &Arc<str>,
    config: &DeadLetterConfig,
    metrics: &Metrics,
) -> Result<Option<Arc<DeadLetter>>, BuildError> {
    if config.kind == DeadLetterKind::None {
        return Ok(None);
    }
    DeadLetter::open(&config.path, config.max_bytes.0, metrics)
        .map(|dead_letter| Some(Arc::new(dead_letter)))
        .map_err(|source| BuildError::DeadLetter {
            id: Arc::clone(id),
            source,
        })
}

/// The checker refuses such a configuration, so nobody sees this.
fn wrong_kind(plugin: &PluginSpec) -> BuildError {
    BuildError::Config {
        id: Arc::clone(&plugin.id),
        errors: Vec::new(),
    }
}
