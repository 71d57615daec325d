//! Objects name one another: whatever is named is there, and whatever selects finds something.

use super::objects::{Objects, containers, kind, list, name, name_of, pod, text};
use anyhow::{Result, ensure};
use serde_json::Value;

/// An error for the first name that leads nowhere.
pub(super) fn check(objects: &Objects) -> Result<()> {
    for object in &objects.0 {
        if let Some(pod) = pod(object) {
            mounts(objects, object, pod)?;
        }
        match kind(object) {
            "Service" => service(objects, object)?,
            "PodDisruptionBudget" => selects(objects, object, "/spec/selector/matchLabels")?,
            "NetworkPolicy" => policy(objects, object)?,
            "HorizontalPodAutoscaler" | "ScaledObject" => scales(objects, object)?,
            "Ingress" | "HTTPRoute" => route(objects, object)?,
            "ServiceMonitor" => monitor(objects, object)?,
            "ClusterRoleBinding" => {
                objects.named("ClusterRole", text(object, "/roleRef/name"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Volumes are mounted, what is mounted is a volume, and what the release makes itself it does make.
fn mounts(objects: &Objects, object: &Value, pod: &Value) -> Result<()> {
    let volumes = list(pod, "/volumes");
    let owner = name(object);
    for container in containers(pod) {
        for mount in list(&container, "/volumeMounts") {
            ensure!(
                volumes
                    .iter()
                    .any(|volume| name_of(volume) == name_of(&mount))
                    || claims(object, name_of(&mount)),
                "{owner}: {} mounts {}, which is no volume",
                name_of(&container),
                name_of(&mount)
            );
        }
        for variable in list(&container, "/env") {
            secret(
                objects,
                owner,
                text(&variable, "/valueFrom/secretKeyRef/name"),
            )?;
        }
    }
    for volume in volumes {
        let map = text(&volume, "/configMap/name");
        ensure!(
            map.is_empty() || objects.named("ConfigMap", map).is_ok(),
            "{owner} mounts ConfigMap {map}, which nobody makes"
        );
        secret(objects, owner, text(&volume, "/secret/secretName"))?;
    }
    Ok(())
}

fn claims(object: &Value, volume: &str) -> bool {
    list(object, "/spec/volumeClaimTemplates")
        .iter()
        .any(|claim| name(claim) == volume)
}

/// A Secret with a name that only the release gives is made by it, or by cert-manager for it.
fn secret(objects: &Objects, owner: &str, wanted: &str) -> Result<()> {
    let made = |base: &str| [format!("{base}-key"), format!("{base}-tls")];
    let is_ours = objects
        .of_kind("Service")
        .any(|service| made(name(service)).iter().any(|name| name == wanted));
    let is_there = objects.named("Secret", wanted).is_ok()
        || objects
            .of_kind("Certificate")
            .any(|certificate| text(certificate, "/spec/secretName") == wanted);
    ensure!(
        !is_ours || is_there,
        "{owner} needs Secret {wanted}, which nobody makes"
    );
    Ok(())
}

/// The descriptions of pods that carry labels.
fn templates(objects: &Objects) -> impl Iterator<Item = &Value> {
    objects
        .workloads()
        .filter_map(|workload| workload.pointer("/spec/template"))
}

fn matches(labels: Option<&Value>, wanted: Option<&Value>) -> bool {
    let Some(wanted) = wanted.and_then(Value::as_object) else {
        return false;
    };
    wanted
        .iter()
        .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn selected<'a>(objects: &'a Objects, object: &Value, place: &str) -> Option<&'a Value> {
    templates(objects)
        .find(|template| matches(template.pointer("/metadata/labels"), object.pointer(place)))
}

fn selects(objects: &Objects, object: &Value, place: &str) -> Result<()> {
    ensure!(
        selected(objects, object, place).is_some(),
        "{} {} selects no pod",
        kind(object),
        name(object)
    );
    Ok(())
}

/// The ports of the containers of a pod, by name and number.
fn ports(template: &Value) -> Vec<(String, u64, String)> {
    let Some(pod) = template.pointer("/spec") else {
        return Vec::new();
    };
    containers(pod)
        .iter()
        .flat_map(|container| list(container, "/ports"))
        .map(|port| {
            let number = port.pointer("/containerPort").and_then(Value::as_u64);
            let protocol = text(&port, "/protocol").to_owned();
            (
                name_of(&port).to_owned(),
                number.unwrap_or_default(),
                protocol,
            )
        })
        .collect()
}

fn service(objects: &Objects, service: &Value) -> Result<()> {
    selects(objects, service, "/spec/selector")?;
    let template = selected(objects, service, "/spec/selector");
    let open = template.map(ports).unwrap_or_default();
    for port in list(service, "/spec/ports") {
        let (target, protocol) = (text(&port, "/targetPort"), text(&port, "/protocol"));
        ensure!(
            open.iter()
                .any(|(name, _, by)| name == target && by == protocol),
            "Service {} leads to port {target}, which no container has",
            name(service)
        );
    }
    Ok(())
}

/// A policy lets exactly the ports in that the pods have.
fn policy(objects: &Objects, policy: &Value) -> Result<()> {
    let place = "/spec/podSelector/matchLabels";
    selects(objects, policy, place)?;
    let mut open: Vec<(u64, String)> = selected(objects, policy, place)
        .map(ports)
        .unwrap_or_default()
        .into_iter()
        .map(|(_, number, protocol)| (number, protocol))
        .collect();
    let mut allowed: Vec<(u64, String)> = list(policy, "/spec/ingress")
        .iter()
        .flat_map(|rule| list(rule, "/ports"))
        .map(|port| {
            let number = port.pointer("/port").and_then(Value::as_u64);
            (
                number.unwrap_or_default(),
                text(&port, "/protocol").to_owned(),
            )
        })
        .collect();
    open.sort();
    allowed.sort();
    ensure!(
        open == allowed,
        "NetworkPolicy {} lets {allowed:?} in, but its pods have {open:?}",
        name(policy)
    );
    Ok(())
}

/// What scales has a target, and nobody else says how many.
fn scales(objects: &Objects, object: &Value) -> Result<()> {
    let target = "/spec/scaleTargetRef";
    let (target_kind, target) = (
        text(object, &format!("{target}/kind")),
        text(object, &format!("{target}/name")),
    );
    let target = objects.named(target_kind, target)?;
    ensure!(
        target.pointer("/spec/replicas").is_none(),
        "{} has replicas, and {} sets them too",
        name(target),
        kind(object)
    );
    Ok(())
}

/// What leads to a Service leads to one of its ports.
fn route(objects: &Objects, object: &Value) -> Result<()> {
    for rule in list(object, "/spec/rules") {
        let paths = list(&rule, "/http/paths");
        let backends = paths
            .iter()
            .filter_map(|path| path.pointer("/backend/service"));
        let direct = list(&rule, "/backendRefs");
        for backend in backends.chain(&direct) {
            let service = objects.named("Service", name_of(backend))?;
            let (by_name, by_number) = (text(backend, "/port/name"), backend.get("port"));
            ensure!(
                list(service, "/spec/ports")
                    .iter()
                    .any(|port| name_of(port) == by_name || port.get("port") == by_number),
                "{} {} leads to a port that {} does not have",
                kind(object),
                name(object),
                name(service)
            );
        }
    }
    Ok(())
}

fn monitor(objects: &Objects, monitor: &Value) -> Result<()> {
    let wanted = monitor.pointer("/spec/selector/matchLabels");
    let found: Vec<&Value> = objects
        .of_kind("Service")
        .filter(|service| matches(service.pointer("/metadata/labels"), wanted))
        .collect();
    ensure!(
        found.len() == 1,
        "ServiceMonitor {} finds {} Services instead of one",
        name(monitor),
        found.len()
    );
    for endpoint in list(monitor, "/spec/endpoints") {
        let port = text(&endpoint, "/port");
        ensure!(
            found
                .iter()
                .flat_map(|service| list(service, "/spec/ports"))
                .any(|open| name_of(&open) == port),
            "ServiceMonitor {} asks port {port}, which its Service does not have",
            name(monitor)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects() -> Objects {
        let labels = json!({ "app": "weir" });
        Objects::new(vec![
            json!({ "kind": "StatefulSet", "metadata": { "name": "weir" }, "spec": { "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "containers": [{
                        "name": "weir",
                        "ports": [{ "name": "forward", "containerPort": 24224, "protocol": "TCP" }],
                        "volumeMounts": [{ "name": "config" }],
                        "env": [{ "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "weir-key" } } }],
                    }],
                    "volumes": [{ "name": "config", "configMap": { "name": "weir" } }],
                },
            } } }),
            json!({ "kind": "ConfigMap", "metadata": { "name": "weir" } }),
            json!({ "kind": "Secret", "metadata": { "name": "weir-key" } }),
            json!({ "kind": "Service", "metadata": { "name": "weir", "labels": labels }, "spec": {
                "selector": labels,
                "ports": [{ "name": "forward", "port": 1, "targetPort": "forward", "protocol": "TCP" }],
            } }),
            json!({ "kind": "NetworkPolicy", "metadata": { "name": "weir" }, "spec": {
                "podSelector": { "matchLabels": labels },
                "ingress": [{ "ports": [{ "port": 24224, "protocol": "TCP" }] }],
            } }),
            json!({ "kind": "ScaledObject", "metadata": { "name": "weir" }, "spec": {
                "scaleTargetRef": { "kind": "StatefulSet", "name": "weir" },
            } }),
            json!({ "kind": "Ingress", "metadata": { "name": "weir" }, "spec": { "rules": [{ "http": { "paths": [
                { "backend": { "service": { "name": "weir", "port": { "name": "forward" } } } },
            ] } }] } }),
            json!({ "kind": "ServiceMonitor", "metadata": { "name": "weir" }, "spec": {
                "selector": { "matchLabels": labels },
                "endpoints": [{ "port": "forward" }],
            } }),
        ])
    }

    #[test]
    fn names_that_lead_somewhere_pass() {
        check(&objects()).unwrap();
    }

    #[test]
    fn each_name_that_leads_nowhere_is_found() {
        let pod = "/spec/template/spec";
        let cases = [
            (0, format!("{pod}/volumes/0/configMap/name"), "nobody makes"),
            (
                0,
                format!("{pod}/containers/0/volumeMounts/0/name"),
                "no volume",
            ),
            (2, "/metadata/name".to_owned(), "needs Secret weir-key"),
            (3, "/spec/selector/app".to_owned(), "selects no pod"),
            (3, "/spec/ports/0/targetPort".to_owned(), "no container has"),
            (4, "/spec/ingress/0/ports/0/protocol".to_owned(), "lets"),
            (5, "/spec/scaleTargetRef/name".to_owned(), "no StatefulSet"),
            (
                6,
                "/spec/rules/0/http/paths/0/backend/service/port/name".to_owned(),
                "a port that",
            ),
            (7, "/spec/endpoints/0/port".to_owned(), "asks port"),
            (7, "/spec/selector/matchLabels/app".to_owned(), "0 Services"),
        ];
        for (index, place, expected) in cases {
            let mut objects = objects();
            *objects.0[index].pointer_mut(&place).unwrap() = json!("other");
            let error = check(&objects).unwrap_err().to_string();
            assert!(error.contains(expected), "{place}: {error}");
        }
    }

    #[test]
    fn two_that_say_how_many_are_found() {
        let mut objects = objects();
        objects.0[0]["spec"]["replicas"] = json!(2);
        assert!(check(&objects).is_err());
    }
}
