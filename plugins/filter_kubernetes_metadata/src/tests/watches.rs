//! The watches against a scripted API server: changes, cut connections, 410 Expired, a broken token.

use std::time::{Duration, Instant};

use sdk::metrics::Metrics;
use serde_json::json;

use super::server::Server;
use crate::{config::Config, identity::Identity, settings::Settings, store::Store, watch};

const DEADLINE: Duration = Duration::from_secs(30);

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn settings(server: &Server, token_file: Option<&std::path::Path>) -> Settings {
    let mut params =
        json!({ "kubernetes_url": server.url, "node_name": "n1", "skip_namespace_metadata": true });
    if let Some(path) = token_file {
        params["bearer_token_file"] = path.to_str().unwrap().into();
    }
    let config: Config = serde_json::from_value(params).unwrap();
    Settings::new(config).unwrap()
}

fn knows(store: &Store, uid: &str) -> bool {
    let identity = Identity {
        uid: Some(uid.as_bytes()),
        ..Identity::default()
    };
    store.find(&identity).is_some()
}

#[tokio::test]
async fn pods_are_listed_and_followed_on_one_node_only() {
    let server = Server::start().await;
    server.put("u1", true);
    let store = Store::new(Duration::from_mins(1));
    let _tasks = watch::start(&settings(&server, None).server, &store, &Metrics::new());
    until("the listed pod", || knows(&store, "u1")).await;
    until("the watch", || {
        server
            .requests()
            .iter()
            .any(|uri| uri.contains("watch=true"))
    })
    .await;
    server.put("u2", false);
    until("the new pod", || knows(&store, "u2")).await;
    assert!(
        server
            .requests()
            .iter()
            .all(|uri| uri.contains("fieldSelector=spec.nodeName%3Dn1")),
        "{:?}",
        server.requests()
    );
}

#[tokio::test]
async fn a_watch_that_expired_is_begun_with_a_new_listing() {
    let server = Server::start().await;
    server.put("u1", true);
    let store = Store::new(Duration::from_mins(1));
    let _tasks = watch::start(&settings(&server, None).server, &store, &Metrics::new());
    until("the listed pod", || knows(&store, "u1")).await;
    server.expire(true);
    server.put("u2", true);
    until("the pod that was not announced", || knows(&store, "u2")).await;
    server.expire(false);
    server.put("u3", true);
    server.cut();
    server.put("u3", false);
    until("the watch after it", || {
        server.put("u3", false);
        knows(&store, "u3")
    })
    .await;
}

#[tokio::test]
async fn a_broken_token_is_tried_again_until_it_is_mended() {
    let server = Server::start().await;
    server.demand(Some("right"));
    server.put("u1", true);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "wrong").unwrap();
    let store = Store::new(Duration::from_mins(1));
    let metrics = Metrics::new();
    let _tasks = watch::start(&settings(&server, Some(&path)).server, &store, &metrics);
    until("two refused requests", || server.requests().len() >= 2).await;
    assert!(!knows(&store, "u1"));
    server.demand(Some("wrong"));
    until("the pod", || knows(&store, "u1")).await;
}
