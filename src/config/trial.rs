//! Builds every plugin once on trial, which does no input or output, and maps its complaints to their places.

use std::path::Path;

use sdk::{
    config::ConfigErrors,
    plugin::{Build, BuildCx, state_dir},
};

use super::{
    Registry,
    diagnostic::{Code, Diagnostic},
    draft::{Draft, Head},
};

/// Builds what can be built.
pub(super) fn check(draft: &Draft, registry: Registry, data_dir: &Path) -> Vec<Diagnostic> {
    let heads = draft.heads();
    let sound = heads.into_iter().filter(|head| head.is_sound);
    sound
        .flat_map(|head| complaints(head, registry, data_dir))
        .collect()
}

fn complaints(head: &Head, registry: Registry, data_dir: &Path) -> Vec<Diagnostic> {
    let Some(plugin) = head.plugin else {
        return Vec::new();
    };
    let type_name = head.node.get("type").and_then(|entry| entry.node.text());
    let cx = BuildCx {
        type_name: type_name.map(Into::into),
        data_dir: data_dir.to_owned(),
        state_dir: head
            .id_span
            .is_some()
            .then(|| state_dir(data_dir, &head.id)),
        plugins: registry,
        ..BuildCx::detached(&head.id)
    };
    let params = head.params.clone();
    let built: Result<(), ConfigErrors> = match plugin.build {
        Build::Input(build) => build(params, &cx).map(drop),
        Build::Filter(build) => build(params, &cx).map(drop),
        Build::Stateful(build) => build(params, &cx).map(drop),
        Build::Parser(build) => build(params, &cx).map(drop),
        Build::Formatter(build) => build(params, &cx).map(drop),
        Build::Output(build, _) => build(params, &cx).map(drop),
    };
    let kind = plugin.kind().as_str();
    let errors = built.err().unwrap_or_default();
    errors
        .into_iter()
        .map(|error| {
            // What to write instead may stand in the message itself.
            let (what, remedy) = match error.message.split_once("; ") {
                Some((what, remedy)) if error.help.is_none() => (what, Some(remedy.to_owned())),
                _ => (error.message.as_str(), error.help),
            };
            let message = format!("{kind} `{}`: {what}", plugin.name);
            let finding = Diagnostic::new(Code::BadValue, head.node.place_of(&error.path), message);
            let help = format!("`weir plugins {}` explains the parameters", plugin.name);
            finding.help(remedy.unwrap_or(help))
        })
        .collect()
}
