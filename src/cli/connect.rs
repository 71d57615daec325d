//! `weir check --connect`: reaches the destination of every output once. Delivers nothing.

use std::{path::Path, time::Duration};

use sdk::{
    output::{Failure, FailureKind},
    plugin::{Build, BuildCx, state_dir},
};
use serde_json::{Value, json};

use crate::{
    config::{Config, PluginSpec, TargetSpec},
    plugins::PLUGINS,
};

/// How long a destination may take, in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of one output.
pub(super) struct Reached {
    id: String,
    result: Result<Vec<String>, Failure>,
}

impl Reached {
    pub(super) fn is_there(&self) -> bool {
        self.result.is_ok()
    }

    /// For people: a line for each thing that there is to say.
    pub(super) fn for_people(&self) -> String {
        let id = &self.id;
        match &self.result {
            Ok(said) if said.is_empty() => format!("{id}: nothing to connect to\n"),
            Ok(said) => {
                let lines: Vec<String> =
                    said.iter().map(|line| format!("{id}: {line}\n")).collect();
                lines.concat()
            }
            Err(failure) => format!("{id}: error: {failure}\n"),
        }
    }

    pub(super) fn for_machines(&self) -> Value {
        match &self.result {
            Ok(said) => json!({ "output": self.id, "ok": true, "said": said }),
            Err(failure) => json!({
                "output": self.id, "ok": false,
                "kind": failure.kind.as_str(), "message": failure.message,
            }),
        }
    }
}

/// Reaches the destinations of all outputs, one after the other.
pub(super) fn reach_all(config: &Config) -> Vec<Reached> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let result = Err(Failure::new(FailureKind::Io, error.to_string()));
            let id = "weir".to_owned();
            return vec![Reached { id, result }];
        }
    };
    let reach = |spec: &PluginSpec| Reached {
        id: spec.id.to_string(),
        result: runtime.block_on(reach(config, spec)),
    };
    outputs(config).into_iter().map(reach).collect()
}

async fn reach(config: &Config, spec: &PluginSpec) -> Result<Vec<String>, Failure> {
    let Build::Output(make, _) = spec.descriptor.build else {
        return Ok(Vec::new());
    };
    let data_dir = Path::new(&config.service.data_dir);
    let cx = BuildCx {
        state_dir: Some(state_dir(data_dir, &spec.id)),
        data_dir: data_dir.to_owned(),
        plugins: PLUGINS,
        ..BuildCx::detached(&spec.id)
    };
    let output = make(spec.params.clone(), &cx).map_err(|errors| {
        let messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
        Failure::new(FailureKind::Rejected, messages.join("; "))
    })?;
    let late = |_| {
        let message = format!("no answer within {} s", PATIENCE.as_secs());
        Failure::new(FailureKind::Timeout, message)
    };
    let reached = tokio::time::timeout(PATIENCE, output.reach()).await;
    reached.map_err(late)?
}

/// All outputs, in file order, each before its secondary.
fn outputs(config: &Config) -> Vec<&PluginSpec> {
    fn walk<'a>(target: &'a TargetSpec, found: &mut Vec<&'a PluginSpec>) {
        match target {
            TargetSpec::Relabel(_) => {}
            TargetSpec::Output(output) => {
                found.push(&output.plugin);
                found.extend(&output.secondary);
            }
            TargetSpec::Copy(stores) => {
                for store in stores {
                    walk(&store.target, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    let labels = config.labels.iter();
    for rule in labels.flat_map(|label| &label.matches) {
        walk(&rule.target, &mut found);
    }
    found
}
