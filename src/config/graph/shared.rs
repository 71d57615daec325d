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
    draft::{Draft, Head, WayDraft},
    schema::Schema,
};

/// A place on disk that a component writes to.
struct Claim<'d> {
    head: &'d Head,
    /// `buffer`, `dead letter`, or the name of the plugin.
    what: &'d str,
    /// Whether all below it belongs to it too.
    is_directory: bool,
    path: PathBuf,
    span: Span,
}

/// Two components must not write to one place.
pub(super) fn paths(draft: &Draft, findings: &mut Vec<Diagnostic>) {
    let claims = claims(draft);
    for (index, claim) in claims.iter().enumerate() {
        let clash = claims
            .iter()
            .take(index)
            .find(|other| clashes(claim, other));
        if let Some(other) = clash {
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
}

fn clashes(one: &Claim<'_>, other: &Claim<'_>) -> bool {
    if one.is_directory != other.is_directory || (!one.is_directory && one.what != other.what) {
        return false;
    }
    // Components of one id are complained about anyway.
    if one.head.id == other.head.id && one.what == other.what {
        return false;
    }
    let inside = one.path.starts_with(&other.path) || other.path.starts_with(&one.path);
    one.path == other.path || (one.is_directory && inside)
}

fn claims(draft: &Draft) -> Vec<Claim<'_>> {
    let mut claims = Vec::new();
    for target in draft.targets() {
        let head = &target.head;
        let WayDraft::Output(output) = &target.way else {
            continue;
        };
        let mut claim = |what, is_directory, path: &Path, pointer: &str| {
            claims.push(Claim {
                head,
                what,
                is_directory,
                path: tidy(path),
                span: head.node.place_of(pointer),
            });
        };
        if output.buffer.kind == BufferKind::File {
            claim("buffer", true, &output.buffer.path, "/buffer/path");
        }
        if output.dead_letter.kind == DeadLetterKind::File {
            claim(
                "dead letter",
                true,
                &output.dead_letter.path,
                "/dead_letter/path",
            );
        }
        if let Some(path) = head.params.get("path").and_then(Value::as_str) {
            claim(head.type_name(), false, Path::new(path), "/path");
        }
    }
    claims
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
    let address = |(key, property): (&str, super::super::schema::Property<'_>)| {
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
