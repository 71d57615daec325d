//! What the rendered objects must have that no schema of Kubernetes asks for.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// Every container has these settings.
const CONTAINER: [(&str, &str); 3] = [
    ("/securityContext/allowPrivilegeEscalation", "false"),
    ("/securityContext/readOnlyRootFilesystem", "true"),
    ("/securityContext/capabilities/drop", r#"["ALL"]"#),
];
/// Every pod has these settings.
const POD: [(&str, &str); 2] = [
    ("/enableServiceLinks", "false"),
    (
        "/securityContext/seccompProfile/type",
        r#""RuntimeDefault""#,
    ),
];
/// The probes of the container, and what they ask for.
const PROBES: [(&str, &str); 3] = [
    ("startupProbe", "/startupz"),
    ("livenessProbe", "/livez"),
    ("readinessProbe", "/readyz"),
];
/// Seconds from the end of the drain to the end of the grace period.
const SPARE_SECONDS: u64 = 10;
/// What a label may have.
const LABEL_MAX_CHARS: usize = 63;
/// What Kubernetes adds to the name of a workload in a label of its pods.
const REVISION_CHARS: usize = 11;
/// Kinds with pods that go on.
const WORKLOADS: [&str; 3] = ["DaemonSet", "StatefulSet", "Deployment"];
const AGENT: &str = "DaemonSet";
/// Where the configuration is.
const CONFIG: &str = "/etc/weir/weir.toml";

/// The objects of a release.
#[derive(Debug)]
pub(super) struct Objects(pub(super) Vec<Value>);

/// A container that runs Weir, with the configuration that it gets.
#[derive(Debug)]
pub(super) struct Run {
    /// The kind of its object, and its name.
    pub(super) role: String,
    pub(super) args: Vec<String>,
    pub(super) config: String,
    /// The names of its variables.
    pub(super) variables: Vec<String>,
}

impl Objects {
    pub(super) fn new(objects: Vec<Value>) -> Self {
        Self(objects)
    }

    /// An error for the first object that is not as it must be.
    pub(super) fn check(&self) -> Result<()> {
        self.names()?;
        self.hardened()?;
        self.rights()?;
        for workload in self.workloads() {
            let name = name(workload);
            surroundings(workload)
                .and_then(|()| probes(workload))
                .and_then(|()| self.grace_period(workload))
                .with_context(|| format!("{} {name}", kind(workload)))?;
        }
        self.hooks()
    }

    /// The containers that run Weir: in pods that go on, in Jobs, and in the test.
    pub(super) fn runs(&self) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for object in &self.0 {
            let Some(pod) = pod(object) else { continue };
            for container in containers(pod) {
                let args = texts(&container, "/args");
                if !args.iter().any(|word| word == CONFIG) {
                    continue;
                }
                let container_name = name_of(&container);
                runs.push(Run {
                    role: format!("{}-{}-{container_name}", kind(object), name(object)),
                    args,
                    config: self.config(pod)?,
                    variables: list(&container, "/env")
                        .iter()
                        .filter_map(|variable| Some(variable.get("name")?.as_str()?.to_owned()))
                        .collect(),
                });
            }
        }
        Ok(runs)
    }

    /// The configuration in the `ConfigMap` that a pod mounts.
    pub(super) fn config(&self, pod: &Value) -> Result<String> {
        let volumes = list(pod, "/volumes");
        let volume = volumes.iter().find(|volume| name_of(volume) == "config");
        let map = volume.and_then(|volume| volume.pointer("/configMap/name")?.as_str());
        let map = map.context("the pod mounts no configuration")?;
        let map = self.named("ConfigMap", map)?;
        let text = map.pointer("/data/weir.toml").and_then(Value::as_str);
        Ok(text.context("the ConfigMap has no weir.toml")?.to_owned())
    }

    pub(super) fn of_kind(&self, wanted: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| kind(object) == wanted)
    }

    pub(super) fn named(&self, wanted: &str, with: &str) -> Result<&Value> {
        let mut found = self.of_kind(wanted).filter(|object| name(object) == with);
        found.next().with_context(|| format!("no {wanted} {with}"))
    }

    pub(super) fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.0
            .iter()
            .filter(|object| WORKLOADS.contains(&kind(object)))
    }

    fn names(&self) -> Result<()> {
        for object in &self.0 {
            let (kind, name) = (kind(object), name(object));
            // The name of a ConfigMap or of a role in the API is no label.
            let most = match kind {
                "ConfigMap"
                | "ClusterRole"
                | "ClusterRoleBinding"
                | "SecurityContextConstraints" => 253,
                "StatefulSet" => LABEL_MAX_CHARS - REVISION_CHARS,
                _ => LABEL_MAX_CHARS,
            };
            ensure!(!name.is_empty(), "a {kind} has no name");
            ensure!(
                name.len() <= most,
                "{kind} {name}: {} characters instead of at most {most}",
                name.len()
            );
        }
        Ok(())
    }

    fn hardened(&self) -> Result<()> {
        for object in &self.0 {
            let Some(pod) = pod(object) else { continue };
            has(pod, &POD)?;
            for container in containers(pod) {
                has(&container, &CONTAINER)?;
            }
            let user = pod.pointer("/securityContext/runAsUser");
            if kind(object) == AGENT {
                ensure!(
                    user == Some(&json!(0)),
                    "the agent is user {user:?} instead of 0"
                );
            } else {
                has(pod, &[("/securityContext/runAsNonRoot", "true")])?;
                ensure!(user != Some(&json!(0)), "{} runs as root", name(object));
            }
        }
        Ok(())
    }

    /// Only an agent that asks the API has a token, and only such a one has rights: to list and to watch.
    fn rights(&self) -> Result<()> {
        for object in &self.0 {
            let Some(pod) = pod(object) else { continue };
            let asks =
                kind(object) == AGENT && self.config(pod)?.contains("\"kubernetes_metadata\"");
            let has_token = pod.pointer("/automountServiceAccountToken") == Some(&json!(true));
            ensure!(
                asks == has_token || kind(object) == AGENT && !asks,
                "{} {}: a token is mounted: {has_token}, but the API is asked: {asks}",
                kind(object),
                name(object)
            );
        }
        for role in self.of_kind("ClusterRole") {
            for rule in list(role, "/rules") {
                let verbs = texts(&rule, "/verbs");
                ensure!(verbs == ["list", "watch"], "{} may {verbs:?}", name(role));
                let resources = texts(&rule, "/resources");
                ensure!(
                    resources
                        .iter()
                        .all(|kind| kind == "pods" || kind == "namespaces"),
                    "{} reads {resources:?}",
                    name(role)
                );
            }
        }
        Ok(())
    }

    /// The pod may take as long as the configuration says, and a little longer.
    fn grace_period(&self, workload: &Value) -> Result<()> {
        let pod = pod(workload).context("no pod")?;
        let config: toml::Table = self.config(pod)?.parse().context("weir.toml is no TOML")?;
        let service = config
            .get("service")
            .context("weir.toml has no [service]")?;
        let seconds = |key: &str| -> Result<u64> {
            let text = service.get(key).and_then(toml::Value::as_str);
            let number = text.and_then(|text| text.strip_suffix('s')?.parse().ok());
            number.with_context(|| format!("[service] {key} is not in seconds"))
        };
        let needed = seconds("drain_delay")? + seconds("shutdown_timeout")? + SPARE_SECONDS;
        let given = pod.pointer("/terminationGracePeriodSeconds");
        ensure!(
            given == Some(&json!(needed)),
            "the grace period is {given:?} instead of {needed}"
        );
        Ok(())
    }

    /// What a hook checks is what comes.
    fn hooks(&self) -> Result<()> {
        let mut checked = Vec::new();
        for job in self.of_kind("Job") {
            checked.push(self.config(pod(job).context("no pod")?)?);
        }
        if checked.is_empty() {
            return Ok(());
        }
        for workload in self.workloads() {
            let config = self.config(pod(workload).context("no pod")?)?;
            if !checked.contains(&config) {
                bail!("no hook checks the configuration of {}", name(workload));
            }
        }
        Ok(())
    }
}

