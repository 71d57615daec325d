//! Requests over a socket, and what comes of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sdk::{
    input::{InputCx, Ready},
    plugin::{Build, BuildCx},
    stop::{Stop, Stopper},
    testing::{Collector, Keeper, records},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

/// A running input.
struct Running {
    address: SocketAddr,
    stopper: Stopper,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(params: Value, cx: impl FnOnce(Ready) -> InputCx) -> Self {
        let mut table = json!({ "listen": "127.0.0.1:0" });
        for (key, value) in params.as_object().unwrap() {
            table[key] = value.clone();
        }
        let input = build(table).unwrap();
        let (tell, told) = oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        let ready = Ready::new(move |said| {
            let tell = tell.lock().unwrap().take().unwrap();
            tell.send(said.rsplit(' ').next().unwrap().to_owned())
                .unwrap();
        });
        let (stopper, stop): (Stopper, Stop) = Stopper::new();
        let running = input.run(cx(ready), stop);
        let task = tokio::spawn(async move { running.await.unwrap() });
        let address = told.await.unwrap().parse().unwrap();
        Self {
            address,
            stopper,
            task,
        }
    }

    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        // The picture is no text.
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends JSON with more headers, and closes.
    async fn post(&self, path: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await
    }

    async fn stop(self) {
        self.stopper.stop();
        self.task.await.unwrap();
    }
}

fn build(params: Value) -> Result<Box<dyn sdk::input::Input>, sdk::config::ConfigErrors> {
    let Build::Input(build) = crate::PLUGIN.build else {
        panic!("an input");
    };
    build(params, &BuildCx::detached("in"))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_cannot_be_is_refused_at_its_place() {
    let params = json!({
        "listen": "127.0.0.1:0", "port": 1, "cors_allow_origins": ["*"], "cors_allow_credentials": true,
        "auth": {}, "health_path": "x",
        "tls": { "cert_path": "c", "private_key_path": "k", "ciphers": "ALL" },
    });
    let errors = build(params).err().unwrap();
    let mut paths: Vec<&str> = errors.iter().map(|error| &*error.path).collect();
    paths.sort_unstable();
    let expected = [
        "/auth",
        "/cors_allow_credentials",
        "/health_path",
        "/listen",
        "/tls/ciphers",
    ];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn fields_of_the_request_get_into_records_and_secrets_do_not() {
    let collector = Collector::default();
    let params = json!({
        "add_http_headers": true, "add_remote_addr": true, "add_query_params": true, "add_tag_prefix": "web",
        "auth": { "user": [{ "username": "u", "password": "p" }], "token": ["t1", "t2"] },
    });
    let running = Running::start(params, |ready| collector.cx(ready)).await;
    for wrong in [
        "",
        "Authorization: Bearer t3\r\n",
        "Authorization: Basic dTpx\r\n",
    ] {
        let answer = running.post("/a/b", wrong, "{}").await;
        assert_eq!(status(&answer), 401, "{answer}");
        assert!(answer.to_lowercase().contains("www-authenticate: basic"));
    }
    let headers =
        "Authorization: Bearer t2\r\nX-Trace-Id: 7\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n";
    let answer = running
        .post("/a/b?q=1&time=12.5", headers, "[{\"n\":1,\"QUERY_Q\":0}]")
        .await;
    assert_eq!(status(&answer), 200);
    assert_eq!(
        status(
            &running
                .post("/a", "Authorization: basic dTpw\r\n", "{}")
                .await
        ),
        200
    );
    let health = running
        .send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&health), 200);
    let batches = collector.batches();
    assert_eq!(batches[0].tag.as_str(), "web.a.b");
    let event = batches[0].entries().next().unwrap().unwrap();
    assert_eq!((event.time.secs, event.time.nanos), (12, 500_000_000));
    let record = &records(&batches[0].events)[0];
    assert_eq!(record["n"], 1);
    assert_eq!(record["HTTP_X_TRACE_ID"], "7");
    assert_eq!(record["QUERY_Q"], "1");
    assert_eq!(record["REMOTE_ADDR"], "10.0.0.1");
    assert!(record.get("HTTP_AUTHORIZATION").is_none());
    running.stop().await;
}

