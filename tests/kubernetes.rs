//! Metadata of pods from Kubernetes' own API machinery, with trouble in between: the API server killed, slow, its watch
//! expired, a broken token. The oracle is what the test made there and what it sent.

use std::fs;

use serde_json::{Value, json};

use crate::{
    delivery::{SERVICE, TO_FILES},
    harness::{
        Sender, Weir, eventually, forward, holds,
        kubernetes::Cluster,
        weir::{Home, unbalanced},
    },
};

const TOKEN: &str = "the-token";

/// A router whose filter watches node `n1` of this cluster.
fn home(cluster: &Cluster, more: &str) -> Home {
    let filter = format!(
        r#"
[[filter]]
id = "metadata"
type = "kubernetes_metadata"
tag = "kube.**"
kubernetes_url = "{}"
bearer_token_file = "token"
node_name = "n1"
{more}
"#,
        cluster.url
    );
    let home = Home::new(&format!("{SERVICE}{filter}{TO_FILES}"));
    fs::write(home.path().join("token"), TOKEN).expect("a file");
    home
}

/// Sends one record of this pod and waits for the acknowledgement, so also for its metadata.
fn send(sender: &mut Sender, uid: &str, number: u64) {
    let record = json!({ "n": number, "kubernetes": { "pod_id": uid, "container_name": "app" } });
    let chunk = format!("chunk-{number}");
    let entry = forward::entry(1_764_000_000, &record);
    sender.send(&forward::packed("kube.shop", &entry, Some(&chunk)));
    sender.expect_ack(&chunk);
}

fn records(home: &Home) -> Vec<Value> {
    let mut records = home.records("out");
    records.sort_by_key(|record| record["n"].as_u64());
    records
}

/// The phases of trouble: each makes some and says when it is over.
fn trouble(cluster: &mut Cluster, weir: &Weir, phase: u64) {
    let watches = || {
        let up = weir
            .metrics()
            .sum("weir_k8s_watch_up", &["resource=\"pods\""]);
        up == 1.0
    };
    match phase {
        1 => cluster.control("cut=1"),
        2 => {
            cluster.control("expire=1");
            cluster.control("cut=1");
        }
        3 => cluster.control("delay_ms=700"),
        4 => {
            cluster.control("delay_ms=0");
            cluster.kill_api();
            holds("the watch notices", 60, &false, watches);
            cluster.start_api();
            cluster.wait_for_api();
        }
        5 => {
            cluster.control("token=another");
            cluster.control("cut=1");
            holds("the token is refused", 60, &false, watches);
            cluster.control(&format!("token={TOKEN}"));
        }
        _ => {}
    }
}

#[test]
fn every_record_is_enriched_through_restarts_expired_watches_and_a_broken_token() {
    let mut cluster = Cluster::start();
    cluster.control(&format!("token={TOKEN}"));
    cluster.namespace("shop", &json!({ "tier": "1" }));
    cluster.pod("shop", "elsewhere", "n2", &json!({}));
    let home = home(&cluster, "wait = \"60s\"");
    let weir = home.start();
    let namespaces = || {
        let samples = weir.metrics();
        samples.sum("weir_k8s_metadata_entries", &["resource=\"namespaces\""])
    };
    holds("the namespace is known", 30, &1.0, namespaces);
    let mut sender = Sender::connect(weir.listens("in"));
    let mut expected = Vec::new();
    for phase in 0..6 {
        trouble(&mut cluster, &weir, phase);
        for round in 0..5 {
            let number = phase * 5 + round;
            let name = format!("web-{number}");
            let uid = cluster.pod(
                "shop",
                &name,
                "n1",
                &json!({ "app.kubernetes.io/name": name }),
            );
            send(&mut sender, &uid, number);
            expected.push(json!({
                "n": number,
                "kubernetes": {
                    "pod_id": uid, "container_name": "app", "namespace_name": "shop", "pod_name": name,
                    "container_image": "app:1", "pod_ip": "10.0.0.7", "host": "n1",
                    "labels": { "app_kubernetes_io/name": name },
                    "namespace_labels": { "tier": "1" },
                },
            }));
        }
    }
    // What the test cannot know before, and what the file adds.
    let comparable = |mut record: Value| {
        if let Some(fields) = record.as_object_mut() {
            fields.retain(|key, _| key != "time" && key != "tag");
        }
        if let Some(kubernetes) = record["kubernetes"].as_object_mut() {
            assert!(kubernetes.remove("namespace_id").is_some());
        }
        record
    };
    let seen = || -> Vec<Value> { records(&home).into_iter().map(comparable).collect() };
    holds("every record is enriched", 20, &expected, seen);
    let samples = weir.metrics();
    assert_eq!(samples.sum("weir_k8s_unenriched_records_total", &[]), 0.0);
    assert_eq!(samples.sum("weir_k8s_metadata_hits_total", &[]), 30.0);
    assert!(samples.sum("weir_k8s_watch_restarts_total", &[]) >= 3.0);
    weir.settles(20);
}