/// The check sees what the run sees.
fn surroundings(workload: &Value) -> Result<()> {
    let pod = pod(workload).context("no pod")?;
    let find = |place: &str, wanted: &str| {
        list(pod, place)
            .into_iter()
            .find(|container| name_of(container) == wanted)
    };
    let seen = |container: &Value| {
        ["image", "env", "envFrom", "volumeMounts"].map(|key| container.get(key).cloned())
    };
    let run = find("/containers", "weir").context("no container runs")?;
    ensure!(
        matches!(&texts(&run, "/args")[..], [run, watch @ .., c, config]
            if run == "run" && c == "-c" && config == CONFIG && watch.iter().all(|word| word == "--watch")),
        "the container runs something else: {:?}",
        texts(&run, "/args")
    );
    let Some(check) = find("/initContainers", "check") else {
        return Ok(());
    };
    ensure!(
        texts(&check, "/args") == ["check", "-c", CONFIG],
        "the init container checks something else"
    );
    ensure!(
        seen(&check) == seen(&run),
        "the init container checks with another image, other variables or other volumes than the run has"
    );
    Ok(())
}

fn probes(workload: &Value) -> Result<()> {
    let pod = pod(workload).context("no pod")?;
    let containers = list(pod, "/containers");
    let container = containers.first().context("no container")?;
    for (probe, path) in PROBES {
        let place = format!("/{probe}/httpGet/path");
        ensure!(
            container.pointer(&place) == Some(&json!(path)),
            "{probe} does not ask for {path}"
        );
    }
    Ok(())
}

/// The description of the pods of an object, where it has any.
pub(super) fn pod(object: &Value) -> Option<&Value> {
    match kind(object) {
        "Pod" => object.pointer("/spec"),
        "Job" => object.pointer("/spec/template/spec"),
        kind if WORKLOADS.contains(&kind) => object.pointer("/spec/template/spec"),
        _ => None,
    }
}

pub(super) fn containers(pod: &Value) -> Vec<Value> {
    ["/initContainers", "/containers"]
        .map(|place| list(pod, place))
        .concat()
}

pub(super) fn kind(object: &Value) -> &str {
    text(object, "/kind")
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// The name of a part of an object.
pub(super) fn name_of(part: &Value) -> &str {
    text(part, "/name")
}

pub(super) fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn list(value: &Value, place: &str) -> Vec<Value> {
    value
        .pointer(place)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

pub(super) fn texts(value: &Value, place: &str) -> Vec<String> {
    list(value, place)
        .iter()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn has(value: &Value, settings: &[(&str, &str)]) -> Result<()> {
    for (place, expected) in settings {
        let found = value.pointer(place).map(Value::to_string);
        let name = value.get("name").and_then(Value::as_str).unwrap_or("pod");
        ensure!(
            found.as_deref() == Some(*expected),
            "{name}: {place} is {found:?} instead of {expected}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
