//! The input as a whole.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use sdk::{
    input::Ready,
    metrics::Metrics,
    stop::Stopper,
    testing::{Collector, records},
};
use serde_json::{Value, json};

use super::*;

const POD: &str = "shop_cart-7d9_1b2c/app";

/// A node's `/var/log`, and what the input makes of it.
struct Node {
    dir: tempfile::TempDir,
    metrics: Metrics,
}

impl Node {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            metrics: Metrics::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, folder: &str, name: &str, lines: &[&str]) {
        let folder = self.path("pods").join(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join(name))
            .unwrap();
        for line in lines {
            writeln!(file, "{line}").unwrap();
        }
    }

    /// Runs until `count` records came, and stops; tag and record of each.
    async fn run(&self, mut params: Value, count: usize) -> Vec<(String, Value)> {
        if params["path"].is_null() {
            params["path"] = self.path("pods/*/*/*.log").to_str().unwrap().into();
        }
        params["poll_interval"] = "10ms".into();
        let cx = BuildCx {
            state_dir: Some(self.path("state")),
            ..BuildCx::detached("test")
        };
        let input = build(params, &cx).unwrap();
        let collector = Collector::default();
        let (stopper, stop) = Stopper::new();
        let mut cx = collector.cx(Ready::new(|_| {}));
        cx.metrics = self.metrics.clone();
        let running = tokio::spawn(input.run(cx, stop));
        let all = || -> Vec<(String, Value)> {
            let batches = collector.batches();
            let batches = batches.iter();
            batches
                .flat_map(|batch| {
                    let tag = batch.tag.to_string();
                    let records = records(&batch.events).into_iter();
                    records.map(move |record| (tag.clone(), record))
                })
                .collect()
        };
        let waiting = async {
            while all().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .unwrap();
        stopper.stop();
        running.await.unwrap().unwrap();
        all()
    }

    fn metric(&self, name: &str) -> String {
        let text = self.metrics.encode();
        let line = text.lines().find(|line| line.starts_with(name));
        line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
    }
}

fn logs(all: &[(String, Value)]) -> Vec<&str> {
    all.iter()
        .map(|(_, record)| record["log"].as_str().unwrap())
        .collect()
}

fn line(second: u32, rest: &str) -> String {
    format!("2026-01-31T12:00:{second:02}.5Z {rest}")
}

#[tokio::test]
async fn parts_are_joined_for_each_stream() {
    let node = Node::new();
    node.append(
        POD,
        "0.log",
        &[
            &line(1, "stdout P one "),
            &line(2, "stderr P two "),
            &line(3, "stdout F and its end"),
            &line(4, "stderr F three"),
            &line(5, "stdout F four"),
        ],
    );
    let all = node.run(json!({}), 3).await;
    assert_eq!(logs(&all), ["one and its end", "two three", "four"]);
    assert_eq!(all[0].0, "kube.shop.cart-7d9.app");
    let expected = json!({
        "log": "two three",
        "stream": "stderr",
        "kubernetes": {
            "container_name": "app",
            "namespace_name": "shop",
            "pod_name": "cart-7d9",
            "pod_id": "1b2c",
            "restart_count": 0,
        },
    });
    assert_eq!(all[1].1, expected);
    assert_eq!(node.metric("weir_tail_partial_joined_total"), "2");
}

#[tokio::test]
async fn a_part_is_not_lost_over_a_restart_and_a_rotation() {
    let node = Node::new();
    node.append(
        POD,
        "0.log",
        &[&line(1, "stdout F one"), &line(2, "stdout P two, ")],
    );
    assert_eq!(logs(&node.run(json!({}), 1).await), ["one"]);
    let folder = node.path("pods").join(POD);
    fs::rename(folder.join("0.log"), folder.join("0.log.20260131-120002")).unwrap();
    node.append(POD, "0.log", &[&line(3, "stdout F three")]);
    assert_eq!(logs(&node.run(json!({}), 1).await), ["two, three"]);
}

#[tokio::test]
async fn a_part_that_nothing_follows_is_flushed() {
    let node = Node::new();
    node.append(POD, "0.log", &[&line(1, "stdout P half")]);
    let all = node
        .run(json!({ "partial_flush_interval": "50ms" }), 1)
        .await;
    assert_eq!(logs(&all), ["half"]);
}

#[tokio::test]
async fn a_joined_record_over_the_limit_is_cut_or_left_out() {
    let lines = [
        line(1, "stdout P 12345"),
        line(2, "stdout P 67890"),
        line(3, "stdout F 1"),
        line(4, "stdout F short"),
    ];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let node = Node::new();
    node.append(POD, "0.log", &lines);
    let all = node.run(json!({ "max_line_size": 7 }), 2).await;
    assert_eq!(logs(&all), ["1234567", "short"]);
    let node = Node::new();
    node.append(POD, "0.log", &lines);
    let params = json!({ "max_line_size": 7, "max_line_size_action": "drop" });
    assert_eq!(logs(&node.run(params, 1).await), ["short"]);
    assert_eq!(node.metric("weir_tail_oversize_lines_total"), "1");
}

