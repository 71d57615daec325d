//! What the filter makes of records, with pods that the test puts into the store.

use std::time::{Duration, Instant};

use sdk::{
    event::Batch,
    metrics::Metrics,
    obligation::{Obligation, Receipt},
    stateful::{Left, Outbox, StatefulFilter},
    testing,
};
use serde_json::{Value, json};

use crate::{
    config::Config,
    filter::Enricher,
    pod::{Container, Namespace, Pod, Words},
    settings::Settings,
};

fn enricher(params: Value) -> Enricher {
    let config: Config = serde_json::from_value(params).unwrap();
    Enricher::new(Settings::new(config).unwrap(), Metrics::new())
}

fn words(pairs: &[(&str, &str)]) -> Words {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn pod(uid: &str) -> Pod {
    Pod {
        uid: uid.into(),
        name: format!("web-{uid}"),
        namespace: "shop".into(),
        node: Some("n1".into()),
        ip: Some("10.1.2.3".into()),
        labels: words(&[
            ("app", "web"),
            ("app.kubernetes.io/name", "web"),
            ("pod-template-hash", "7d4b9"),
        ]),
        annotations: words(&[("team", "blue"), ("secret", "x")]),
        owners: vec![("ReplicaSet".into(), "web-7d4b9".into())],
        containers: vec![Container {
            name: "nginx".into(),
            image: Some("nginx:1".into()),
            image_id: Some("sha256:1".into()),
            id: Some("abc".into()),
        }],
        config_hash: None,
    }
}

fn record(uid: &str, line: &str) -> Value {
    json!({ "log": line, "stream": "stdout", "kubernetes": { "pod_id": uid, "pod_name": "p", "namespace_name": "shop", "container_name": "nginx" } })
}

fn owed(records: &[Value]) -> (Batch, Receipt) {
    let (due, receipt) = Obligation::new();
    let batch = Batch {
        due,
        ..testing::batch("kube.shop", records)
    };
    (batch, receipt)
}

fn run(filter: &mut Enricher, records: &[Value], now: Instant) -> (Left, Receipt) {
    let (batch, receipt) = owed(records);
    let mut out = Outbox::default();
    filter.filter(&batch, now, &mut out);
    batch.due.meet();
    (out.take(), receipt)
}

fn tick(filter: &mut Enricher, now: Instant) -> Left {
    let mut out = Outbox::default();
    filter.tick(now, &mut out);
    out.take()
}

fn records(left: &Left) -> Vec<Value> {
    left.batches
        .iter()
        .flat_map(|batch| testing::records(&batch.events))
        .collect()
}

#[test]
fn the_names_are_those_of_fluentd() {
    let mut filter =
        enricher(json!({ "annotation_match": ["^team$"], "include_ownerrefs_metadata": true }));
    filter.store.put_namespace(
        "shop".into(),
        Namespace {
            uid: "ns".into(),
            labels: words(&[("tier", "1")]),
            ..Namespace::default()
        },
    );
    filter.store.put_pod(pod("u1"), 0);
    let (left, _) = run(&mut filter, &[record("u1", "x")], Instant::now());
    let expected = json!({
        "log": "x", "stream": "stdout",
        "kubernetes": {
            "pod_id": "u1", "pod_name": "web-u1", "namespace_name": "shop", "container_name": "nginx",
            "container_image": "nginx:1", "container_image_id": "sha256:1", "pod_ip": "10.1.2.3", "host": "n1",
            "labels": { "app": "web", "app_kubernetes_io/name": "web", "pod-template-hash": "7d4b9" },
            "annotations": { "team": "blue" },
            "namespace_id": "ns", "namespace_labels": { "tier": "1" },
            "ownerrefs": [{ "kind": "ReplicaSet", "name": "web-7d4b9" }],
        },
        "docker": { "container_id": "abc" },
    });
    assert_eq!(records(&left), [expected]);
}

#[test]
fn the_names_are_those_of_ecs() {
    let mut filter = enricher(json!({ "fields": "ecs" }));
    filter.store.put_pod(pod("u1"), 0);
    let given = json!({ "message": "x", "kubernetes": { "pod": { "uid": "u1" }, "container": { "name": "nginx" } } });
    let (left, _) = run(&mut filter, &[given], Instant::now());
    let expected = json!({
        "message": "x",
        "kubernetes": {
            "pod": { "uid": "u1", "name": "web-u1", "ip": "10.1.2.3" }, "namespace": "shop",
            "container": { "name": "nginx" }, "node": { "name": "n1" }, "deployment": { "name": "web" },
            "labels": { "app": "web", "app_kubernetes_io/name": "web", "pod-template-hash": "7d4b9" },
        },
        "container": { "id": "abc", "image": { "name": "nginx:1" } },
    });
    assert_eq!(records(&left), [expected]);
}

#[test]
fn the_names_are_those_of_opentelemetry() {
    let mut filter = enricher(json!({ "fields": "otel" }));
    filter.store.put_pod(pod("u1"), 0);
    let given = json!({ "body": "x", "k8s.pod.uid": "u1", "k8s.container.name": "nginx" });
    let (left, _) = run(&mut filter, &[given], Instant::now());
    let expected = json!({
        "body": "x", "k8s.pod.uid": "u1", "k8s.container.name": "nginx", "k8s.pod.name": "web-u1",
        "k8s.pod.ip": "10.1.2.3", "k8s.namespace.name": "shop", "k8s.node.name": "n1",
        "container.id": "abc", "container.image.name": "nginx:1", "k8s.deployment.name": "web",
        "k8s.pod.label.app": "web", "k8s.pod.label.app.kubernetes.io/name": "web", "k8s.pod.label.pod-template-hash": "7d4b9",
    });
    assert_eq!(records(&left), [expected]);
}

#[tokio::test]
async fn the_first_records_of_a_pod_wait_in_order_and_are_owed_until_they_left() {
    let mut filter = enricher(json!({}));
    let now = Instant::now();
    let (left, first) = run(&mut filter, &[record("u1", "1"), record("u1", "2")], now);
    assert!(left.batches.is_empty() && !first.is_settled());
    filter.store.put_pod(pod("u1"), 0);
    // What comes next must not overtake.
    let (left, second) = run(&mut filter, &[record("u1", "3")], now);
    let lines: Vec<_> = records(&left)
        .iter()
        .map(|record| record["log"].clone())
        .collect();
    assert_eq!(lines, ["1", "2", "3"]);
    assert!(
        records(&left)
            .iter()
            .all(|record| record["kubernetes"]["pod_ip"] == "10.1.2.3")
    );
    for batch in left.batches {
        batch.due.meet();
    }
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
}

#[test]
fn a_pod_that_stays_unknown_is_waited_for_once() {
    let mut filter = enricher(json!({ "wait": "2s" }));
    let now = Instant::now();
    let (left, _receipt) = run(&mut filter, &[record("u1", "1")], now);
    assert!(left.batches.is_empty());
    assert!(
        tick(&mut filter, now + Duration::from_millis(1999))
            .batches
            .is_empty()
    );
    let left = tick(&mut filter, now + Duration::from_secs(2));
    assert_eq!(records(&left), [record("u1", "1")]);
    assert_eq!(filter.wake(), None);
    let (left, _receipt) = run(
        &mut filter,
        &[record("u1", "2")],
        now + Duration::from_secs(3),
    );
    assert_eq!(records(&left), [record("u1", "2")]);
    filter.store.put_pod(pod("u1"), 0);
    let (left, _receipt) = run(
        &mut filter,
        &[record("u1", "3")],
        now + Duration::from_secs(4),
    );
    assert_eq!(records(&left)[0]["kubernetes"]["pod_ip"], "10.1.2.3");
}

#[test]
fn what_waits_is_limited_and_the_oldest_go_first() {
    let mut filter = enricher(json!({ "wait_limit_size": "1KiB" }));
    let now = Instant::now();
    let line = "x".repeat(300);
    let mut seen = Vec::new();
    for number in 0..10 {
        let (left, _receipt) = run(&mut filter, &[record(&format!("u{number}"), &line)], now);
        seen.extend(
            records(&left)
                .iter()
                .map(|record| record["kubernetes"]["pod_id"].clone()),
        );
    }
    assert!(seen.len() >= 7, "{seen:?}");
    assert_eq!(seen[..3], ["u0", "u1", "u2"]);
    let mut out = Outbox::default();
    filter.finish(&mut out);
    assert_eq!(seen.len() + records(&out.take()).len(), 10);
}

#[test]
fn a_pod_that_asks_for_it_is_left_out_also_when_it_had_to_wait() {
    let excluded = Pod {
        annotations: words(&[("fluentbit.io/exclude_stdout", "true")]),
        ..pod("u1")
    };
    let mut filter = enricher(json!({}));
    let now = Instant::now();
    let (left, _receipt) = run(&mut filter, &[record("u1", "1")], now);
    assert!(left.batches.is_empty());
    filter.store.put_pod(excluded, 0);
    let mut other = record("u1", "3");
    other["stream"] = "stderr".into();
    let (left, _receipt) = run(&mut filter, &[record("u1", "2"), other], now);
    let lines: Vec<_> = records(&left)
        .iter()
        .map(|record| record["log"].clone())
        .collect();
    assert_eq!((lines, left.dropped), (vec![json!("3")], 2));
    let mut keeps = enricher(json!({ "exclude": false }));
    keeps.store.put_pod(
        Pod {
            annotations: words(&[("logs.weir/exclude", "true")]),
            ..pod("u1")
        },
        0,
    );
    assert_eq!(
        records(&run(&mut keeps, &[record("u1", "1")], now).0).len(),
        1
    );
}

#[test]
fn a_record_of_nobody_goes_on_untouched() {
    let mut filter = enricher(json!({}));
    let (left, _receipt) = run(&mut filter, &[json!({ "log": "x" })], Instant::now());
    assert_eq!(records(&left), [json!({ "log": "x" })]);
}

#[test]
fn a_changed_pod_changes_what_is_written() {
    let mut filter = enricher(json!({}));
    filter.store.put_pod(pod("u1"), 0);
    let now = Instant::now();
    run(&mut filter, &[record("u1", "1")], now);
    filter.store.put_pod(
        Pod {
            ip: Some("10.9.9.9".into()),
            ..pod("u1")
        },
        0,
    );
    let (left, _receipt) = run(&mut filter, &[record("u1", "2")], now);
    assert_eq!(records(&left)[0]["kubernetes"]["pod_ip"], "10.9.9.9");
}

#[test]
fn contradictions_are_refused_at_their_place() {
    let complaints = |params: Value| {
        let config: Config = serde_json::from_value(params).unwrap();
        let errors = Settings::new(config).unwrap_err();
        errors
            .into_iter()
            .map(|error| error.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        complaints(json!({ "kubernetes_url": "api:443" })),
        ["/kubernetes_url"]
    );
    assert_eq!(
        complaints(json!({ "ca_file": "ca.pem", "verify_ssl": false })),
        ["/ca_file", "/verify_ssl"]
    );
    assert_eq!(
        complaints(json!({ "tag_to_kubernetes_name_regexp": "(?P<pod_name>x)(?P<namespace>y)" })),
        ["/tag_to_kubernetes_name_regexp"]
    );
}
