//! The components as they were read, with their places: what the rules about the graph look at.

use std::sync::Arc;

use sdk::plugin::Descriptor;

use super::{
    BufferConfig, BufferKind, DeadLetterConfig, DeadLetterKind, OnFailure, StorePolicy, TagPattern,
    TagSet, diagnostic::Span, tree::Node,
};

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) sources: Vec<SourceDraft>,
    /// The top level first.
    pub(super) labels: Vec<LabelDraft>,
}

/// What every component has.
#[derive(Debug)]
pub(super) struct Head {
    /// `source`, `filter`, `match`, `store` or `secondary`.
    pub(super) kind: &'static str,
    /// Its header.
    pub(super) span: Span,
    /// As written, or derived from its place.
    pub(super) id: Arc<str>,
    /// Where the id is written.
    pub(super) id_span: Option<Span>,
    /// The plugin; `None` where the type is wrong, or one of the engine's own.
    pub(super) plugin: Option<&'static Descriptor>,
    /// Its own parameters.
    pub(super) params: serde_json::Value,
    /// The whole table.
    pub(super) node: Node,
    /// Nothing in it was complained about.
    pub(super) is_sound: bool,
}

/// A `[[source]]`.
#[derive(Debug)]
pub(super) struct SourceDraft {
    pub(super) head: Head,
    /// The label, and where it is written.
    pub(super) label: Arc<str>,
    pub(super) label_span: Option<Span>,
    pub(super) failure: Option<OnFailure>,
}

/// A label.
#[derive(Debug)]
pub(super) struct LabelDraft {
    pub(super) name: Arc<str>,
    pub(super) span: Span,
    pub(super) filters: Vec<FilterDraft>,
    pub(super) matches: Vec<MatchDraft>,
}

/// Tag patterns with their places.
#[derive(Debug, Default)]
pub(super) struct TagsDraft {
    pub(super) include: Vec<(TagPattern, Span)>,
    pub(super) except: Vec<(TagPattern, Span)>,
    /// All of them could be read.
    pub(super) is_sound: bool,
}

/// A `[[filter]]`.
#[derive(Debug)]
pub(super) struct FilterDraft {
    pub(super) head: Head,
    pub(super) tags: TagsDraft,
    pub(super) failure: Option<OnFailure>,
}

/// A `[[match]]`.
#[derive(Debug)]
pub(super) struct MatchDraft {
    pub(super) tags: TagsDraft,
    pub(super) target: TargetDraft,
}

/// A match or store, and where it sends.
#[derive(Debug)]
pub(super) struct TargetDraft {
    pub(super) head: Head,
    pub(super) way: WayDraft,
}

/// Where a match or store sends.
#[derive(Debug)]
pub(super) enum WayDraft {
    Output(Box<OutputDraft>),
    Relabel {
        label: Option<(Arc<str>, Span)>,
    },
    Copy {
        stores: Vec<StoreDraft>,
    },
    /// Nobody knows: its type is missing or wrong.
    Unknown,
}

/// What surrounds an output.
#[derive(Debug)]
pub(super) struct OutputDraft {
    pub(super) failure: Option<OnFailure>,
    pub(super) buffer: BufferConfig,
    pub(super) dead_letter: DeadLetterConfig,
    /// The output that gets what this one could not deliver.
    pub(super) secondary: Option<Head>,
}

/// A `[[match.store]]`.
#[derive(Debug)]
pub(super) struct StoreDraft {
    pub(super) target: TargetDraft,
    pub(super) on_error: StorePolicy,
    pub(super) on_full: StorePolicy,
}

impl TagsDraft {
    /// The set they make.
    pub(super) fn set(&self) -> TagSet {
        let patterns =
            |list: &[(TagPattern, Span)]| list.iter().map(|(pattern, _)| pattern.clone()).collect();
        TagSet::new(patterns(&self.include), patterns(&self.except))
    }

    /// Where the first pattern is written.
    pub(super) fn span(&self) -> Option<Span> {
        self.include.first().map(|(_, span)| span.clone())
    }
}

impl OutputDraft {
    /// What it keeps on disk, in words; `None` when it keeps nothing.
    pub(super) fn state(&self) -> Option<&'static str> {
        match (self.buffer.kind, self.dead_letter.kind) {
            (BufferKind::File, _) => Some("buffer"),
            (_, DeadLetterKind::File) => Some("dead letter"),
            (_, DeadLetterKind::None) => None,
        }
    }
}

impl Head {
    /// The name of the plugin, or what was written instead.
    pub(super) fn type_name(&self) -> &str {
        let written = self.node.get("type").and_then(|entry| entry.node.text());
        self.plugin
            .map_or(written.unwrap_or_default(), |plugin| plugin.name)
    }
}

impl TargetDraft {
    /// Its own, and that of its secondary.
    fn heads(&self) -> impl Iterator<Item = &Head> {
        let secondary = match &self.way {
            WayDraft::Output(output) => output.secondary.as_ref(),
            _ => None,
        };
        std::iter::once(&self.head).chain(secondary)
    }

    /// Itself and every store below it.
    pub(super) fn each<'d>(&'d self, visit: &mut impl FnMut(&'d Self)) {
        visit(self);
        if let WayDraft::Copy { stores } = &self.way {
            for store in stores {
                store.target.each(visit);
            }
        }
    }
}

impl Draft {
    /// Every match of every label, and every store below them.
    pub(super) fn targets(&self) -> Vec<&TargetDraft> {
        let mut all = Vec::new();
        for rule in self.labels.iter().flat_map(|label| &label.matches) {
            rule.target.each(&mut |target| all.push(target));
        }
        all
    }

    /// What every component has, in file order of their kinds.
    pub(super) fn heads(&self) -> Vec<&Head> {
        let filters = self.labels.iter().flat_map(|label| &label.filters);
        let sources = self.sources.iter().map(|source| &source.head);
        let targets = self.targets().into_iter();
        sources
            .chain(filters.map(|filter| &filter.head))
            .chain(targets.flat_map(TargetDraft::heads))
            .collect()
    }
}
