//! What the rendered objects must have that no schema of Kubernetes asks for.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Every container has these settings.
const CONTAINER: [(&str, &str); 3] = [
    ("/securityContext/allowPrivilegeEscalation", "false"),
    ("/securityContext/readOnlyRootFilesystem", "true"),
    ("/securityContext/capabilities/drop", r#"["ALL"]"#),
];
/// Every pod has these settings.
const POD: [(&str, &str); 4] = [
    ("/automountServiceAccountToken", "false"),
    ("/enableServiceLinks", "false"),
    ("/securityContext/runAsNonRoot", "true"),
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

/// The objects of a release.
#[derive(Debug)]
pub(super) struct Objects(Vec<Value>);

impl Objects {
    pub(super) fn new(objects: Vec<Value>) -> Self {
        Self(objects)
    }

    /// The configuration in the `ConfigMap`.
    pub(super) fn config(&self) -> Result<String> {
        let text = self.one("ConfigMap")?.pointer("/data/weir.toml");
        let text = text.and_then(Value::as_str);
        Ok(text.context("the ConfigMap has no weir.toml")?.to_owned())
    }

    /// The names of the variables that the checking container has by itself.
    pub(super) fn variables(&self) -> Vec<String> {
        let containers = self.containers("initContainers");
        let names = containers
            .iter()
            .flat_map(|container| list(container, "/env"))
            .filter_map(|variable| Some(variable.get("name")?.as_str()?.to_owned()));
        names.collect()
    }

    /// An error for the first object that is not as it must be.
    pub(super) fn check(&self) -> Result<()> {
        self.hardened()?;
        self.same_surroundings()?;
        self.probes()?;
        self.grace_period()
    }

    fn hardened(&self) -> Result<()> {
        for pod in self.pods() {
            has(pod, &POD)?;
            let containers = ["/initContainers", "/containers"].map(|place| list(pod, place));
            for container in containers.concat() {
                has(&container, &CONTAINER)?;
            }
        }
        Ok(())
    }

    /// The check sees what the run sees.
    fn same_surroundings(&self) -> Result<()> {
        let surroundings = |place| -> Result<Value> {
            let containers = self.containers(place);
            let [container] = containers.as_slice() else {
                anyhow::bail!("{} containers in {place} instead of one", containers.len());
            };
            Ok(["image", "env", "envFrom", "volumeMounts"]
                .map(|key| container.get(key).cloned())
                .into_iter()
                .map(|value| json!(value))
                .collect())
        };
        ensure!(
            surroundings("initContainers")? == surroundings("containers")?,
            "the init container checks with another image, other variables or other volumes than the run has"
        );
        Ok(())
    }

    fn probes(&self) -> Result<()> {
        let containers = self.containers("containers");
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

    /// The pod may take as long as the configuration says, and a little longer.
    fn grace_period(&self) -> Result<()> {
        let config: toml::Table = self.config()?.parse().context("weir.toml is no TOML")?;
        let service = config
            .get("service")
            .context("weir.toml has no [service]")?;
        let seconds = |key: &str| -> Result<u64> {
            let text = service.get(key).and_then(toml::Value::as_str);
            let number = text.and_then(|text| text.strip_suffix('s')?.parse().ok());
            number.with_context(|| format!("[service] {key} is not in seconds"))
        };
        let needed = seconds("drain_delay")? + seconds("shutdown_timeout")? + SPARE_SECONDS;
        let given = self
            .one("StatefulSet")?
            .pointer("/spec/template/spec/terminationGracePeriodSeconds");
        ensure!(
            given == Some(&json!(needed)),
            "the grace period is {given:?} instead of {needed}"
        );
        Ok(())
    }

    fn one(&self, kind: &str) -> Result<&Value> {
        let mut found = self
            .0
            .iter()
            .filter(|object| object.get("kind") == Some(&json!(kind)));
        found.next().with_context(|| format!("no {kind}"))
    }

    /// The pods: those of the `StatefulSet`, and single ones.
    fn pods(&self) -> impl Iterator<Item = &Value> {
        self.0
            .iter()
            .filter_map(|object| match object.get("kind")?.as_str()? {
                "Pod" => object.pointer("/spec"),
                _ => object.pointer("/spec/template/spec"),
            })
    }

    fn containers(&self, place: &str) -> Vec<Value> {
        let set = self.one("StatefulSet").ok();
        let place = format!("/spec/template/spec/{place}");
        set.map(|set| list(set, &place)).unwrap_or_default()
    }
}

fn list(value: &Value, place: &str) -> Vec<Value> {
    value
        .pointer(place)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
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
mod tests {
    use super::*;

    const CONFIG: &str = "[service]\ndrain_delay = \"5s\"\nshutdown_timeout = \"45s\"\n";

    fn container(name: &str) -> Value {
        let probe = |path: &str| json!({ "httpGet": { "path": path } });
        json!({
            "name": name,
            "image": "weir:1",
            "env": [{ "name": "TOKEN" }],
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
            "startupProbe": probe("/startupz"),
            "livenessProbe": probe("/livez"),
            "readinessProbe": probe("/readyz"),
        })
    }

    fn objects() -> Objects {
        let pod = json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 60,
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "initContainers": [container("check")],
            "containers": [container("weir")],
        });
        Objects::new(vec![
            json!({ "kind": "ConfigMap", "data": { "weir.toml": CONFIG } }),
            json!({ "kind": "StatefulSet", "spec": { "template": { "spec": pod } } }),
        ])
    }

    #[test]
    fn what_is_as_it_must_be_passes() {
        let objects = objects();
        objects.check().unwrap();
        assert_eq!(objects.config().unwrap(), CONFIG);
        assert_eq!(objects.variables(), ["TOKEN"]);
    }

    #[test]
    fn each_departure_is_found() {
        let pod = "/spec/template/spec";
        let cases = [
            (
                "/securityContext/runAsNonRoot",
                json!(false),
                "runAsNonRoot",
            ),
            (
                "/containers/0/securityContext/readOnlyRootFilesystem",
                json!(false),
                "readOnlyRootFilesystem",
            ),
            (
                "/initContainers/0/securityContext/capabilities/drop",
                json!([]),
                "drop",
            ),
            (
                "/initContainers/0/env",
                json!([]),
                "the init container checks",
            ),
            (
                "/containers/0/livenessProbe/httpGet/path",
                json!("/metrics"),
                "livenessProbe",
            ),
            ("/terminationGracePeriodSeconds", json!(30), "grace period"),
        ];
        for (place, value, expected) in cases {
            let mut objects = objects();
            *objects.0[1].pointer_mut(&format!("{pod}{place}")).unwrap() = value;
            let error = objects.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{place}: {error}");
        }
    }
}
