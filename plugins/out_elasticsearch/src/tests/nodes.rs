//! Nodes that the cluster names, and whose turn it is.

use sdk::metrics::Metrics;

use super::{server::plain, *};

const NODES: &str = "GET /_nodes/http?filter_path=nodes.*.roles,nodes.*.http.publish_address";

fn build(hosts: &[String], more: &Value) -> (Arc<dyn Output>, Metrics) {
    let mut params = json!({ "hosts": hosts, "index": "logs" });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let cx = BuildCx::detached("es");
    (crate::build(params, &cx).expect("parameters"), cx.metrics)
}

/// An answer that names these nodes.
fn names(servers: &[&Server]) -> server::Reply {
    let node = |server: &&Server| {
        let address = format!("127.0.0.1:{}", server.port);
        let node = json!({ "roles": ["data"], "http": { "publish_address": address } });
        (server.port.to_string(), node)
    };
    let nodes: serde_json::Map<String, Value> = servers.iter().map(node).collect();
    plain(200, json!({ "nodes": nodes }).to_string())
}

async fn ship(output: &Arc<dyn Output>, times: usize) {
    for _ in 0..times {
        assert_eq!(write(output, &[numbers(1)]).await, Outcome::Delivered);
    }
}

fn counts(servers: &[&Server]) -> Vec<usize> {
    servers
        .iter()
        .map(|server| server.requests().len())
        .collect()
}

fn hosts_up(metrics: &Metrics) -> usize {
    metrics
        .encode()
        .matches("weir_elasticsearch_host_up{")
        .count()
}

#[tokio::test]
async fn nodes_are_asked_for_at_first_and_again_and_take_turns() {
    let (seed, one, two) = (
        Server::start().await,
        Server::start().await,
        Server::start().await,
    );
    seed.page(NODES, names(&[&one, &two]));
    for node in [&one, &two] {
        node.page(NODES, names(&[&two]));
    }
    let params = json!({ "reload_connections": true, "reload_after": 4 });
    let (output, metrics) = build(&[seed.url()], &params);
    ship(&output, 4).await;
    assert_eq!(
        (counts(&[&seed, &one, &two]), hosts_up(&metrics)),
        (vec![0, 2, 2], 3)
    );
    // One of them is gone; it is not asked any more, and its series is gone.
    ship(&output, 4).await;
    assert_eq!(
        (counts(&[&seed, &one, &two]), hosts_up(&metrics)),
        (vec![0, 2, 6], 2)
    );
    assert_eq!(seed.visits().len(), 1);
    // Where no node answers, those that are written do.
    seed.page_anew(NODES, plain(200, "{}"));
    drop(two);
    ship(&output, 1).await;
    assert_eq!(counts(&[&seed]), [1]);
}

#[tokio::test]
async fn an_answer_that_names_nobody_changes_nothing() {
    for answer in [
        plain(200, "{}"),
        plain(200, "<html>"),
        plain(403, names(&[]).body),
        plain(404, ""),
        server::silence(),
    ] {
        let is_silent = answer.is_silent;
        let seed = Server::start().await;
        seed.page(NODES, answer);
        let (output, _) = build(
            &[seed.url()],
            &json!({ "reload_connections": true, "request_timeout": "200ms" }),
        );
        ship(&output, 2).await;
        assert_eq!(
            (counts(&[&seed]), seed.visits().len()),
            (vec![2], 1),
            "{is_silent}"
        );
    }
}

#[tokio::test]
async fn nodes_are_not_asked_for_unless_told_to() {
    for more in [
        json!({}),
        json!({ "reload_connections": false }),
        json!({ "reload_connections": true, "sniffer_class_name": "Fluent::Plugin::ElasticsearchSimpleSniffer" }),
        json!({ "reload_on_failure": true }),
    ] {
        let seed = Server::start().await;
        seed.page(NODES, names(&[&seed]));
        let (output, _) = build(&[seed.url()], &more);
        ship(&output, 2).await;
        assert_eq!(seed.visits(), [""; 0], "{more}");
    }
}

#[tokio::test]
async fn a_failure_can_be_a_reason_to_ask() {
    let (bad, good, new) = (
        Server::start().await,
        Server::start().await,
        Server::start().await,
    );
    bad.then(plain(503, ""));
    for server in [&bad, &good] {
        server.page(NODES, names(&[&new]));
    }
    let (output, _) = build(
        &[bad.url(), good.url()],
        &json!({ "reload_on_failure": true }),
    );
    ship(&output, 3).await;
    assert_eq!(counts(&[&bad, &good, &new]), [1, 1, 2]);
}

#[tokio::test]
async fn the_first_that_answers_can_have_priority() {
    for more in [
        json!({ "selector": "priority" }),
        json!({ "selector_class_name": "Fluent::Plugin::ElasticseatchFallbackSelector" }),
    ] {
        let (first, second) = (Server::start().await, Server::start().await);
        let (output, _) = build(&[first.url(), second.url()], &more);
        ship(&output, 3).await;
        first.then(plain(503, ""));
        ship(&output, 2).await;
        assert_eq!(counts(&[&first, &second]), [4, 2], "{more}");
    }
}