#[test]
fn an_outage_never_stops_the_records_and_each_one_without_metadata_is_counted() {
    let mut cluster = Cluster::start();
    cluster.namespace("shop", &json!({}));
    let known = cluster.pod("shop", "known", "n1", &json!({}));
    let home = home(&cluster, "wait = \"500ms\"");
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    send(&mut sender, &known, 0);
    let unseen = |number: u64| format!("00000000-0000-0000-0000-{number:012}");
    cluster.kill_api();
    for number in 1..20 {
        send(&mut sender, &unseen(number % 4), number);
        send(&mut sender, &known, 100 + number);
    }
    let home_records = || records(&home).len();
    holds("every record arrived", 20, &39, home_records);
    let bare = |record: &&Value| record["kubernetes"]["pod_ip"].is_null();
    let without = records(&home).iter().filter(bare).count();
    assert_eq!(without, 19);
    let samples = weir.metrics();
    assert_eq!(
        samples.sum("weir_k8s_unenriched_records_total", &["reason=\"timeout\""]),
        19.0
    );
    assert_eq!(samples.sum("weir_k8s_metadata_hits_total", &[]), 20.0);
    weir.settles(20);
    assert_eq!(unbalanced(&weir.metrics()), Vec::<String>::new());
}

#[test]
fn ten_thousand_pods_come_and_go_without_growth() {
    const PODS: u64 = 10_000;
    const WARM: u64 = 2_000;
    let cluster = Cluster::start();
    cluster.namespace("shop", &json!({}));
    let home = home(&cluster, "grace = \"1s\"");
    let weir = home.start();
    let entries = || {
        weir.metrics()
            .sum("weir_k8s_metadata_entries", &["resource=\"pods\""])
    };
    let come_and_go = |from: u64, to: u64| {
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let cluster = &cluster;
                scope.spawn(move || {
                    for number in (from..to).filter(|number| number % 8 == worker) {
                        let name = format!("web-{number}");
                        let labels = json!({ "app": "web", "number": name });
                        cluster.pod("shop", &name, "n1", &labels);
                        cluster.delete_pod("shop", &name);
                    }
                });
            }
        });
        holds("the last pod is forgotten", 30, &0.0, entries);
    };
    come_and_go(0, WARM);
    let before = weir.memory_kib("VmRSS");
    come_and_go(WARM, PODS);
    let grown = weir.memory_kib("VmRSS").saturating_sub(before);
    println!("{PODS} pods: {before} KiB before, grown by {grown} KiB");
    assert!(grown < 8 * 1024, "grown by {grown} KiB");
    let seen = cluster.pod("shop", "last", "n1", &json!({}));
    let mut sender = Sender::connect(weir.listens("in"));
    send(&mut sender, &seen, 1);
    let enriched = || (records(&home).first()?["kubernetes"]["pod_ip"] == "10.0.0.7").then_some(());
    eventually("the filter still works", 20, enriched);
}
