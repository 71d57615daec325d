//! HTTP in: raw requests over sockets, and 200 only for what survives a kill.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::{
    delivery::ROUTER,
    harness::{eventually, holds, weir::Home},
};

/// A router with HTTP in, and files out.
fn router(source: &str, buffer: &str) -> Home {
    Home::new(&format!(
        r#"{ROUTER}[[source]]
id = "in"
type = "http"
listen = "127.0.0.1:0"
{source}

[[match]]
id = "out"
tag = "**"
type = "file"
path = "out/records.log"
[match.buffer]
{buffer}
"#
    ))
}

/// One connection that sends requests one after the other.
struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the port answers");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        Self(stream)
    }

    /// Status, head and body of the answer.
    fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.0.write_all(head.as_bytes()).expect("the router reads");
        // A router that has refused may have closed already.
        drop(self.0.write_all(body));
        self.answer()
    }

    fn answer(&mut self) -> (u16, String, String) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).expect("an answer");
            head.extend(byte);
        }
        let head = String::from_utf8(head).expect("ASCII").to_ascii_lowercase();
        let status = head.split(' ').nth(1).expect("a status");
        let status = status.parse().expect("a number");
        let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
            rest.split("\r\n")
                .next()
                .expect("a line")
                .parse()
                .expect("a length")
        });
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the body");
        (status, head, String::from_utf8(body).expect("UTF-8"))
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn every_form_of_body_becomes_records_over_one_connection() {
    let home = router("", "flush_interval = \"20ms\"");
    let weir = home.start();
    let mut client = Client::connect(weir.listens("in"));
    let gzipped = format!("{JSON}Content-Encoding: gzip\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let msgpack = "Content-Type: application/msgpack\r\n";
    let cases: [(&str, &str, Vec<u8>); 6] = [
        (
            "/app.json",
            JSON,
            b"{\"n\":1,\"time\":1764000000.5}".to_vec(),
        ),
        ("/app/array?time=7", JSON, b"[{\"n\":2},{\"n\":3}]".to_vec()),
        ("/app.gzip", &gzipped, gzip("{\"n\":4}\n{\"n\":5}\n")),
        ("/app.form", form, b"json=%7B%22n%22%3A6%7D".to_vec()),
        (
            "/app.msgpack",
            msgpack,
            b"\x92\x81\xa1n\x07\x81\xa1n\x08".to_vec(),
        ),
        ("/app.empty", JSON, b"[]".to_vec()),
    ];
    for (path, headers, body) in cases {
        let (status, _, said) = client.post(path, headers, &body);
        assert_eq!((status, &*said), (200, ""), "{path}");
    }
    let chunked = "POST /app.chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n4\r\n{\"n\"\r\n3\r\n:9}\r\n0\r\n\r\n";
    client
        .0
        .write_all(chunked.as_bytes())
        .expect("the router reads");
    assert_eq!(client.answer().0, 200);
    let mut seen = Vec::new();
    eventually("nine records", 20, || {
        seen = home.records("out");
        (seen.len() == 9).then_some(())
    });
    seen.sort_by_key(|record| record["n"].as_u64());
    let brief: Vec<Value> = seen
        .iter()
        .map(|record| json!([record["tag"], record["n"]]))
        .collect();
    let tags = [
        "json", "array", "array", "gzip", "gzip", "form", "msgpack", "msgpack", "chunked",
    ];
    let expected: Vec<Value> = (1..)
        .zip(tags)
        .map(|(n, tag)| json!([format!("app.{tag}"), n]))
        .collect();
    assert_eq!(brief, expected);
    assert_eq!(seen[0]["time"], "2025-11-24T16:00:00.500000000Z");
    assert_eq!(seen[1]["time"], "1970-01-01T00:00:07.000000000Z");
}

#[test]
fn what_cannot_be_taken_is_answered_with_its_place_and_nothing_of_it_is_stored() {
    let home = router("body_size_limit = \"1KiB\"", "flush_interval = \"20ms\"");
    let weir = home.start();
    let address = weir.listens("in");
    let bomb = gzip(&"x".repeat(100_000));
    let gzipped = format!("{JSON}Content-Encoding: gzip\r\n");
    let cases: [(&str, &[u8], u16, &str); 6] = [
        (
            JSON,
            b"{\"n\":1}\n{\"secret\"",
            400,
            "record 2: EOF while parsing an object at line 2",
        ),
        (JSON, b"[{\"n\":1},7]", 400, "a record must be an object"),
        ("Content-Type: image/png\r\n", b"x", 415, "Content-Type"),
        (
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            b"x",
            415,
            "Content-Encoding",
        ),
        (JSON, &[b'x'; 2_000], 413, "body_size_limit"),
        (&gzipped, &bomb, 413, "body_size_limit"),
    ];
    for (headers, body, status, said) in cases {
        let answer = Client::connect(address).post("/a", headers, body);
        assert_eq!(answer.0, status, "{}", answer.2);
        assert!(
            answer.2.contains(said) && !answer.2.contains("secret"),
            "{}",
            answer.2
        );
    }
    assert_eq!(
        Client::connect(address).post("/a", JSON, b"{\"good\":1}").0,
        200
    );
    eventually("the good one", 20, || {
        (home.records("out").len() == 1).then_some(())
    });
    assert!(!weir.log_text().contains("secret"));
}

#[test]
fn what_was_answered_with_200_survives_a_kill() {
    let home = router("", "flush_interval = \"20ms\"");
    let mut good = 0_u64;
    for _ in 0..3 {
        let weir = home.start();
        let mut client = Client::connect(weir.listens("in"));
        for _ in 0..200 {
            let body = json!([{ "n": good }]).to_string();
            assert_eq!(client.post("/app", JSON, body.as_bytes()).0, 200);
            good += 1;
        }
        weir.kill();
    }
    let weir = home.start();
    let stored = || -> u64 {
        let mut numbers: Vec<_> = home
            .records("out")
            .iter()
            .filter_map(|record| record["n"].as_u64())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len() as u64
    };
    holds("every record", 30, &good, stored);
    weir.settles(20);
}

#[test]
fn a_full_buffer_is_answered_with_503_and_when_to_come_again() {
    let buffer = "flush_interval = \"20ms\"\ntotal_limit_size = \"32MiB\"";
    let home = router("blocking_timeout = \"300ms\"\nretry_after = \"2s\"", buffer);
    // A file where the output wants a folder: nothing can be delivered.
    fs::write(home.path().join("out"), "").expect("a file");
    let weir = home.start();
    let mut client = Client::connect(weir.listens("in"));
    let body = json!({ "text": "x".repeat(4 << 20) }).to_string();
    let refused = eventually("the buffer is full", 60, || {
        let (status, head, _) = client.post("/app", JSON, body.as_bytes());
        assert!(matches!(status, 200 | 503), "an answer with {status}");
        (status == 503).then_some(head)
    });
    assert!(refused.contains("retry-after: 2\r\n"), "{refused}");
    // The connection is still good, and so is the port for others.
    assert_eq!(client.post("/app", JSON, b"[]").0, 200);
}

#[test]
fn a_request_that_comes_again_with_its_key_is_stored_once() {
    let home = router("duplicate_window = \"1m\"", "flush_interval = \"20ms\"");
    let weir = home.start();
    let mut client = Client::connect(weir.listens("in"));
    let headers = format!("{JSON}Idempotency-Key: \"k1\"\r\n");
    for _ in 0..3 {
        assert_eq!(
            client.post("/app", &headers, b"[{\"n\":1},{\"n\":2}]").0,
            200
        );
    }
    let other = format!("{JSON}Idempotency-Key: \"k2\"\r\n");
    assert_eq!(client.post("/app", &other, b"[{\"n\":1},{\"n\":2}]").0, 200);
    eventually("both requests", 20, || {
        (home.records("out").len() >= 4).then_some(())
    });
    weir.settles(20);
    assert_eq!(home.records("out").len(), 4);
}
