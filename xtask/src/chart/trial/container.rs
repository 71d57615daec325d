//! What `podman run` is told of a container: everything that is rendered for it.

use super::{network::GATEWAY, plan::Plan, volumes::Volumes};
use crate::chart::objects::{list, name_of, text, texts};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::path::Path;

/// Where the token of a pod is.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What every container has: names are looked up as in a cluster, and what is for podman alone is left out.
const ALWAYS: [&str; 7] = [
    "--dns-search=logging.svc.cluster.local",
    "--dns-search=svc.cluster.local",
    "--dns-search=cluster.local",
    "--dns-option=ndots:5",
    "--no-hosts",
    "--no-healthcheck",
    "--read-only-tmpfs=false",
];

/// A pod, for the words of its containers.
pub(super) struct Writer<'a> {
    pub(super) plan: &'a Plan,
    pub(super) pod: &'a Value,
    pub(super) instance: &'a str,
    pub(super) volumes: &'a Volumes,
    /// The file of names that are not looked up.
    pub(super) hosts: &'a Path,
    /// What a pod with a token gets.
    pub(super) account: &'a Path,
}

impl Writer<'_> {
    /// The words after `podman run`: options, image and arguments.
    pub(super) fn words(&self, container: &Value) -> Result<Vec<String>> {
        let mut words = ALWAYS.map(str::to_owned).to_vec();
        words.push(format!("--network=ns:/run/netns/{}", self.instance));
        words.push(format!("--hostname={}", self.instance));
        words.push(format!("--dns={GATEWAY}"));
        words.push(volume(self.hosts, "/etc/hosts", false));
        words.extend(self.user());
        words.extend(self.confinement(container));
        words.extend(limit(container)?.map(|bytes| format!("--memory={bytes}b")));
        for variable in list(container, "/env") {
            let value = self.value(&variable)?;
            words.push(format!("--env={}={value}", name_of(&variable)));
        }
        for mount in list(container, "/volumeMounts") {
            let source = self.volumes.path(name_of(&mount))?;
            let read_only = mount.pointer("/readOnly") == Some(&json!(true));
            words.push(volume(source, text(&mount, "/mountPath"), read_only));
        }
        if self.pod.pointer("/automountServiceAccountToken") == Some(&json!(true)) {
            words.push(volume(self.account, ACCOUNT, true));
            words.push(format!("--env=KUBERNETES_SERVICE_HOST={GATEWAY}"));
            words.push("--env=KUBERNETES_SERVICE_PORT=443".to_owned());
        }
        if let Some(command) = container.get("command") {
            words.push(format!("--entrypoint={command}"));
        }
        words.push(text(container, "/image").to_owned());
        words.extend(texts(container, "/args"));
        Ok(words)
    }

    /// User and groups, where the pod names them; else those of the image.
    fn user(&self) -> Vec<String> {
        let number = |name: &str| self.pod.pointer("/securityContext")?.get(name)?.as_u64();
        let mut words = Vec::new();
        if let Some(user) = number("runAsUser") {
            let group = number("runAsGroup").unwrap_or_default();
            words.push(format!("--user={user}:{group}"));
        }
        words.extend(number("fsGroup").map(|group| format!("--group-add={group}")));
        words
    }

    /// What is taken from a container. As in Kubernetes, system calls are filtered only when that is asked for.
    fn confinement(&self, container: &Value) -> Vec<String> {
        let is = |name: &str, value: bool| {
            let settings = container.get("securityContext");
            settings.and_then(|settings| settings.get(name)) == Some(&json!(value))
        };
        let drops = texts(container, "/securityContext/capabilities/drop");
        let mut words: Vec<String> = drops
            .iter()
            .map(|capability| format!("--cap-drop={capability}"))
            .collect();
        if is("allowPrivilegeEscalation", false) {
            words.push("--security-opt=no-new-privileges".to_owned());
        }
        if is("readOnlyRootFilesystem", true) {
            words.push("--read-only".to_owned());
        }
        if text(self.pod, "/securityContext/seccompProfile/type") != "RuntimeDefault" {
            words.push("--security-opt=seccomp=unconfined".to_owned());
        }
        words
    }

    fn value(&self, variable: &Value) -> Result<String> {
        let name = name_of(variable);
        let secret = text(variable, "/valueFrom/secretKeyRef/name");
        if !secret.is_empty() {
            let wanted = text(variable, "/valueFrom/secretKeyRef/key");
            let mut entries = self.plan.entries("Secret", secret)?.into_iter();
            let found = entries.find(|(key, _)| key == wanted);
            return Ok(found
                .with_context(|| format!("{secret} has no {wanted}"))?
                .1);
        }
        Ok(match text(variable, "/valueFrom/fieldRef/fieldPath") {
            "" => text(variable, "/value").to_owned(),
            "metadata.name" => self.instance.to_owned(),
            "metadata.namespace" => "logging".to_owned(),
            "metadata.uid" => format!("{}-{}", self.plan.token, self.instance),
            "spec.nodeName" => "node-1".to_owned(),
            other => bail!("{name}: nothing is known of {other}"),
        })
    }
}

