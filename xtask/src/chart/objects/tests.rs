//! Objects as they must be, and each departure from that.

use super::*;

const TOML: &str = "[service]\ndrain_delay = \"5s\"\nshutdown_timeout = \"45s\"\n";

fn container(name: &str, word: &str) -> Value {
    let probe = |path: &str| json!({ "httpGet": { "path": path } });
    json!({
        "name": name,
        "image": "weir:1",
        "args": [word, "-c", CONFIG],
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
        "initContainers": [container("check", "check")],
        "containers": [container("weir", "run")],
        "volumes": [{ "name": "config", "configMap": { "name": "weir" } }],
    });
    let template = json!({ "template": { "spec": pod } });
    Objects::new(vec![
        json!({ "kind": "StatefulSet", "metadata": { "name": "weir" }, "spec": template }),
        json!({ "kind": "ConfigMap", "metadata": { "name": "weir" }, "data": { "weir.toml": TOML } }),
        json!({ "kind": "Job", "metadata": { "name": "weir-check" }, "spec": template }),
        json!({
            "kind": "ClusterRole",
            "metadata": { "name": "weir" },
            "rules": [{ "resources": ["pods"], "verbs": ["list", "watch"] }],
        }),
    ])
}

#[test]
fn what_is_as_it_must_be_passes() {
    let objects = objects();
    objects.check().unwrap();
    let runs = objects.runs().unwrap();
    assert_eq!(runs.len(), 4);
    assert_eq!(runs[0].role, "StatefulSet-weir-check");
    assert_eq!(runs[0].config, TOML);
    assert_eq!(runs[0].variables, ["TOKEN"]);
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
        ("/securityContext/runAsUser", json!(0), "runs as root"),
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
            "/initContainers/0/args/0",
            json!("run"),
            "checks something else",
        ),
        (
            "/containers/0/livenessProbe/httpGet/path",
            json!("/metrics"),
            "livenessProbe",
        ),
        ("/terminationGracePeriodSeconds", json!(30), "grace period"),
        ("/automountServiceAccountToken", json!(true), "a token"),
    ];
    for (place, value, expected) in cases {
        let mut objects = objects();
        let place = format!("{pod}{place}");
        insert(&mut objects.0[0], &place, value);
        let error = format!("{:#}", objects.check().unwrap_err());
        assert!(error.contains(expected), "{place}: {error}");
    }
}

/// Sets a value that may not be there yet.
fn insert(object: &mut Value, place: &str, value: Value) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    match object.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
}

#[test]
fn a_long_name_is_found() {
    let mut objects = objects();
    objects.0[0]["metadata"]["name"] = json!("a".repeat(53));
    let error = objects.check().unwrap_err().to_string();
    assert!(error.contains("53 characters"), "{error}");
}

#[test]
fn more_rights_than_needed_are_found() {
    let mut objects = objects();
    objects.0[3]["rules"][0]["resources"] = json!(["secrets"]);
    let error = objects.check().unwrap_err().to_string();
    assert!(error.contains("secrets"), "{error}");
}

#[test]
fn a_hook_that_checks_something_else_is_found() {
    let mut objects = objects();
    objects.0[2]["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] = json!("other");
    objects.0.push(json!({
        "kind": "ConfigMap",
        "metadata": { "name": "other" },
        "data": { "weir.toml": "" },
    }));
    let error = objects.check().unwrap_err().to_string();
    assert!(error.contains("no hook checks"), "{error}");
}