#[tokio::test]
async fn pages_send_from_the_origins_that_are_named() {
    let collector = Collector::default();
    let params = json!({
        "cors_allow_origins": ["https://*.example.com"], "cors_allow_credentials": true, "respond_with_empty_img": true,
    });
    let running = Running::start(params, |ready| collector.cx(ready)).await;
    let good = "Origin: https://app.example.com\r\n";
    let answer = running.post("/a", good, "{}").await.to_lowercase();
    assert!(
        answer.contains("access-control-allow-origin: https://app.example.com\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("access-control-allow-credentials: true") && answer.contains("image/gif")
    );
    assert_eq!(
        status(
            &running
                .post("/a", "Origin: https://example.org\r\n", "{}")
                .await
        ),
        403
    );
    let asked = format!(
        "OPTIONS /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{good}Access-Control-Request-Headers: content-type\r\n\r\n"
    );
    let answer = running.send(&asked).await.to_lowercase();
    assert_eq!(status(&answer), 200);
    assert!(
        answer.contains("access-control-allow-headers: content-type"),
        "{answer}"
    );
    let image = "GET /a?json=%7B%22n%22%3A2%7D HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(image.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.ends_with(b"\x02D\x01\x00;"));
    assert_eq!(collector.batches().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn the_answer_waits_for_the_receipt_and_not_for_ever() {
    let keeper = Keeper::default();
    let params = json!({ "blocking_timeout": "200ms", "use_204_response": true });
    let running = Arc::new(Running::start(params, |ready| keeper.cx(ready)).await);
    let refused = running.post("/a", "", "{}").await;
    assert_eq!(status(&refused), 503);
    assert!(refused.to_lowercase().contains("retry-after: 1\r\n"));
    drop(keeper.take());
    let sender = Arc::clone(&running);
    let answering = tokio::spawn(async move { sender.post("/a", "", "{}").await });
    let batch = loop {
        match keeper.take() {
            Some(batch) => break batch,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(!answering.is_finished());
    batch.due.meet();
    assert_eq!(status(&answering.await.unwrap()), 204);
    let sender = Arc::clone(&running);
    let answering = tokio::spawn(async move { sender.post("/a", "", "{}").await });
    loop {
        if keeper.take().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        status(&answering.await.unwrap()),
        503,
        "what breaks is not stored"
    );
}

#[tokio::test]
async fn each_frame_of_another_router_has_its_own_origin() {
    let collector = Collector::default();
    let params = json!({ "identity": "origin", "duplicate_window": "1m" });
    let running = Running::start(params, |ready| collector.cx(ready)).await;
    let frames = "X-Weir-Chunk: b0; 5:2 o6162.0:1\r\n";
    let answer = running
        .post("/a", frames, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}")
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    let batches = collector.batches();
    let origins: Vec<_> = batches
        .iter()
        .map(|batch| batch.origin.clone().unwrap())
        .collect();
    assert_eq!(
        (&origins[0].chunk[..], &origins[1].chunk[..]),
        (&b"b0-5"[..], &b"o6162.0"[..])
    );
    assert!(
        origins
            .iter()
            .all(|origin| origin.identifies && origin.first == 0)
    );
    assert_eq!(records(&batches[1].events), [json!({ "n": 3 })]);
    let prints: Vec<_> = batches
        .iter()
        .map(|batch| batch.fingerprint.clone().unwrap())
        .collect();
    assert!(prints.iter().all(sdk::event::Fingerprint::is_missed));
    assert_ne!(prints[0].digest, prints[1].digest);
    let answer = running.post("/a", frames, "{\"n\":1}").await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert_eq!(collector.batches().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn silent_connections_are_closed_and_so_are_those_beyond_the_limit() {
    let collector = Collector::default();
    let params =
        json!({ "keepalive_timeout": "200ms", "body_timeout": "200ms", "max_connections": 2 });
    let running = Running::start(params, |ready| collector.cx(ready)).await;
    for words in ["", "POST /a HTTP/1.1\r\nHost:"] {
        let said = running.send(words).await;
        assert!(said.is_empty() || status(&said) == 408, "{said}");
    }
    let slow = "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    assert_eq!(status(&running.send(slow).await), 408);
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(TcpStream::connect(running.address).await.unwrap());
    }
    let mut third = TcpStream::connect(running.address).await.unwrap();
    let mut rest = Vec::new();
    let closed = third.read_to_end(&mut rest).await;
    assert!(closed.is_err() || rest.is_empty());
    running.stop().await;
    assert!(collector.batches().is_empty());
}
