//! Text to typed, checked configuration: every mistake at once, each with its place and a remedy.
//!
//! Begin with [`load`]. The way of a text: `syntax.rs` makes a tree that knows its places, `variables.rs` fills
//! in `${env:...}`, `components.rs` checks each table against the schemas of its keys (`validate`) and its plugin,
//! `graph` looks at components together, `trial.rs` builds every plugin once, and `assemble.rs` makes the result.

mod assemble;
mod buffer;
mod components;
mod diagnostic;
mod diff;
mod document;
mod draft;
mod formats;
mod graph;
mod keys;
mod kinds;
#[cfg(test)]
mod made_up;
mod manual;
mod memory;
mod model;
mod nearest;
mod report;
mod schema;
mod service;
mod surroundings;
mod syntax;
mod tag_pattern;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod trial;
mod validate;
mod variables;

use std::path::{Path, PathBuf};

use sdk::plugin::Descriptor;

pub use self::buffer::{
    BufferConfig, BufferKind, DeadLetterConfig, DeadLetterFull, DeadLetterKind, Durability,
    FlushMode, Ordering, OverflowAction, RetryConfig,
};
pub use self::diagnostic::{Code, Diagnostic, Label, Severity, Span};
pub use self::diff::{Change, Diff};
pub use self::document::document_schema;
pub use self::formats::MemoryMax;
pub use self::keys::StorePolicy;
pub use self::manual::{Manual, manuals, nearest_name};
pub use self::model::{
    Config, Counts, ERROR, FilterSpec, LabelSpec, MatchSpec, OutputSpec, PluginSpec, ROOT,
    SourceSpec, StoreSpec, TargetSpec,
};
pub use self::report::{Look, Report};
pub use self::service::{
    Admin, Compat, Log, LogFormat, LogLevel, OnFailure, Ready, SecretSource, Service, Unprotected,
};
pub use self::surroundings::{Process, Surroundings};
pub use self::tag_pattern::{PatternError, TagPattern, TagSet};
pub use self::text::{Text, content_hash};
use self::{
    components::{Reader, unreadable},
    document::Rest,
    schema::Schema,
    tree::Node,
    validate::{Layers, Validator},
    variables::Variables,
};

/// The plugins that there are. The list stands above this room, so it is handed in.
pub type Registry = &'static [&'static Descriptor];

/// What came of a text.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` when there is an error.
    pub config: Option<Config>,
    /// Errors and warnings, in file order.
    pub findings: Vec<Diagnostic>,
}

/// Checks a text and makes a configuration of it. Reads what variables name, and nothing else.
pub fn load(text: &str, registry: Registry, surroundings: &dyn Surroundings) -> Loaded {
    load_as(text, registry, surroundings, false)
}

/// The same; with `strict`, what weakens a promise is an error, as with `[service] strict`.
pub fn load_as(
    text: &str,
    registry: Registry,
    surroundings: &dyn Surroundings,
    strict: bool,
) -> Loaded {
    let (tree, mut findings) = syntax::parse(text);
    let Some(mut tree) = tree else {
        return Loaded {
            config: None,
            findings,
        };
    };
    let hidden = Variables::fill_in(&mut tree, surroundings, &mut findings);
    let (service, admin_span) = top_level(&mut tree, &mut findings);
    let data_dir = PathBuf::from(&service.data_dir);
    let draft = Reader::new(registry, data_dir, &mut findings).read(tree);
    findings.extend(graph::check(&draft, &service, &admin_span, strict));
    findings.extend(trial::check(&draft, registry, Path::new(&service.data_dir)));
    for finding in &mut findings {
        hidden.clean(finding);
    }
    findings.sort_by_key(|finding| (finding.span().start, finding.code));
    let is_sound = !findings.iter().any(Diagnostic::is_error);
    let config = if is_sound {
        assemble::assemble(service, draft)
    } else {
        None
    };
    Loaded { config, findings }
}

/// Checks what is not a component, and takes `[service]` with the place of its admin address.
fn top_level(tree: &mut Node, findings: &mut Vec<Diagnostic>) -> (Service, Span) {
    let schema = schema::of::<Rest>();
    let layers = Layers::new(vec![Schema::new(&schema)]);
    let components = ["source", "filter", "match", "label"].map(|key| tree.take(key));
    Validator::new(findings, &[]).table(tree, &layers, "the configuration");
    let service = tree.take("service").map(|entry| entry.node);
    let service = service.unwrap_or_default();
    let admin_span = if service.get("admin").is_some() {
        service.place_of("/admin/listen")
    } else {
        0..0
    };
    tree.content = tree::Content::Table(components.into_iter().flatten().collect());
    let read = serde_json::from_value(service.to_json()).unwrap_or_else(|error| {
        findings.push(unreadable(&service, &error));
        Service::default()
    });
    (read, admin_span)
}
