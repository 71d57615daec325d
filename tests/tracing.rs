//! One request through three services that each write its ids in their own way: one query finds its lines, in order.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    delivery::SERVICE,
    harness::{
        clients, holds, http,
        servers::Server,
        weir::{Home, Weir},
    },
};

/// Requests that are under way at the same time.
const REQUESTS: u64 = 150;
/// The services that each of them passes, in this order.
const SERVICES: [&str; 3] = ["front", "orders", "payment"];
/// Lines of one service for one request: one in each style.
const STYLES: u64 = 5;
/// Lines that belong to no request.
const NOISE: u64 = 200;

/// The id of a request: the trace of its tracers and the value of its correlation headers.
fn id(request: u64) -> String {
    format!(
        "{:016x}{:016x}",
        0x0af7_6519_16cd_43dd_u64 ^ request,
        request.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
    )
}

/// The line of a request that a service writes in a style. `seq` is its place in the whole run.
fn line(request: u64, service: usize, style: u64, seq: u64) -> Value {
    let (trace, span) = (id(request), format!("{:016x}", seq + 1));
    let mut record = match (style + service as u64) % STYLES {
        0 => {
            json!({ "message": "in", "headers": { "Traceparent": format!("00-{trace}-{span}-01") } })
        }
        1 => json!({ "message": "call", "request_headers": {
            "X-B3-TraceId": trace, "X-B3-SpanId": span, "X-B3-Sampled": "1",
        } }),
        2 => json!({ "message": "query", "b3": format!("{trace}-{span}-1") }),
        3 if request.is_multiple_of(2) => json!({ "message": "answer", "X-Request-ID": trace }),
        3 => json!({ "message": "answer", "headers": { "x-correlation-id": [trace] } }),
        _ if request.is_multiple_of(2) => {
            json!({ "log": format!("INFO [{},{trace},{span}] 1 --- done", SERVICES[service]) })
        }
        _ => json!({ "log": format!("level=info msg=done traceId={trace} spanId={span}") }),
    };
    record["service"] = json!(SERVICES[service]);
    record["seq"] = json!(seq);
    record
}

/// The lines of each service, those of all requests mixed, and which lines belong to which request.
fn lines() -> ([Vec<Value>; 3], BTreeMap<u64, Vec<u64>>) {
    let (mut lines, mut of_request) = ([const { Vec::new() }; 3], BTreeMap::<u64, Vec<u64>>::new());
    let mut seq = 0;
    for service in 0..SERVICES.len() {
        for style in 0..STYLES {
            for step in 0..REQUESTS {
                // Another order of the requests each time; 7 and 150 have no common divisor.
                let request = (step * 7 + style) % REQUESTS;
                lines[service].push(line(request, service, style, seq));
                of_request.entry(request).or_default().push(seq);
                seq += 1;
            }
        }
        let noise = (0..NOISE).map(|n| json!({
            "seq": 1_000_000 + n, "service": SERVICES[service], "log": "traceId=none b3 trace_id= [a,b,c]",
            "traceparent": format!("ff-{}-00f067aa0ba902b7-01", id(n % REQUESTS)),
        }));
        lines[service].extend(noise);
    }
    (lines, of_request)
}

fn config(server: &Server, index: &str) -> String {
    format!(
        r#"{SERVICE}
[[filter]]
type = "correlation"
tag = "svc.**"

[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["{url}"]
index = "{index}"
[match.buffer]
flush_interval = "200ms"
"#,
        url = server.url
    )
}

/// Three real loggers send at the same time.
fn send(weir: &Weir, folder: &TempDir, lines: &[Vec<Value>; 3]) {
    let port = weir.listens("in").port();
    let file = |name: &str, lines: &[Value]| -> PathBuf {
        let path = folder.path().join(name);
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        fs::write(&path, text.join("\n")).expect("a file");
        path
    };
    let clients: Vec<_> = SERVICES
        .iter()
        .zip(lines)
        .map(|(name, lines)| {
            let path = file(name, lines);
            let path = path.to_str().expect("UTF-8");
            clients::python(port, &format!("svc.{name}"), path, lines.len() as u64)
        })
        .collect();
    for client in clients {
        client.finish(90);
    }
}

/// The one query: the places of the lines with this value, in order.
fn query(server: &Server, index: &str, field: &str, value: &str) -> Vec<u64> {
    let body = json!({ "query": { "term": { format!("{field}.keyword"): value } }, "sort": ["seq"], "size": 100 });
    let (status, text) = http::send("POST", &format!("{}/{index}/_search", server.url), &body);
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let hits = answer["hits"]["hits"].as_array().expect("hits");
    hits.iter()
        .map(|hit| hit["_source"]["seq"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn one_query_finds_every_line_of_a_request_in_order() {
    let server = Server::elasticsearch();
    let index = server.fresh_index("tracing");
    let (lines, of_request) = lines();
    let home = Home::new(&config(&server, &index));
    let weir = home.start();
    let folder = TempDir::with_prefix("lines-").expect("a folder");
    send(&weir, &folder, &lines);
    let all: u64 = lines.iter().map(|lines| lines.len() as u64).sum();
    holds("every line is there", 90, &all, || server.count(&index));
    weir.settles(20);
    let per_request = STYLES * SERVICES.len() as u64;
    for (request, expected) in &of_request {
        assert_eq!(expected.len() as u64, per_request);
        let found = query(&server, &index, "correlation_id", &id(*request));
        assert_eq!(&found, expected, "request {request}");
        // All but the lines whose header is no trace.
        let traced = query(&server, &index, "trace.id", &id(*request));
        assert_eq!(
            traced.len() as u64,
            per_request - SERVICES.len() as u64,
            "request {request}"
        );
    }
    let with_id = json!({ "query": { "exists": { "field": "correlation_id" } } });
    let (_, text) = http::send("POST", &format!("{}/{index}/_count", server.url), &with_id);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        answer["count"],
        REQUESTS * per_request,
        "the noise has no id"
    );
    assert!(weir.stop().success());
}
