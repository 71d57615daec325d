//! Rules about labels: that they exist, are used, lead somewhere, and not in a circle.

use std::sync::Arc;

use crate::config::{
    diagnostic::{Code, Diagnostic, Span},
    draft::{Draft, LabelDraft, WayDraft},
    model::{ERROR, ROOT},
    nearest::{list, nearest},
};

/// A way into a label.
struct Entrance<'d> {
    /// The label it leads out of; `None` for a source.
    from: Option<&'d Arc<str>>,
    to: &'d Arc<str>,
    span: Span,
}

/// Checks every rule about labels.
pub(super) fn check(draft: &Draft, findings: &mut Vec<Diagnostic>) {
    let entrances = entrances(draft);
    let label = |name: &str| draft.labels.iter().find(|label| &*label.name == name);
    let before = findings.len();
    for entrance in &entrances {
        if label(entrance.to).is_none() {
            findings.push(unknown(draft, entrance));
        }
    }
    // Who is sent to a label that does not exist may be meant for one that seems unused.
    let all_known = findings.len() == before;
    for label in &draft.labels {
        let mut ways = entrances
            .iter()
            .filter(|entrance| entrance.to == &label.name);
        let first = ways.next();
        let is_built_in = matches!(&*label.name, ROOT | ERROR);
        match first {
            Some(entrance) if label.matches.is_empty() => {
                findings.push(leads_nowhere(label, entrance));
            }
            None if !is_built_in && all_known => {
                let message = format!("nothing sends to the label `{}`", label.name);
                let finding = Diagnostic::new(Code::UnusedLabel, label.span.clone(), message);
                let help =
                    "name it in `label` of a [[source]] or of a match with type = \"relabel\"";
                findings.push(finding.help(help));
            }
            _ => {}
        }
    }
    circles(&entrances, findings);
}

fn entrances(draft: &Draft) -> Vec<Entrance<'_>> {
    let mut all = Vec::new();
    for source in &draft.sources {
        let span = source.label_span.clone();
        all.push(Entrance {
            from: None,
            to: &source.label,
            span: span.unwrap_or_else(|| source.head.span.clone()),
        });
    }
    for label in &draft.labels {
        for rule in &label.matches {
            rule.target.each(&mut |target| {
                if let WayDraft::Relabel {
                    label: Some((to, span)),
                } = &target.way
                {
                    all.push(Entrance {
                        from: Some(&label.name),
                        to,
                        span: span.clone(),
                    });
                }
            });
        }
    }
    all
}

fn unknown(draft: &Draft, entrance: &Entrance<'_>) -> Diagnostic {
    let names = || draft.labels.iter().map(|label| &*label.name);
    let to = entrance.to;
    let message = format!("there is no label `{to}`");
    let finding = Diagnostic::new(Code::UnknownLabel, entrance.span.clone(), message);
    let plain = to.trim_start_matches('@');
    let others: Vec<_> = names().filter(|name| *name != ROOT).collect();
    finding.help(match nearest(to, names()) {
        Some(near) => format!("write label = \"{near}\""),
        None if others.is_empty() => format!("add a [[label.{plain}.match]]"),
        None => format!(
            "add a [[label.{plain}.match]], or write one of {}",
            list(others)
        ),
    })
}

fn leads_nowhere(label: &LabelDraft, entrance: &Entrance<'_>) -> Diagnostic {
    let (message, table) = if &*label.name == ROOT {
        (
            "records arrive here, and there is no [[match]] to take them".to_owned(),
            "[[match]]".to_owned(),
        )
    } else {
        (
            format!(
                "records arrive in the label `{}`, which has no match",
                label.name
            ),
            format!("[[label.{}.match]]", label.name),
        )
    };
    let finding = Diagnostic::new(Code::NoMatch, entrance.span.clone(), message);
    finding.help(format!(
        "add a {table} with tag = \"**\" and a type, or every record is dropped"
    ))
}

/// Follows relabels from each label; a way back to where it began is a circle.
fn circles(entrances: &[Entrance<'_>], findings: &mut Vec<Diagnostic>) {
    let mut reported: Vec<&Arc<str>> = Vec::new();
    for start in entrances.iter().filter_map(|entrance| entrance.from) {
        if reported.contains(&start) {
            continue;
        }
        let Some(way) = way_back(entrances, start) else {
            continue;
        };
        reported.extend(way.iter().filter_map(|entrance| entrance.from));
        let names: Vec<&str> = way
            .iter()
            .filter_map(|entrance| Some(&**entrance.from?))
            .collect();
        let message = format!(
            "records would go round in a circle: {} -> {start}",
            names.join(" -> ")
        );
        let mut steps = way.iter().rev();
        let Some(last) = steps.next() else {
            continue;
        };
        let mut finding = Diagnostic::new(Code::RelabelCycle, last.span.clone(), message);
        finding = finding.here("this leads back");
        for step in steps.rev() {
            finding = finding.and(step.span.clone(), format!("leads to {}", step.to));
        }
        findings.push(finding.help("send them to an output, or to a label outside the circle"));
    }
}

/// The shortest way from a label back to itself.
fn way_back<'e, 'd>(
    entrances: &'e [Entrance<'d>],
    start: &Arc<str>,
) -> Option<Vec<&'e Entrance<'d>>> {
    let mut ways: Vec<Vec<&Entrance<'d>>> = Vec::new();
    let mut seen: Vec<&Arc<str>> = Vec::new();
    let steps_from = |label: &Arc<str>| {
        let label = Arc::clone(label);
        entrances
            .iter()
            .filter(move |entrance| entrance.from == Some(&label))
    };
    ways.extend(steps_from(start).map(|step| vec![step]));
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        let here = way.last()?.to;
        if here == start {
            return Some(way);
        }
        if seen.contains(&here) {
            continue;
        }
        seen.push(here);
        for step in steps_from(here) {
            let mut longer = way.clone();
            longer.push(step);
            ways.push(longer);
        }
    }
    None
}