#[tokio::test]
async fn files_of_docker_are_told_by_their_first_line() {
    let node = Node::new();
    let docker =
        |log: &str| format!(r#"{{"log":"{log}","stream":"stdout","time":"2026-01-31T12:00:05Z"}}"#);
    let id = "0123456789abcdef".repeat(4);
    let target = node.path(&format!("docker/{id}/{id}-json.log"));
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::write(
        &target,
        format!("{}\n{}\n{}\n", docker("a\\n"), docker("b "), docker("c\\n")),
    )
    .unwrap();
    let folder = node.path("pods").join(POD);
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(&target, folder.join("3.log")).unwrap();
    let all = node.run(json!({ "fields": "ecs" }), 2).await;
    let expected = json!({
        "message": "b c",
        "stream": "stdout",
        "kubernetes": {
            "pod": { "name": "cart-7d9", "uid": "1b2c" },
            "namespace": "shop",
            "container": { "name": "app", "restart_count": 3 },
        },
        "container": { "id": id },
    });
    assert_eq!(all[1].1, expected);
}

#[tokio::test]
async fn tags_can_be_those_of_fluentd() {
    let node = Node::new();
    node.append(
        POD,
        "0.log",
        &[&line(1, "stdout F one"), "no runtime wrote this"],
    );
    let id = "ab".repeat(32);
    fs::create_dir_all(node.path("containers")).unwrap();
    let link = node.path(&format!("containers/cart-7d9_shop_app-{id}.log"));
    std::os::unix::fs::symlink(node.path("pods").join(POD).join("0.log"), link).unwrap();
    let params = json!({ "tag_style": "containers", "fields": "otel" });
    let all = node.run(params.clone(), 2).await;
    let tag = format!("kubernetes.var.log.containers.cart-7d9_shop_app-{id}.log");
    assert_eq!(all[0].0, tag);
    let expected = json!({
        "body": "no runtime wrote this",
        "log.iostream": "stdout",
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "cart-7d9",
        "k8s.pod.uid": "1b2c",
        "k8s.container.name": "app",
        "k8s.container.restart_count": 0,
        "container.id": id,
    });
    assert_eq!(all[1].1, expected);
    // Another source, over the links.
    fs::remove_dir_all(node.path("state")).unwrap();
    let mut params = params;
    params["path"] = node.path("containers/*.log").to_str().unwrap().into();
    let all = node.run(params, 2).await;
    assert_eq!(all[0].0, tag);
    assert_eq!(all[1].1, expected);
}

#[tokio::test]
async fn a_limit_drops_or_blocks() {
    let text: Vec<String> = (0..50).map(|n| line(n, "stdout F x")).collect();
    let text: Vec<&str> = text.iter().map(String::as_str).collect();
    let limit = |over: &str| json!({ "rate_limit": { "lines": 10, "burst": "1s", "over": over } });
    let node = Node::new();
    node.append(POD, "0.log", &text);
    assert_eq!(node.run(limit("drop"), 10).await.len(), 10);
    assert_eq!(node.metric("weir_tail_throttled_records_total"), "40");
    let node = Node::new();
    node.append(POD, "0.log", &text[..15]);
    let began = std::time::Instant::now();
    assert_eq!(node.run(limit("block"), 15).await.len(), 15);
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_eq!(node.metric("weir_tail_throttled_records_total"), "0");
}

#[tokio::test]
async fn what_is_excluded_is_not_read() {
    let node = Node::new();
    for folder in [
        "kube-system_dns_1/dns",
        "shop_debug-1_2/app",
        "shop_cart_3/istio-proxy",
        "shop_cart_3/app",
    ] {
        node.append(folder, "0.log", &[&line(1, &format!("stdout F {folder}"))]);
    }
    let params = json!({
        "exclude_namespaces": "kube-*",
        "exclude_pods": ["debug-*"],
        "exclude_containers": "istio-proxy",
    });
    assert_eq!(logs(&node.run(params, 1).await), ["shop_cart_3/app"]);
}

#[test]
fn the_own_pod_is_left_out() {
    let config: Config = serde_json::from_value(json!({})).unwrap();
    let of = |path: &str| container::Container::of(Path::new(path), &[]).unwrap();
    let own = of("/var/log/pods/logging_weir-x_77/weir/0.log");
    let other = of("/var/log/pods/shop_weir-x_78/app/0.log");
    let takes = |pairs: &'static [(&str, &str)]| {
        let env = move |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let choice = Choice::new(&config).unwrap().without_own(env);
        (choice.takes(&own), choice.takes(&other))
    };
    assert_eq!(takes(&[]), (true, true));
    assert_eq!(
        takes(&[("POD_UID", "77"), ("HOSTNAME", "weir-x")]),
        (false, true)
    );
    assert_eq!(takes(&[("HOSTNAME", "weir-x")]), (false, false));
    let named = &[("POD_NAME", "weir-x"), ("POD_NAMESPACE", "logging")];
    assert_eq!(takes(named), (false, true));
}

#[track_caller]
fn refused(params: Value, path: &str) {
    let errors = build(params, &BuildCx::detached("test")).err().unwrap();
    assert_eq!(errors[0].path, path);
    assert!(errors[0].help.is_some() || errors[0].message.contains("; "));
}

#[test]
fn what_cannot_work_is_refused_at_its_place() {
    refused(json!({ "path": "/a/***b" }), "/path");
    refused(json!({ "exclude_pods": "a[" }), "/exclude_pods");
    refused(json!({ "max_line_size": 0 }), "/max_line_size");
    refused(json!({ "poll_interval": "1ms" }), "/poll_interval");
}
