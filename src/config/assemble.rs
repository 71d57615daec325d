//! From components without a mistake to the configuration that runs.

use super::{
    Config, FilterSpec, LabelSpec, MatchSpec, OutputSpec, PluginSpec, Service, SourceSpec,
    StoreSpec, TargetSpec,
    draft::{Draft, FilterDraft, Head, LabelDraft, MatchDraft, SourceDraft, TargetDraft, WayDraft},
};

/// The configuration; `None` when a component lacks something, which was complained about before.
pub(super) fn assemble(service: Service, draft: Draft) -> Option<Config> {
    Some(Config {
        service,
        sources: draft
            .sources
            .into_iter()
            .map(source)
            .collect::<Option<_>>()?,
        labels: draft.labels.into_iter().map(label).collect::<Option<_>>()?,
    })
}

fn plugin(head: Head) -> Option<PluginSpec> {
    Some(PluginSpec {
        id: head.id,
        descriptor: head.plugin?,
        params: head.params,
    })
}

fn source(draft: SourceDraft) -> Option<SourceSpec> {
    Some(SourceSpec {
        plugin: plugin(draft.head)?,
        label: draft.label,
        failure: draft.failure,
    })
}

fn label(draft: LabelDraft) -> Option<LabelSpec> {
    let filter = |filter: FilterDraft| {
        Some(FilterSpec {
            tags: filter.tags.set(),
            failure: filter.failure,
            plugin: plugin(filter.head)?,
        })
    };
    let rule = |rule: MatchDraft| {
        Some(MatchSpec {
            tags: rule.tags.set(),
            target: target(rule.target)?,
        })
    };
    Some(LabelSpec {
        name: draft.name,
        filters: draft
            .filters
            .into_iter()
            .map(filter)
            .collect::<Option<_>>()?,
        matches: draft.matches.into_iter().map(rule).collect::<Option<_>>()?,
    })
}

fn target(draft: TargetDraft) -> Option<TargetSpec> {
    Some(match draft.way {
        WayDraft::Unknown => return None,
        WayDraft::Relabel { label } => TargetSpec::Relabel(label?.0),
        WayDraft::Output(output) => TargetSpec::Output(Box::new(OutputSpec {
            plugin: plugin(draft.head)?,
            buffer: output.buffer,
            dead_letter: output.dead_letter,
            secondary: match output.secondary {
                Some(secondary) => Some(plugin(secondary)?),
                None => None,
            },
            failure: output.failure,
        })),
        WayDraft::Copy { stores } => {
            let mut specs = Vec::new();
            for store in stores {
                specs.push(StoreSpec {
                    on_error: store.on_error,
                    on_full: store.on_full,
                    target: target(store.target)?,
                });
            }
            TargetSpec::Copy(specs)
        }
    })
}
