//! Rules about components together: ids, labels, the order of matches, and what two of them cannot share.

mod clashes;
mod grouping;
mod labels;
mod privacy;
mod strict;

use std::collections::HashMap;

use super::{
    Service,
    buffer::BufferKind,
    diagnostic::{Code, Diagnostic, Span},
    draft::{Draft, Head, LabelDraft, OutputDraft, TagsDraft, TargetDraft, WayDraft},
};
use sdk::plugin::{Build, DefaultBuffer};

/// Checks every rule; with `strict` also what weakens a promise.
pub(super) fn check(
    draft: &Draft,
    service: &Service,
    admin_span: &Span,
    strict: bool,
) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    if draft.sources.is_empty() {
        let message = "there is no [[source]], so nothing would ever arrive";
        let finding = Diagnostic::new(Code::NoSource, 0..0, message);
        let help = "add a [[source]], for example with type = \"forward\"";
        findings.push(finding.help(help));
    }
    duplicate_ids(draft, &mut findings);
    let mut ids = draft
        .heads()
        .iter()
        .map(|head| head.id.to_string())
        .collect();
    for target in draft.targets() {
        outputs(target, &mut ids, &mut findings);
    }
    labels::check(draft, &mut findings);
    for label in &draft.labels {
        unreachable_matches(label, &mut findings);
        let filters = label.filters.iter().map(|filter| &filter.tags);
        let matches = label.matches.iter().map(|rule| &rule.tags);
        filters
            .chain(matches)
            .for_each(|tags| patterns(tags, &mut findings));
    }
    clashes::paths(draft, &mut findings);
    clashes::addresses(draft, service, admin_span, &mut findings);
    privacy::check(draft, service, &mut findings);
    if strict || service.strict {
        strict::check(draft, &mut findings);
    }
    findings
}

fn duplicate_ids(draft: &Draft, findings: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for head in draft.heads() {
        let span = head.id_span.clone().unwrap_or_else(|| head.span.clone());
        if let Some(first) = seen.get(&*head.id) {
            let message = format!("two components have the id `{}`", head.id);
            let finding = Diagnostic::new(Code::DuplicateId, span, message);
            let finding = finding.and(first.clone(), "the other is here");
            findings.push(finding.help("ids name metrics and directories: give each its own"));
        } else {
            seen.insert(&head.id, span);
        }
    }
}

fn outputs(target: &TargetDraft, ids: &mut Vec<String>, findings: &mut Vec<Diagnostic>) {
    let head = &target.head;
    match &target.way {
        WayDraft::Copy { stores } if stores.is_empty() && head.is_sound => {
            let finding =
                Diagnostic::new(Code::EmptyCopy, head.span.clone(), "this copy has no store");
            findings.push(finding.help("add [[match.store]] tables below it, each with a type"));
        }
        WayDraft::Output(output) => {
            id_needed(head, output, ids, findings);
            memory_buffer(head, output, findings);
            contradictions(head, output, findings);
            grouping::look(head, output, findings);
            idle_secondary(output, findings);
        }
        _ => {}
    }
}

/// A derived id changes when a table is added above: buffers would be swapped.
fn id_needed(
    head: &Head,
    output: &OutputDraft,
    ids: &mut Vec<String>,
    findings: &mut Vec<Diagnostic>,
) {
    let has_id = head.node.get("id").is_some() || head.node.has_misplaced("id");
    let Some(state) = output.state().filter(|_| !has_id) else {
        return;
    };
    let name = head.type_name();
    // One more name than there are ids: one of them is free.
    let numbered = (2..ids.len() + 3).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let id = names.find(|id| !ids.contains(id)).unwrap_or_default();
    let message = format!("output `{name}` keeps its {state} on disk, so it needs an id");
    let finding = Diagnostic::new(Code::IdNeeded, head.span.clone(), message)
        .here("a derived name would change with the file")
        .help(format!("add this line below it: id = \"{id}\""));
    findings.push(finding);
    ids.push(id);
}

