//! Requests as a server sees them, and what its answers do.

use std::{
    io::Read as _,
    sync::{Arc, Mutex},
};

use sdk::{
    output::{Bitmap, ChunkView, FailureKind, Frame, Outcome, Output, Verdict},
    plugin::{Build, BuildCx},
    testing::frame,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A request as it came.
#[derive(Debug, Clone)]
struct Seen {
    head: String,
    body: Vec<u8>,
}

impl Seen {
    fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

type Script = Arc<dyn Fn(&Seen) -> &'static str + Send + Sync>;

/// A server that answers by a script.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(answer: impl Fn(&Seen) -> &'static str + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (list, script): (_, Script) = (Arc::clone(&seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&list)));
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<Seen>>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut request = Seen {
            head,
            body: Vec::new(),
        };
        let length = request.header("content-length").unwrap().parse().unwrap();
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body).await.unwrap();
        let answer = format!("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", script(&request));
        seen.lock().unwrap().push(request);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn build(endpoint: &str, more: Value) -> Result<Arc<dyn Output>, sdk::config::ConfigErrors> {
    let mut table = json!({ "endpoint": endpoint });
    let Value::Object(more) = more else {
        panic!("a table");
    };
    for (key, value) in more {
        table[key] = value;
    }
    let Build::Output(build, _) = crate::PLUGIN.build else {
        panic!("an output");
    };
    build(table, &BuildCx::detached("out"))
}

async fn write(output: &Arc<dyn Output>, frames: &[Frame], live: Option<&Bitmap>) -> Outcome {
    let chunk = ChunkView {
        buffer: 0xab,
        frames,
        live,
        attempt: 0,
    };
    output.write(chunk).await
}

fn frames() -> Vec<Frame> {
    vec![
        frame(5, "a.b", &[json!({ "n": 1 }), json!({ "n": 2 })]),
        frame(6, "c", &[json!({ "n": 3 })]),
        frame(9, "a.b", &[json!({ "n": 4 })]),
    ]
}

#[tokio::test]
async fn records_go_to_their_addresses_with_names_that_last() {
    let server = Server::start(|_| "204 No Content").await;
    let more = json!({
        "json_array": true, "tag_key": "tag", "time_key": "time", "headers": { "X-A": "1" },
        "headers_from_placeholders": { "X-Tag": "${tag}" }, "auth": { "username": "u", "password": "p" },
    });
    let output = build(&format!("{}/in/${{tag}}", server.url), more).unwrap();
    assert_eq!(write(&output, &frames(), None).await, Outcome::Delivered);
    let seen = server.seen();
    let paths: Vec<&str> = seen.iter().map(Seen::path).collect();
    assert_eq!(paths, ["/in/a.b", "/in/c"]);
    let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(
        body[1],
        json!({ "time": "1970-01-01T00:00:01.000000000Z", "tag": "a.b", "n": 2 })
    );
    assert_eq!(body.as_array().unwrap().len(), 3);
    let prefix = format!("{}ab", "0".repeat(30));
    assert_eq!(
        seen[0].header("x-weir-chunk").unwrap(),
        format!("{prefix}; 5:2 9:1")
    );
    assert_eq!(
        seen[1].header("x-weir-chunk").unwrap(),
        format!("{prefix}; 6:1")
    );
    assert_eq!(seen[0].header("x-tag"), Some("a.b"));
    assert_eq!(seen[0].header("x-a"), Some("1"));
    assert_eq!(seen[0].header("authorization"), Some("Basic dTpw"));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    write(&output, &frames(), None).await;
    let again = server.seen();
    assert_eq!(
        again[2].header("idempotency-key"),
        seen[0].header("idempotency-key")
    );
    let mut live = Bitmap::full(4);
    live.set(0, false);
    write(&output, &frames(), Some(&live)).await;
    let part = server.seen();
    assert_ne!(
        part[4].header("idempotency-key"),
        seen[0].header("idempotency-key")
    );
    assert!(part[4].header("x-weir-chunk").unwrap().contains("; 5p"));
}

#[tokio::test]
async fn what_is_too_large_is_divided_down_to_the_one_record() {
    let server = Server::start(|request| match request.body.len() {
        0..=30 => "200 OK",
        _ => "413 Payload Too Large",
    })
    .await;
    let records = [
        json!({ "n": 1 }),
        json!({ "text": "x".repeat(40) }),
        json!({ "n": 3 }),
        json!({ "n": 4 }),
    ];
    let output = build(&server.url, json!({})).unwrap();
    let outcome = write(&output, &[frame(1, "a", &records)], None).await;
    let Outcome::Except(except) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(except.len(), 1);
    assert!(
        matches!(&except[0], (1, Verdict::Reject(failure)) if failure.kind == FailureKind::TooLarge)
    );
    let bodies: Vec<u8> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.body.len() <= 30)
        .flat_map(|seen| seen.body)
        .collect();
    assert_eq!(
        String::from_utf8(bodies).unwrap(),
        "{\"n\":1}\n{\"n\":3}\n{\"n\":4}\n"
    );
}

