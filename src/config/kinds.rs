//! What `type` may be: plugins of a kind, and the two ways of a match that are the engine's own.

use sdk::plugin::{Descriptor, Kind};

use super::{
    Registry,
    diagnostic::{Code, Diagnostic, Span},
    nearest::{list, nearest},
    tree::Node,
};

/// Sends to several stores.
pub(super) const COPY: &str = "copy";
/// Sends into another label.
pub(super) const RELABEL: &str = "relabel";

/// The table that a kind of plugin belongs into.
fn table_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "[[source]]",
        Kind::Filter => "[[filter]]",
        Kind::Output => "[[match]]",
        Kind::Parser => "a `parse` table",
        Kind::Formatter => "a `format` table",
    }
}

fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "an input",
        Kind::Filter => "a filter",
        Kind::Output => "an output",
        Kind::Parser => "a parser",
        Kind::Formatter => "a formatter",
    }
}

/// Every name that `type` may be in a table of this kind.
pub(super) fn names(registry: Registry, kind: Kind) -> Vec<&'static str> {
    let plugins = registry
        .iter()
        .filter(|descriptor| descriptor.kind() == kind);
    let mut names: Vec<_> = plugins.map(|descriptor| descriptor.name).collect();
    if kind == Kind::Output {
        names.extend([COPY, RELABEL]);
    }
    names.sort_unstable();
    names
}

/// The plugin that is written, or what is wrong; `None` where that was said before.
pub(super) fn find_plugin(
    registry: Registry,
    wanted: Kind,
    node: &Node,
    written: Option<(Option<&str>, Span)>,
) -> Result<&'static Descriptor, Option<Diagnostic>> {
    let names = names(registry, wanted);
    let Some((text, span)) = written else {
        let message = format!("`type` is missing in {}", table_of(wanted));
        let finding = Diagnostic::new(Code::MissingKey, node.span.clone(), message);
        return Err(Some(
            finding.help(format!("add type = \"...\": one of {}", list(names))),
        ));
    };
    let Some(name) = text else {
        // Its kind is complained about by the schema.
        return Err(None);
    };
    let is_it = |descriptor: &&&'static Descriptor| {
        descriptor.kind() == wanted && descriptor.answers_to(name)
    };
    if let Some(descriptor) = registry.iter().find(is_it) {
        return Ok(descriptor);
    }
    if let Some(other) = registry
        .iter()
        .find(|descriptor| descriptor.answers_to(name))
    {
        let kind = other.kind();
        let message = format!("`{name}` is {}, not {}", article(kind), article(wanted));
        let finding = Diagnostic::new(Code::WrongKind, span, message);
        return Err(Some(
            finding.help(format!("write it in {}", table_of(kind))),
        ));
    }
    if matches!(name, COPY | RELABEL) {
        let message = format!(
            "`{name}` is {}, not {}",
            article(Kind::Output),
            article(wanted)
        );
        let finding = Diagnostic::new(Code::WrongKind, span, message);
        return Err(Some(
            finding.help(format!("write it in {}", table_of(Kind::Output))),
        ));
    }
    let message = format!("there is no {} `{name}`", wanted.as_str());
    let finding = Diagnostic::new(Code::UnknownType, span, message);
    let aliases = registry
        .iter()
        .filter(|descriptor| descriptor.kind() == wanted);
    let aliases = aliases.flat_map(|descriptor| descriptor.aliases.iter().copied());
    Err(Some(
        finding.help(match nearest(name, names.iter().copied().chain(aliases)) {
            Some(near) => format!("write type = \"{near}\""),
            None if name == "secondary_file" => {
                "write type = \"file\", and `path` in the place of directory and basename"
                    .to_owned()
            }
            None => format!("there are {}", list(names)),
        }),
    ))
}