fn volume(source: &Path, place: &str, read_only: bool) -> String {
    let option = if read_only { "ro" } else { "rw" };
    format!("--volume={}:{place}:{option}", source.display())
}

/// How many bytes of memory a container may have.
pub(super) fn limit(container: &Value) -> Result<Option<u64>> {
    let quantity = text(container, "/resources/limits/memory");
    if quantity.is_empty() {
        return Ok(None);
    }
    let (number, bits) = match quantity.split_at_checked(quantity.len().saturating_sub(2)) {
        Some((number, "Mi")) => (number, 20),
        Some((number, "Gi")) => (number, 30),
        _ => bail!("{quantity} is neither in Mi nor in Gi"),
    };
    let number: u64 = number.parse().with_context(|| quantity.to_owned())?;
    Ok(Some(number << bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::Objects;

    fn words(pod: &Value, container: &Value) -> Vec<String> {
        let writer = Writer {
            plan: &Plan {
                folder: "/x".into(),
                token: "t".to_owned(),
                pause: String::new(),
                objects: Objects::new(Vec::new()),
            },
            pod,
            instance: "weir-0",
            volumes: &Volumes::default(),
            hosts: Path::new("/hosts"),
            account: Path::new("/account"),
        };
        writer.words(container).unwrap()
    }

    #[test]
    fn only_what_is_rendered_takes_rights_away() {
        let bare = words(&json!({}), &json!({ "image": "a" }));
        assert!(bare.contains(&"--security-opt=seccomp=unconfined".to_owned()));
        let rights = ["--cap-drop", "--user", "--read-only=", "--memory"];
        for right in rights {
            assert!(!bare.iter().any(|word| word.starts_with(right)), "{right}");
        }
        assert!(!bare.contains(&"--read-only".to_owned()));
    }

    #[test]
    fn a_container_becomes_words() {
        let pod = json!({
            "automountServiceAccountToken": true,
            "securityContext": {
                "runAsUser": 7, "runAsGroup": 8, "fsGroup": 9,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
        });
        let container = json!({
            "image": "a",
            "command": ["sh", "b c"],
            "args": ["d"],
            "env": [{ "name": "E", "valueFrom": { "fieldRef": { "fieldPath": "metadata.uid" } } }],
            "resources": { "limits": { "memory": "2Mi" } },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
        });
        let found = words(&pod, &container);
        assert_eq!(
            found[ALWAYS.len()..],
            [
                "--network=ns:/run/netns/weir-0",
                "--hostname=weir-0",
                "--dns=10.99.0.1",
                "--volume=/hosts:/etc/hosts:rw",
                "--user=7:8",
                "--group-add=9",
                "--cap-drop=ALL",
                "--security-opt=no-new-privileges",
                "--read-only",
                "--memory=2097152b",
                "--env=E=t-weir-0",
                "--volume=/account:/var/run/secrets/kubernetes.io/serviceaccount:ro",
                "--env=KUBERNETES_SERVICE_HOST=10.99.0.1",
                "--env=KUBERNETES_SERVICE_PORT=443",
                "--entrypoint=[\"sh\",\"b c\"]",
                "a",
                "d",
            ]
        );
    }

    #[test]
    fn limits_are_in_bytes() {
        let limits =
            |memory: &str| limit(&json!({ "resources": { "limits": { "memory": memory } } }));
        assert_eq!(limits("512Mi").unwrap(), Some(512 << 20));
        assert_eq!(limits("1Gi").unwrap(), Some(1 << 30));
        assert_eq!(limits("").unwrap(), None);
        assert!(limits("1G").is_err());
    }
}
