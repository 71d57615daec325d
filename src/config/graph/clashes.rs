//! What two components cannot share: a directory, a file, an address.

use std::{
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};

use sdk::config::Listen;
use serde_json::Value;

use crate::config::{
    Service,
    buffer::{BufferKind, DeadLetterKind},
    diagnostic::{Code, Diagnostic, Span},
    draft::{Draft, Head, TargetDraft, WayDraft},
    schema::{Property, Schema},
};

/// A place that belongs to a component alone.
struct Claim<'d> {
    head: &'d Head,
    /// `buffer`, `dead letter`, or the parameter.
    what: String,
    /// The plugin whose parameter it is; `None` for a directory of the engine, with all that is below it.
    plugin: Option<&'static str>,
    path: PathBuf,
    span: Span,
}

/// Two components must not write to one place.
pub(super) fn paths(draft: &Draft, findings: &mut Vec<Diagnostic>) {
    let mut claims = Vec::new();
    for head in draft.heads() {
        parameters(head, &mut claims);
    }
    for target in draft.targets() {
        directories(target, &mut claims);
    }
    claims.sort_by_key(|claim| claim.span.start);
    for (index, claim) in claims.iter().enumerate() {
        let mut before = claims.iter().take(index);
        let Some(other) = before.find(|other| clashes(claim, other)) else {
            continue;
        };
        let (path, theirs) = (claim.path.display(), other.path.display());
        let message = if claim.path == other.path {
            format!("two components write to \"{path}\"")
        } else {
            format!("\"{path}\" and \"{theirs}\" lie one inside the other")
        };
        let finding = Diagnostic::new(Code::SamePath, claim.span.clone(), message);
        let text = format!("the {} of `{}` is there too", other.what, other.head.id);
        let finding = finding.and(other.span.clone(), text);
        findings.push(finding.help("give each a path of its own"));
    }
}

fn clashes(one: &Claim<'_>, other: &Claim<'_>) -> bool {
    // Components of one id are complained about anyway.
    let is_same = one.head.id == other.head.id && one.what == other.what;
    if is_same || one.plugin != other.plugin {
        return false;
    }
    let is_directory = one.plugin.is_none();
    let inside = one.path.starts_with(&other.path) || other.path.starts_with(&one.path);
    if is_directory {
        inside
    } else {
        one.path == other.path && one.what == other.what
    }
}

/// Parameters whose value belongs to one component, such as the file of an output.
fn parameters<'d>(head: &'d Head, claims: &mut Vec<Claim<'d>>) {
    let Some(plugin) = head.plugin else {
        return;
    };
    let schema = (plugin.schema)();
    let exclusive = Schema::new(&schema).properties();
    for (key, _) in exclusive.filter(|(_, property)| property.is_exclusive()) {
        if let Some(path) = head.params.get(key).and_then(Value::as_str) {
            claims.push(Claim {
                head,
                what: format!("`{key}`"),
                plugin: Some(plugin.name),
                path: tidy(Path::new(path)),
                span: head.node.place(key),
            });
        }
    }
}

/// The directories of the engine.
fn directories<'d>(target: &'d TargetDraft, claims: &mut Vec<Claim<'d>>) {
    let WayDraft::Output(output) = &target.way else {
        return;
    };
    let head = &target.head;
    let mut claim = |what: &str, path: &Path, pointer: &str| {
        claims.push(Claim {
            head,
            what: what.to_owned(),
            plugin: None,
            path: tidy(path),
            span: head.node.place_of(pointer),
        });
    };
    if output.buffer.kind == BufferKind::File {
        claim("buffer", &output.buffer.path, "/buffer/path");
    }
    if output.dead_letter.kind == DeadLetterKind::File {
        let pointer = "/dead_letter/path";
        claim("dead letter", &output.dead_letter.path, pointer);
    }
}

/// The path without `.` in it.
fn tidy(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

/// Two components must not listen on one address.
pub(super) fn addresses(
    draft: &Draft,
    service: &Service,
    admin_span: &Span,
    findings: &mut Vec<Diagnostic>,
) {
    let mut taken = vec![(
        service.admin.listen.0,
        "the admin port".to_owned(),
        admin_span.clone(),
    )];
    for source in &draft.sources {
        let head = &source.head;
        for (key, address) in listens(head) {
            let clash = taken.iter().find(|(other, ..)| clash_of(*other, address));
            let span = head.node.place(&key);
            if let Some((_, who, first)) = clash {
                let message = format!("{who} listens on {address} too");
                let finding = Diagnostic::new(Code::SameAddress, span.clone(), message);
                let finding = if first.end > 0 {
                    finding.and(first.clone(), "here")
                } else {
                    finding
                };
                findings.push(finding.help("give each a port of its own"));
            }
            taken.push((address, format!("`{}`", head.id), span));
        }
    }
}

/// The addresses that a source listens on: as written, or by default.
fn listens(head: &Head) -> Vec<(String, SocketAddr)> {
    let Some(plugin) = head.plugin.filter(|_| head.is_sound) else {
        return Vec::new();
    };
    let schema = (plugin.schema)();
    let schema = Schema::new(&schema);
    let address = |(key, property): (&str, Property<'_>)| {
        if property.schema.text("format") != Some("weir-listen") {
            return None;
        }
        let value = head.params.get(key).or(property.default())?;
        let listen: Listen = value.as_str()?.parse().ok()?;
        Some((key.to_owned(), listen.0))
    };
    schema.properties().filter_map(address).collect()
}

fn clash_of(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_any || one.ip() == other.ip())
}
