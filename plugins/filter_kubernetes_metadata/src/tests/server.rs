//! An API server that the test scripts: it lists, sends watch events, and fails when it is told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};

/// What the server knows and does.
#[derive(Clone)]
pub(super) struct Server {
    script: Arc<Mutex<Script>>,
    events: broadcast::Sender<Value>,
    pub(super) url: String,
    _task: Arc<Task>,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Default)]
struct Script {
    pods: BTreeMap<String, Value>,
    version: u64,
    token: Option<String>,
    expire_watches: bool,
    requests: Vec<String>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let (events, _) = broadcast::channel(1024);
        let state = (Arc::clone(&script), events.clone());
        let app = Router::new().fallback(answer).with_state(state);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            script,
            events,
            url,
            _task: Arc::new(Task(task)),
        }
    }

    /// A pod appears or changes; it is announced unless `quietly`.
    pub(super) fn put(&self, uid: &str, quietly: bool) {
        let mut script = self.script.lock().unwrap();
        script.version += 1;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("web-{uid}"), "namespace": "shop", "uid": uid, "resourceVersion": script.version.to_string() },
            "spec": { "nodeName": "n1", "containers": [{ "name": "nginx", "image": "nginx:1" }] },
            "status": { "podIP": "10.1.2.3" },
        });
        script.pods.insert(uid.to_owned(), pod.clone());
        if !quietly {
            // Nobody may be watching.
            drop(self.events.send(json!({ "type": "ADDED", "object": pod })));
        }
    }

    /// Requests must carry this token from now on.
    pub(super) fn demand(&self, token: Option<&str>) {
        self.script.lock().unwrap().token = token.map(str::to_owned);
        self.cut();
    }

    /// Every watch that is open ends; the next ones are answered with 410 until `expire(false)`.
    pub(super) fn expire(&self, on: bool) {
        self.script.lock().unwrap().expire_watches = on;
        self.cut();
    }

    /// Ends every open watch.
    pub(super) fn cut(&self) {
        drop(self.events.send(Value::Null));
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.script.lock().unwrap().requests.clone()
    }
}

type Shared = (Arc<Mutex<Script>>, broadcast::Sender<Value>);

async fn answer(
    State((script, events)): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response {
    let mut script = script.lock().unwrap();
    script.requests.push(uri.to_string());
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some(token) = &script.token
        && given != Some(&format!("Bearer {token}"))
    {
        let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "message": "Unauthorized", "code": 401 });
        return (StatusCode::UNAUTHORIZED, status.to_string()).into_response();
    }
    let is_pods = uri.path().ends_with("/pods");
    if !query
        .get("watch")
        .is_some_and(|watch| watch == "true" || watch == "1")
    {
        let items: Vec<_> = script.pods.values().filter(|_| is_pods).cloned().collect();
        let list = json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": script.version.to_string() }, "items": items });
        return list.to_string().into_response();
    }
    if script.expire_watches {
        let gone = json!({ "type": "ERROR", "object": { "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "message": "too old resource version", "code": 410 } });
        return format!("{gone}\n").into_response();
    }
    let lines = futures_util::stream::unfold(events.subscribe(), |mut receiver| async move {
        let event = receiver
            .recv()
            .await
            .ok()
            .filter(|event| !event.is_null())?;
        let line = Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n")));
        Some((line, receiver))
    });
    Body::from_stream(lines).into_response()
}
