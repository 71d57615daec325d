//! Reading the configuration again, up to the point from which nothing can fail: read, check, compare, try, build. The
//! graph that runs is only looked at. [`super::graph`] puts the new one in its place.

use std::{fmt, sync::Arc};

use sdk::plugin::Kind;
use serde_json::{Value, json};

use super::{
    origin::Origin,
    sources::{self, Kit, Prepared},
};
use crate::{
    config::{Change, Config, Diff, Look},
    pipeline::{BuildError, Built, Lender, build},
};

/// A new graph beside the one that runs, ready to take its place.
pub(super) struct Plan {
    pub(super) config: Config,
    /// Of its text; `None` when it is one that ran before.
    pub(super) hash: Option<u64>,
    pub(super) diff: Arc<Diff>,
    pub(super) prepared: Prepared,
    pub(super) built: Built,
}

/// What a plan is made against.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) config: Arc<Config>,
    pub(super) lender: Lender,
    pub(super) kit: Kit,
}

/// What a reload changed, by the ids of the components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    kept: Vec<String>,
}

/// Why a configuration was not taken. What ran before runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read.
    Unreadable(String),
    /// It has errors: drawn for people, and for machines.
    Wrong {
        /// With the lines and carets of `weir check`.
        people: String,
        /// As `weir check --json` prints it.
        machines: Value,
    },
    /// It changes keys of `[service]` that only a restart can change.
    Fixed(Vec<&'static str>),
    /// A component cannot start.
    Component {
        /// Its id.
        id: Arc<str>,
        /// Why, in one sentence.
        message: String,
    },
    /// A bug.
    Panic(String),
}

/// Reads, checks and builds.
///
/// # Errors
/// [`Refusal`].
pub(super) async fn plan(origin: Option<Arc<Origin>>, ground: Ground) -> Result<Plan, Refusal> {
    let Some(origin) = origin else {
        let message =
            "the configuration was not read from a file, so there is nothing to read again";
        return Err(Refusal::Unreadable(message.to_owned()));
    };
    let read = tokio::task::spawn_blocking(move || origin.load()).await;
    let read = read.map_err(|panic| Refusal::Panic(panic.to_string()))?;
    let (text, loaded) = read.map_err(Refusal::Unreadable)?;
    let report = text.report(&loaded.findings);
    let Some(config) = loaded.config else {
        return Err(Refusal::Wrong {
            people: report.for_people(Look::Plain),
            machines: report.for_machines(),
        });
    };
    if !loaded.findings.is_empty() {
        tracing::warn!("{}", report.for_people(Look::Plain));
    }
    plan_for(config, Some(text.hash()), ground).await
}

/// Builds what is to run.
///
/// # Errors
/// [`Refusal`].
pub(super) async fn plan_for(
    config: Config,
    hash: Option<u64>,
    ground: Ground,
) -> Result<Plan, Refusal> {
    let Ground {
        config: before,
        lender,
        kit,
    } = ground;
    let fixed = before.service.fixed_keys_that_differ(&config.service);
    if !fixed.is_empty() {
        return Err(Refusal::Fixed(fixed));
    }
    types_stay(&before, &config)?;
    let diff = Arc::new(Diff::between(&before, &config));
    let failed = |(id, error): (Arc<str>, sdk::RunError)| Refusal::Component {
        id,
        message: error.to_string(),
    };
    let lender = Lender {
        diff: Arc::clone(&diff),
        ..lender
    };
    let prepared = sources::prepare(&config, &diff, &kit).await;
    #[cfg(feature = "defects")]
    if prepared.is_err() {
        apply_half(&config, &kit, &lender);
    }
    let prepared = prepared.map_err(failed)?;
    let parts = kit.parts.clone();
    let built = tokio::task::spawn_blocking(move || {
        let built = build(&config, &parts, Some(&lender));
        built.map(|built| (config, built))
    });
    let (config, built) = match built.await {
        Ok(built) => built.map_err(|error| Refusal::of(&error))?,
        Err(panic) => return Err(Refusal::Panic(panic.to_string())),
    };
    Ok(Plan {
        config,
        hash,
        diff,
        prepared,
        built,
    })
}

/// Changes the outputs although the configuration is refused.
#[cfg(feature = "defects")]
fn apply_half(config: &Config, kit: &Kit, lender: &Lender) {
    if !crate::telemetry::defects::is_on("reload_half_applied") {
        return;
    }
    if let Ok(built) = build(config, &kit.parts, Some(lender)) {
        for output in built.outputs {
            if let Some(means) = output.means {
                output.node.deliver_by(means);
            }
        }
    }
}

