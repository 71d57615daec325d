//! How an output is built: its plugin, its buffer, and what surrounds both.

use std::sync::Arc;

use sdk::{metrics::Metrics, output::Output, plugin::Build};

use super::{
    build::{BuildError, Builder, BuiltOutput, wrong_kind},
    settings,
};
use crate::{
    buffer::{Buffer, DeadLetter},
    config::{DeadLetterConfig, DeadLetterFull, DeadLetterKind, OutputSpec, PluginSpec},
    output::{Breaker, Means, OutputMetrics, OutputNode, Secondary},
    telemetry::ledger::Holder,
};

impl Builder<'_> {
    pub(super) fn output(
        &mut self,
        kind: &str,
        spec: &OutputSpec,
    ) -> Result<Arc<OutputNode>, BuildError> {
        let metrics = self.parts.metrics_of(kind, &spec.plugin);
        let lent = self.lender.and_then(|lender| lender.output(spec));
        let (node, means) = match lent {
            Some((node, true)) => (node, None),
            Some((node, false)) => {
                let means = self.means(spec, &metrics, Some(&node))?;
                (node, Some(means))
            }
            None => (self.new_output(spec, &metrics)?, None),
        };
        self.outputs.push(BuiltOutput {
            node: Arc::clone(&node),
            means,
            spec: spec.clone(),
            metrics,
        });
        Ok(node)
    }

    fn new_output(
        &self,
        spec: &OutputSpec,
        metrics: &Metrics,
    ) -> Result<Arc<OutputNode>, BuildError> {
        let id = &spec.plugin.id;
        let means = self.means(spec, metrics, None)?;
        let account = self.parts.ledger.open(Holder::Output, metrics);
        let buffer = Buffer::open(
            settings::buffer(&spec.buffer),
            Arc::clone(id),
            account.clone(),
            metrics,
        );
        let buffer = buffer.map_err(|source| BuildError::Buffer {
            id: Arc::clone(id),
            source,
        })?;
        let counts = OutputMetrics::new(metrics);
        let node = OutputNode::new(Arc::clone(id), buffer, account, counts, means);
        Ok(Arc::new(node))
    }

    fn plugin(&self, spec: &PluginSpec, metrics: &Metrics) -> Result<Arc<dyn Output>, BuildError> {
        let Build::Output(make, _) = spec.descriptor.build else {
            return Err(wrong_kind(spec));
        };
        let cx = self.parts.build_cx(spec, metrics.clone());
        make(spec.params.clone(), &cx).map_err(|errors| BuildError::Config {
            id: Arc::clone(&spec.id),
            errors,
        })
    }

    fn secondary(&self, spec: &PluginSpec, primary: &OutputSpec) -> Result<Secondary, BuildError> {
        let metrics = self.parts.metrics_of("secondary", spec);
        let policy = settings::retry(&primary.buffer);
        Ok(Secondary {
            id: Arc::clone(&spec.id),
            plugin: self.plugin(spec, &metrics)?,
            breaker: Breaker::new(Arc::clone(&spec.id), policy, &metrics),
            metrics,
        })
    }

    /// The plugin and what surrounds it. The dead letter of `before` stays, if it is the same.
    fn means(
        &self,
        spec: &OutputSpec,
        metrics: &Metrics,
        before: Option<&OutputNode>,
    ) -> Result<Means, BuildError> {
        let id = &spec.plugin.id;
        let plugin = self.plugin(&spec.plugin, metrics)?;
        let open = before.and_then(|node| node.means().dead_letter.clone());
        let dead_letter = match open {
            Some(open) if open.is_at(&spec.dead_letter.path, spec.dead_letter.max_bytes.0) => {
                (spec.dead_letter.kind != DeadLetterKind::None).then_some(open)
            }
            _ => dead_letter(id, &spec.dead_letter, metrics)?,
        };
        Ok(Means {
            plugin,
            dead_letter,
            drop_when_dead_letter_full: spec.dead_letter.on_full == DeadLetterFull::Drop,
            breaker: Breaker::new(Arc::clone(id), settings::retry(&spec.buffer), metrics),
            retry: settings::retry(&spec.buffer),
            secondary: match &spec.secondary {
                Some(secondary) => Some(self.secondary(secondary, spec)?),
                None => None,
            },
        })
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