#[tokio::test]
async fn answers_are_judged_and_waits_are_honoured() {
    for (answer, more, expected) in [
        ("503 Busy\r\nRetry-After: 7", json!({}), "retry 7"),
        ("429 Slow", json!({}), "retry 0"),
        ("401 No", json!({}), "retry 0"),
        ("400 Bad", json!({}), "reject"),
        ("302 Elsewhere\r\nLocation: /x", json!({}), "reject"),
        (
            "400 Bad",
            json!({ "error_response_as_unrecoverable": false }),
            "retry 0",
        ),
        (
            "404 None",
            json!({ "retryable_response_codes": [404] }),
            "retry 0",
        ),
        (
            "503 Busy",
            json!({ "retryable_response_codes": [404] }),
            "reject",
        ),
    ] {
        let server = Server::start(move |_| answer).await;
        let output = build(&server.url, more.clone()).unwrap();
        let said = match write(&output, &frames(), None).await {
            Outcome::RetryChunk(wait, _) => format!("retry {}", wait.unwrap_or_default().as_secs()),
            Outcome::Except(except)
                if except.len() == 4 && matches!(except[0].1, Verdict::Reject(_)) =>
            {
                "reject".into()
            }
            other => format!("{other:?}"),
        };
        assert_eq!(said, expected, "{answer} {more}");
        assert_eq!(server.seen().len(), 1);
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let outcome = write(&build(&url, json!({})).unwrap(), &frames(), None).await;
    assert!(
        matches!(&outcome, Outcome::DestinationDown(failure) if failure.kind == FailureKind::Connect),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_is_filled_in_stays_in_its_place() {
    let server = Server::start(|_| "200 OK").await;
    let output = build(&format!("{}/base/${{record.p}}?q=1", server.url), json!({})).unwrap();
    let records = ["a/../../x", "..", "ok", "?&#"].map(|p| json!({ "p": p }));
    let outcome = write(&output, &[frame(1, "a", &records)], None).await;
    let Outcome::Except(except) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        except.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [1]
    );
    let seen = server.seen();
    let paths: Vec<&str> = seen.iter().map(Seen::path).collect();
    assert_eq!(
        paths,
        [
            "/base/a%2F..%2F..%2Fx?q=1",
            "/base/ok?q=1",
            "/base/%3F%26%23?q=1"
        ]
    );
}

#[tokio::test]
async fn bodies_are_compressed_and_may_be_message_pack() {
    let server = Server::start(|_| "200 OK").await;
    let more = json!({ "format": { "type": "msgpack" }, "compress": "zstd" });
    let output = build(&server.url, more).unwrap();
    assert_eq!(
        write(&output, &frames()[1..2], None).await,
        Outcome::Delivered
    );
    let seen = server.seen();
    assert_eq!(seen[0].header("content-encoding"), Some("zstd"));
    assert_eq!(
        seen[0].header("content-type"),
        Some("application/x-msgpack")
    );
    let plain = zstd::Decoder::new(&*seen[0].body).unwrap();
    let mut body = Vec::new();
    plain.take(1 << 10).read_to_end(&mut body).unwrap();
    assert_eq!(body, b"\x81\xa1n\x03");
}

#[test]
fn what_cannot_be_is_refused_at_its_place() {
    let complaints = |endpoint: &str, more: Value| -> Vec<String> {
        let errors = build(endpoint, more).err().unwrap_or_default();
        errors.into_iter().map(|error| error.path).collect()
    };
    for endpoint in [
        "collect",
        "ftp://h/",
        "http://${tag}/x",
        "http://h${tag}",
        "http://h:${tag}/",
        "http://u:p@h/",
    ] {
        assert_eq!(complaints(endpoint, json!({})), ["/endpoint"], "{endpoint}");
    }
    assert!(complaints("https://h:1", json!({})).is_empty());
    assert_eq!(complaints("http://h/", json!({ "tls": {} })), ["/tls"]);
    assert_eq!(
        complaints("http://h/", json!({ "auth": { "token": "t" } })),
        ["/auth"]
    );
    assert_eq!(
        complaints("http://h/", json!({ "headers": { "a b": "c" } })),
        ["/headers/a b"]
    );
    assert_eq!(
        complaints("http://h/", json!({ "format": { "type": "none_such" } })),
        ["/format/type"]
    );
}