#[tokio::test]
async fn a_host_is_left_out_no_longer_than_it_may_be() {
    let (bad, good) = (Server::start().await, Server::start().await);
    for _ in 0..3 {
        bad.then(plain(503, ""));
    }
    let params = json!({ "resurrect_after": "2s", "selector": "priority" });
    let (output, _) = build(&[bad.url(), good.url()], &params);
    for (round, secs) in [(1, 2), (2, 3), (3, 3), (4, 0)] {
        ship(&output, 1).await;
        assert_eq!(bad.requests().len(), round);
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(secs)).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn the_index_can_stand_in_the_address() {
    for (op_type, line) in [
        ("create", "{\"create\":{\"_id\":\""),
        ("update", "{\"update\":{\"retry_on_conflict\":3,\"_id\":\""),
        ("delete", "{\"delete\":{\"_id\":\""),
    ] {
        let server = Server::start().await;
        let params = json!({
            "include_index_in_url": true, "target_index_key": "i", "op_type": op_type, "id_key": "id",
            "pipeline": "p", "path": "/prefix", "bulk_max_bytes": 400
        });
        let (output, _) = build(&[server.url()], &params);
        let record = |n: usize, i: &str| json!({ "n": n, "id": format!("d{n}"), "i": i });
        let kinds = ["a", "b", "a", "caf\u{e9}", "b", "a"];
        let mut records: Vec<Value> = (0..).zip(kinds).map(|(n, i)| record(n, i)).collect();
        records.push(json!({ "n": 6, "id": "d6" }));
        assert_eq!(
            write(&output, &[frame(7, "app", &records)]).await,
            Outcome::Delivered
        );
        let requests = server.requests();
        let mut found: Vec<(String, Vec<String>)> = requests
            .iter()
            .map(|request| {
                let index = request.actions[0].1["_index"].as_str().unwrap().to_owned();
                (index, request.ids())
            })
            .collect();
        found.sort();
        let expected = [
            ("a", vec!["d0", "d2", "d5"]),
            ("b", vec!["d1", "d4"]),
            ("caf\u{e9}", vec!["d3"]),
            ("logs", vec!["d6"]),
        ];
        let expected = expected.map(|(index, ids)| {
            (
                index.to_owned(),
                ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
        });
        assert_eq!(found, expected);
        for request in &requests {
            assert!(
                request.line.starts_with("POST /prefix/") && request.line.contains("&pipeline=p"),
                "{}",
                request.line
            );
            assert!(
                request.body.starts_with(line.as_bytes()),
                "{}",
                String::from_utf8_lossy(&request.body)
            );
        }
    }
}

#[tokio::test]
async fn an_action_may_have_nothing_in_it_but_the_operation() {
    let server = Server::start().await;
    let params = json!({ "include_index_in_url": true, "document_id": "none" });
    let (output, _) = build(&[server.url()], &params);
    ship(&output, 1).await;
    assert!(server.requests()[0].body.starts_with(b"{\"create\":{}}\n"));
    let params = json!({ "include_index_in_url": true, "document_id": "none", "routing_key": "n" });
    let (output, _) = build(&[server.url()], &params);
    ship(&output, 1).await;
    assert!(
        server.requests()[1]
            .body
            .starts_with(b"{\"create\":{\"routing\":\"0\"}}\n")
    );
}

#[tokio::test]
async fn what_failed_of_one_index_is_sent_again_to_the_same() {
    let server = Server::start().await;
    let params =
        json!({ "include_index_in_url": true, "target_index_key": "i", "bulk_max_bytes": "1m" });
    let (output, _) = build(&[server.url()], &params);
    let records: Vec<Value> = (0..8)
        .map(|n| json!({ "n": n, "i": format!("x{}", n % 2) }))
        .collect();
    server.then(plain(413, "")).then_with(|request| {
        let statuses: Vec<_> = request
            .numbers()
            .iter()
            .map(|n| if *n == 2 { (429, "busy") } else { (201, "") })
            .collect();
        server::items(&statuses)
    });
    let frames = [frame(7, "app", &records)];
    let outcome = write(&output, &frames).await;
    assert_eq!(exceptions(&outcome), [(2, true, FailureKind::Http429)]);
    let found: Vec<(String, Vec<i64>)> = server.look(|requests| {
        let target = |request: &server::Request| request.line.split('/').nth(1).unwrap().to_owned();
        requests
            .iter()
            .map(|request| (target(request), request.numbers()))
            .collect()
    });
    let expected = [
        ("x0".to_owned(), vec![0, 2, 4, 6]),
        ("x0".to_owned(), vec![0, 2]),
        ("x0".to_owned(), vec![4, 6]),
    ];
    assert_eq!(found[..3], expected);
    let rest: Vec<i64> = found[3..]
        .iter()
        .flat_map(|(_, numbers)| numbers.clone())
        .collect();
    assert_eq!(rest, [1, 3, 5, 7]);
    assert!(found[3..].iter().all(|(target, _)| target == "x1"));
}
