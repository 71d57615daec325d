//! What has to be at the server for the documents of an output: policies, templates, aliases, data streams.

use std::collections::BTreeMap;

use sdk::output::Failure;
use serde_json::json;

use super::{
    lifecycle::Lifecycle,
    step::Step,
    template::{self, Fitting, Handling, Template},
};
use crate::http::uri;

/// What has to be there.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Templates that have nothing to do with where documents go.
    pub(crate) shared: Vec<Template>,
    /// The template of the indexes that documents go to.
    pub(crate) own: Option<Template>,
    pub(crate) handling: Handling,
    pub(crate) target: Target,
    pub(crate) lifecycle: Option<Lifecycle>,
}

/// What documents are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Indexes that come into being by themselves.
    Index,
    /// An alias, which moves on from index to index.
    Alias {
        /// What names of the indexes begin with; `None`: the alias.
        base: Option<String>,
        separator: String,
        /// Date math of the first index; empty for none.
        date: String,
    },
    /// A data stream.
    Stream {
        /// Name of its template; `None`: its own with `_template` at its end.
        template: Option<String>,
        /// Whether the template is for all streams whose names begin so.
        has_wildcard: bool,
    },
}

/// A target and what the texts of a plan are for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Names {
    /// The index, the alias or the data stream.
    pub(crate) target: String,
    /// In the order of [`Plan::texts`].
    pub(crate) texts: Vec<String>,
}

impl Plan {
    /// The texts that may have placeholders, each with the place of its parameter.
    pub(crate) fn texts(&mut self) -> Vec<(String, &mut String)> {
        let mut texts = Vec::new();
        if let Some(own) = &mut self.own {
            texts.push(("/template_name".to_owned(), &mut own.name));
        }
        if let Target::Stream {
            template: Some(name),
            ..
        } = &mut self.target
        {
            texts.push(("/data_stream_template_name".to_owned(), name));
        }
        if let Some(id) = self.lifecycle.as_mut().and_then(|cycle| cycle.id.as_mut()) {
            texts.push(("/ilm_policy_id".to_owned(), id));
        }
        let values = self.handling.replacements.iter_mut();
        texts.extend(values.map(|(key, text)| (format!("/customize_template/{key}"), text)));
        texts
    }

    /// Whether each target needs something of its own.
    pub(crate) fn is_per_target(&self) -> bool {
        self.own.is_some() || self.target != Target::Index
    }

    /// The plan with its texts as they are for a target.
    fn filled_in(&self, names: &Names) -> Self {
        let mut plan = self.clone();
        for ((_, place), text) in plan.texts().into_iter().zip(&names.texts) {
            place.clone_from(text);
        }
        plan
    }

    /// The steps that are the same for all targets.
    ///
    /// # Errors
    /// A file that is no template.
    pub(crate) async fn shared_steps(&self) -> Result<Vec<Step>, Failure> {
        let mut steps = Vec::new();
        for template in &self.shared {
            let none = Fitting::default();
            steps.push(template.step(&self.handling, &none).await?);
        }
        Ok(steps)
    }

    /// The steps that put policies there, for a target.
    pub(crate) fn policy_steps(&self, names: &Names, is_opensearch: bool) -> Vec<Step> {
        let plan = self.filled_in(names);
        let cycle = plan.lifecycle.as_ref();
        let steps =
            cycle.map(|cycle| cycle.steps(&names.target, &plan.pattern(names), is_opensearch));
        steps.unwrap_or_default()
    }

    /// The other steps for a target; without a life cycle where the server has none.
    ///
    /// # Errors
    /// A file that is no template.
    pub(crate) async fn target_steps(
        &self,
        names: &Names,
        has_cycle: bool,
        is_opensearch: bool,
    ) -> Result<Vec<Step>, Failure> {
        let plan = self.filled_in(names);
        let fitting = plan.fitting(names, has_cycle, is_opensearch);
        let mut steps = Vec::new();
        match &plan.own {
            Some(own) => steps.push(own.step(&plan.handling, &fitting).await?),
            None if fitting.says_something() => {
                let mut step = template::built_in(&plan.template_name(names), &fitting);
                step.overwrites = plan.handling.overwrites;
                steps.push(step);
            }
            None => {}
        }
        steps.extend(plan.place_step(&names.target));
        Ok(steps)
    }

    /// What the template of a target says besides what is in its file.
    fn fitting(&self, names: &Names, has_cycle: bool, is_opensearch: bool) -> Fitting {
        let is_alias = matches!(self.target, Target::Alias { .. });
        let is_stream = matches!(self.target, Target::Stream { .. });
        let cycle = self.lifecycle.as_ref().filter(|_| has_cycle);
        let alias = is_alias.then_some(names.target.as_str());
        let settings = cycle.map(|cycle| cycle.settings(&names.target, alias, is_opensearch));
        let is_fitted = is_stream || (is_alias && cycle.is_some());
        Fitting {
            pattern: is_fitted.then(|| self.pattern(names)),
            settings: settings.unwrap_or_default(),
            is_stream,
        }
    }

    fn template_name(&self, names: &Names) -> String {
        match &self.target {
            Target::Stream { template, .. } => template
                .clone()
                .unwrap_or_else(|| format!("{}_template", names.target)),
            _ => names.target.clone(),
        }
    }

    /// Which indexes belong to a target.
    fn pattern(&self, names: &Names) -> String {
        let target = &names.target;
        match &self.target {
            Target::Index
            | Target::Stream {
                has_wildcard: true, ..
            } => format!("{target}*"),
            Target::Stream { .. } => target.clone(),
            Target::Alias {
                base, separator, ..
            } => {
                format!("{}{separator}*", base.as_ref().unwrap_or(target))
            }
        }
    }

    /// The step that makes what documents are sent to.
    fn place_step(&self, target: &str) -> Option<Step> {
        let step = match &self.target {
            Target::Index => return None,
            Target::Stream { .. } => {
                let at = format!("/_data_stream/{}", uri::part(target));
                let mut step = Step::new(format!("the data stream {target:?}"), at, json!({}));
                // The first document makes it, where the template says so.
                step.is_optional = true;
                step
            }
            Target::Alias {
                base,
                separator,
                date,
            } => {
                let base = base.as_deref().unwrap_or(target);
                let first = if date.is_empty() {
                    format!("{base}{separator}000001")
                } else {
                    format!("<{base}{separator}{{{date}}}-000001>")
                };
                let aliases = BTreeMap::from([(target, json!({ "is_write_index": true }))]);
                let mut step = Step::new(
                    format!("the alias {target:?} with its first index {first:?}"),
                    format!("/_alias/{}", uri::part(target)),
                    json!({ "aliases": aliases }),
                );
                step.made_at = format!("/{}", uri::part(&first));
                step
            }
        };
        Some(step)
    }
}