fn memory_buffer(head: &Head, output: &OutputDraft, findings: &mut Vec<Diagnostic>) {
    let default = head.plugin.map(|plugin| plugin.build);
    let is_durable = matches!(default, Some(Build::Output(_, DefaultBuffer::File)));
    if is_durable && output.buffer.kind == BufferKind::Memory {
        let span = head.node.place_of("/buffer/type");
        let message = format!("output `{}` buffers in memory", head.type_name());
        let finding = Diagnostic::new(Code::MemoryBuffer, span, message);
        let finding = finding.here("acknowledged records are lost if the process dies");
        findings.push(finding.help("remove the line to buffer on disk, unless you can miss them"));
    }
}

fn contradictions(head: &Head, output: &OutputDraft, findings: &mut Vec<Diagnostic>) {
    let Some(keys) = head.node.get("buffer").map(|entry| &entry.node) else {
        return;
    };
    let mut report = |key: &str, message: String, help: &str| {
        findings.push(Diagnostic::new(Code::BadValue, keys.place(key), message).help(help));
    };
    let (chunk, total) = (
        output.buffer.chunk_limit_size,
        output.buffer.total_limit_size,
    );
    if chunk > total {
        let is_written = keys.get("chunk_limit_size").is_some();
        let key = if is_written {
            "chunk_limit_size"
        } else {
            "total_limit_size"
        };
        let message = format!("a chunk of {chunk} is larger than the whole buffer of {total}");
        report(
            key,
            message,
            "make `chunk_limit_size` smaller than `total_limit_size`",
        );
    }
    let forever = keys.get("retry_forever").map(|entry| entry.node.to_json());
    for key in ["retry_max_times", "retry_timeout"] {
        if forever == Some(true.into()) && keys.get(key).is_some() {
            let message = format!("`{key}` says when to give up, and `retry_forever` says never");
            report(key, message, "remove one of the two");
        }
    }
}

fn idle_secondary(output: &OutputDraft, findings: &mut Vec<Diagnostic>) {
    let retry = &output.buffer.retry;
    let is_endless = retry.max_times.is_none() && retry.timeout.is_none();
    if let Some(secondary) = output.secondary.as_ref().filter(|_| is_endless) {
        let message = "this secondary only gets what is refused, since retrying never ends";
        let span = secondary.span.clone();
        let finding = Diagnostic::new(Code::IdleSecondary, span, message);
        let help = "write retry_timeout = \"72h\" in the `buffer` table, which is Fluentd's default, or retry_max_times";
        findings.push(finding.help(help));
    }
}

fn unreachable_matches(label: &LabelDraft, findings: &mut Vec<Diagnostic>) {
    let mut before: Vec<&TagsDraft> = Vec::new();
    for rule in &label.matches {
        let tags = &rule.tags;
        if !tags.is_sound {
            continue;
        }
        let set = tags.set();
        if let Some(taker) = before.iter().find(|taker| taker.set().covers(&set)) {
            let span = tags.span().unwrap_or_else(|| rule.target.head.span.clone());
            let message = "this match never gets a record";
            let mut finding = Diagnostic::new(Code::UnreachableMatch, span, message);
            if let Some(first) = taker.span() {
                finding = finding.and(first, "everything it could take is taken here");
            }
            let help = "the first match in file order wins: move it above that one, or use type = \"copy\" there";
            findings.push(finding.help(help));
        }
        before.push(tags);
    }
}

/// Warnings about patterns that probably mean something else.
fn patterns(tags: &TagsDraft, findings: &mut Vec<Diagnostic>) {
    for (pattern, span) in tags.include.iter().chain(&tags.except) {
        if pattern.has_stray_comma() {
            let message = format!("the comma in \"{pattern}\" separates nothing");
            let finding = Diagnostic::new(Code::StrayComma, span.clone(), message);
            findings.push(finding.help("write a list of patterns, or {a,b} inside one"));
        }
    }
    for (pattern, span) in &tags.except {
        if tags.is_sound
            && tags
                .include
                .iter()
                .all(|(taken, _)| taken.is_disjoint(pattern))
        {
            let message = format!("\"{pattern}\" takes nothing away");
            let mut finding = Diagnostic::new(Code::IdleExcept, span.clone(), message);
            if let Some(include) = tags.span() {
                finding = finding.and(include, "no tag of this matches it");
            }
            findings.push(finding.help("remove it, or check how it is written"));
        }
    }
}