/// An output may become one of another type only with another buffer: what is stored was meant for the first.
fn types_stay(before: &Config, after: &Config) -> Result<(), Refusal> {
    let before = before.output_specs();
    for spec in after.output_specs() {
        let (id, new) = (&spec.plugin.id, spec.plugin.descriptor.name);
        let other = before.iter().find(|other| other.shares_buffer_with(spec));
        let old = other.map_or(new, |other| other.plugin.descriptor.name);
        if old != new {
            let message = format!(
                "it changes from type \"{old}\" to \"{new}\" and would deliver what is stored for the first; give it another id"
            );
            return Err(Refusal::Component {
                id: Arc::clone(id),
                message,
            });
        }
    }
    Ok(())
}

impl Plan {
    pub(super) fn summary(&self) -> Summary {
        Summary::of(&self.diff)
    }

    /// The ids of the components that ran before and run otherwise now.
    pub(super) fn changed(&self) -> Vec<Arc<str>> {
        let ids = self.diff.ids(Change::Changed).into_iter();
        ids.cloned().collect()
    }

    /// The ids of the filters that are gone.
    pub(super) fn removed_filters(&self) -> Vec<Arc<str>> {
        let ids = self.diff.ids(Change::Removed).into_iter();
        ids.filter(|id| self.diff.of(Kind::Filter, id) == Change::Removed)
            .cloned()
            .collect()
    }
}

impl Summary {
    fn of(diff: &Diff) -> Self {
        let ids = |change| {
            let ids = diff.ids(change).into_iter();
            ids.map(ToString::to_string).collect()
        };
        Self {
            added: ids(Change::Added),
            removed: ids(Change::Removed),
            changed: ids(Change::Changed),
            kept: ids(Change::Kept),
        }
    }

    /// For machines.
    pub fn for_machines(&self) -> Value {
        json!({
            "ok": true,
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "kept": self.kept,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
        ];
        for (what, ids) in parts.into_iter().filter(|(_, ids)| !ids.is_empty()) {
            write!(f, "{what}: {}; ", ids.join(", "))?;
        }
        write!(f, "kept: {}", self.kept.len())
    }
}

impl Refusal {
    fn of(error: &BuildError) -> Self {
        Self::Component {
            id: Arc::clone(error.component()),
            message: error.to_string(),
        }
    }

    /// For machines.
    pub fn for_machines(&self) -> Value {
        let mut value = match self {
            Self::Wrong { machines, .. } => machines.clone(),
            _ => json!({}),
        };
        if let Some(object) = value.as_object_mut() {
            object.insert("ok".to_owned(), false.into());
            object.insert("message".to_owned(), self.to_string().into());
            match self {
                Self::Fixed(keys) => drop(object.insert("keys".to_owned(), json!(keys))),
                Self::Component { id, .. } => {
                    object.insert("component".to_owned(), json!(id));
                }
                _ => {}
            }
        }
        value
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(message) => f.write_str(message),
            Self::Wrong { .. } => f.write_str("the configuration has errors"),
            Self::Fixed(keys) => {
                let keys: Vec<_> = keys.iter().map(|key| format!("[service] {key}")).collect();
                let keys = keys.join(", ");
                write!(
                    f,
                    "only a restart can change {keys}; restart, or change it back"
                )
            }
            Self::Component { id, message } => write!(f, "component \"{id}\": {message}"),
            Self::Panic(message) => write!(f, "a bug: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let fixed = Refusal::Fixed(vec!["data_dir", "workers"]);
        assert_eq!(
            fixed.to_string(),
            "only a restart can change [service] data_dir, [service] workers; restart, or change it back"
        );
        let value = fixed.for_machines();
        assert_eq!(
            (&value["ok"], &value["keys"][1]),
            (&json!(false), &json!("workers"))
        );
        let wrong = Refusal::Wrong {
            people: String::new(),
            machines: json!({ "ok": false, "errors": 2 }),
        };
        assert_eq!(wrong.for_machines()["errors"], 2);
    }

    #[test]
    fn a_summary_is_one_line() {
        let summary = Summary {
            added: vec!["a".to_owned(), "b".to_owned()],
            changed: vec!["c".to_owned()],
            kept: vec!["d".to_owned(); 3],
            ..Summary::default()
        };
        assert_eq!(summary.to_string(), "added: a, b; changed: c; kept: 3");
    }
}
