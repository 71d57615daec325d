//! Outputs that records reach without passing a filter that protects what is personal.
//!
//! Who has no such filter anywhere may have nothing to protect, or protects it elsewhere; who has one means it, and a
//! way around it is a mistake. So without `[service] unprotected` there is a warning only beside such a filter.

use serde_json::Value;

use crate::config::{
    Service, TagSet, Unprotected,
    diagnostic::{Code, Diagnostic},
    draft::{Draft, FilterDraft, Head, LabelDraft, SourceDraft, TagsDraft, TargetDraft, WayDraft},
    model::{ERROR, ROOT},
    schema::Schema,
};
use sdk::plugin::{Build, DefaultBuffer};

/// Warns about each such output once, with the first source that reaches it.
pub(super) fn check(draft: &Draft, service: &Service, findings: &mut Vec<Diagnostic>) {
    let filters = draft.labels.iter().flat_map(|label| &label.filters);
    let has_filter = filters.clone().any(|filter| protects(&filter.head));
    // What is wrong with a filter is said elsewhere; until then nobody knows what it does.
    let is_known = filters.clone().all(|filter| filter.head.plugin.is_some());
    let wanted = match service.unprotected {
        Some(Unprotected::Allow) => false,
        Some(Unprotected::Warn) => true,
        None => has_filter,
    };
    if !wanted || !is_known {
        return;
    }
    let mut search = Search {
        draft,
        passed: Vec::new(),
        found: Vec::new(),
    };
    for source in &draft.sources {
        search.passed.clear();
        let tags = Tags::of(source);
        search.enter(&source.label, &tags, source);
    }
    findings.extend(search.found.iter().map(|found| found.finding(draft)));
}

/// Whether a filter says that it protects: `#[schemars(extend("protects" = true))]` on its `Config`.
fn protects(head: &Head) -> bool {
    let schema = head.plugin.map(|plugin| (plugin.schema)());
    schema.is_some_and(|schema| schema.get("protects") == Some(&Value::Bool(true)))
}

/// Whether records leave this machine by an output: it is one that is buffered on disk by default, and it writes to
/// no path of its own.
fn leaves(head: &Head) -> bool {
    let Some(plugin) = head.plugin else {
        return false;
    };
    let schema = (plugin.schema)();
    let has_path = Schema::new(&schema)
        .properties()
        .any(|(_, property)| property.is_exclusive());
    matches!(plugin.build, Build::Output(_, DefaultBuffer::File)) && !has_path
}

/// What is known about the tags of records on a way: each of these takes them.
#[derive(Clone, Default)]
struct Tags {
    /// The one tag of a source that has one.
    exact: Option<String>,
    sets: Vec<TagSet>,
}

impl Tags {
    fn of(source: &SourceDraft) -> Self {
        let tag = source.head.params.get("tag").and_then(Value::as_str);
        // Anything else is a pattern that the source fills in.
        let is_plain = |tag: &&str| !tag.is_empty() && !tag.contains(['*', '$', '%', '{']);
        Self {
            exact: tag.filter(is_plain).map(str::to_owned),
            sets: Vec::new(),
        }
    }

    /// Whether records with these tags may come to a match.
    fn may_reach(&self, rule: &TagsDraft) -> bool {
        self.exact
            .as_ref()
            .is_none_or(|tag| rule.set().matches(tag))
    }

    /// Whether all of them go through a filter.
    fn all_pass(&self, filter: &FilterDraft) -> bool {
        let set = filter.tags.set();
        self.exact.as_ref().is_some_and(|tag| set.matches(tag))
            || self.sets.iter().any(|own| set.covers(own))
    }

    fn and(&self, rule: &TagsDraft) -> Self {
        let mut more = self.clone();
        more.sets.push(rule.set());
        more
    }
}

/// An output that is reached, and from where.
struct Found<'d> {
    output: &'d TargetDraft,
    source: &'d SourceDraft,
    /// The label of the match, and its patterns.
    label: &'d LabelDraft,
    rule: &'d TagsDraft,
}

struct Search<'d> {
    draft: &'d Draft,
    /// Matches that records of the present source were followed through.
    passed: Vec<*const TargetDraft>,
    found: Vec<Found<'d>>,
}

impl<'d> Search<'d> {
    fn enter(&mut self, label: &str, tags: &Tags, source: &'d SourceDraft) {
        let draft = self.draft;
        let Some(label) = draft.labels.iter().find(|own| &*own.name == label) else {
            return;
        };
        for rule in &label.matches {
            let target = std::ptr::from_ref(&rule.target);
            if !rule.tags.is_sound || !tags.may_reach(&rule.tags) || self.passed.contains(&target) {
                continue;
            }
            let tags = tags.and(&rule.tags);
            let mut filters = label.filters.iter();
            if filters.any(|filter| protects(&filter.head) && tags.all_pass(filter)) {
                continue;
            }
            self.passed.push(target);
            rule.target.each(&mut |target| match &target.way {
                WayDraft::Output(_) if leaves(&target.head) => {
                    let is_new = |found: &Found<'_>| !std::ptr::eq(found.output, target);
                    if self.found.iter().all(is_new) {
                        self.found.push(Found {
                            output: target,
                            source,
                            label,
                            rule: &rule.tags,
                        });
                    }
                }
                WayDraft::Relabel {
                    label: Some((label, _)),
                } => self.enter(label, &tags, source),
                _ => {}
            });
        }
        // What a filter cannot handle goes on there with any tag that came here.
        if !label.filters.is_empty() && &*label.name != ERROR {
            self.enter(ERROR, tags, source);
        }
    }
}

impl Found<'_> {
    fn finding(&self, draft: &Draft) -> Diagnostic {
        let (output, source) = (&self.output.head, &self.source.head);
        let message = format!(
            "records of {} reach output `{}` without passing a filter that protects",
            named(source, "source"),
            output.type_name()
        );
        let filters = draft.labels.iter().flat_map(|label| &label.filters);
        let filter = filters
            .map(|filter| &filter.head)
            .find(|head| protects(head));
        let name = filter.map_or("redact", |head| head.type_name());
        let table = match &*self.label.name {
            ROOT => "[[filter]]".to_owned(),
            label => format!("[[label.{label}.filter]]"),
        };
        let tags: Vec<String> = self
            .rule
            .include
            .iter()
            .map(|(pattern, _)| format!("{pattern:?}"))
            .collect();
        let tags = match tags.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        Diagnostic::new(Code::Unprotected, output.span.clone(), message)
            .and(source.span.clone(), "they come from here")
            .help(format!(
                "add a {table} with type = \"{name}\" and tag = {tags}, or write unprotected = \"allow\" in [service]"
            ))
    }
}

fn named(head: &Head, kind: &str) -> String {
    match &head.id_span {
        Some(_) => format!("{kind} `{}`", head.id),
        None => format!("{kind} `{}`", head.type_name()),
    }
}
