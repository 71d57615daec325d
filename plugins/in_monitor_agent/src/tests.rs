//! The pages are asked over HTTP, and events are looked at as they are emitted.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::mpsc,
    time::Duration,
};

use sdk::{
    input::Ready,
    monitor::{Component, Delivering, Figures, Monitor, Passed, Process},
    plugin::{Build, Kind},
    stop::Stopper,
    testing::{Collector, records},
};
use serde_json::json;

use super::*;

/// A source and an output that failed twice.
struct Two;

impl Monitor for Two {
    fn process(&self) -> Process {
        Process {
            hostname: "node-1".to_owned(),
            config_path: Some("/etc/weir.toml".to_owned()),
            version: "1.0".to_owned(),
        }
    }

    fn components(&self) -> Vec<Component> {
        let passed = Passed {
            batches: 1,
            records: 7,
            bytes: 70,
        };
        let delivering = Delivering {
            accepted: passed,
            errors: 2,
            failures_in_a_row: 2,
            limit_bytes: 100,
            ..Delivering::default()
        };
        vec![
            Component {
                id: "in".into(),
                kind: Kind::Input,
                plugin: "forward",
                params: json!({ "port": 24224, "shared_key": "xxxxxx" }),
                figures: Figures::Input(passed),
            },
            Component {
                id: "es".into(),
                kind: Kind::Output,
                plugin: "elasticsearch",
                params: json!({}),
                figures: Figures::Output(Box::new(delivering)),
            },
        ]
    }
}

fn made(params: Value) -> Result<Box<dyn Input>, ConfigErrors> {
    let Build::Input(make) = PLUGIN.build else {
        panic!("an input");
    };
    make(params, &BuildCx::detached("test"))
}

/// Runs it, asks for the path, stops it, and returns the answer and what was emitted.
async fn ask(params: Value, path: &str, at_least: usize) -> (String, Vec<Value>) {
    let (tell, told) = mpsc::sync_channel(1);
    let collector = Collector::default();
    let ready = Ready::new(move |detail| tell.send(detail.to_owned()).expect("a listener"));
    let cx = InputCx {
        monitor: Arc::new(Two),
        ..collector.cx(ready)
    };
    let (stopper, stop) = Stopper::new();
    let running = tokio::spawn(made(params).expect("it is right").run(cx, stop));
    let path = path.to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let detail = told.recv_timeout(Duration::from_secs(10)).expect("ready");
        let address = detail.strip_prefix("listening on ").expect("an address");
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    })
    .await
    .expect("no panic");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while collector.batches().len() < at_least && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stopper.stop();
    running.await.expect("no panic").expect("no error");
    let emitted = collector.batches();
    let emitted = emitted.iter().flat_map(|batch| records(&batch.events));
    (answer, emitted.collect())
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test]
async fn plugins_have_fluentds_fields_and_hide_configuration() {
    let (answer, emitted) = ask(json!({ "listen": "127.0.0.1:0" }), "/api/plugins.json", 0).await;
    let body = body(&answer);
    assert_eq!(
        body["plugins"][0],
        json!({ "plugin_id": "in", "plugin_category": "input", "type": "forward", "output_plugin": false,
            "retry_count": null, "emit_records": 7, "emit_size": 70 })
    );
    let output = &body["plugins"][1];
    assert_eq!(
        (&output["retry_count"], &output["emit_count"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(output["buffer_available_buffer_space_ratios"], json!(100.0));
    assert!(output.get("retry").is_none() && output.get("config").is_none());
    assert!(emitted.is_empty());
}

#[tokio::test]
async fn configuration_and_retries_are_shown_on_request_only() {
    let all =
        json!({ "bind": "127.0.0.1", "port": 0, "include_config": true, "include_retry": true });
    let shown = body(
        &ask(all.clone(), "/api/plugins.json?type=forward", 0)
            .await
            .0,
    );
    assert_eq!(
        shown["plugins"][0]["config"],
        json!({ "@type": "forward", "@id": "in", "port": "24224", "shared_key": "xxxxxx" })
    );
    assert_eq!(shown["plugins"].as_array().map(Vec::len), Some(1));
    let retries = body(&ask(all.clone(), "/api/plugins.json?@id=es", 0).await.0);
    assert_eq!(retries["plugins"][0]["retry"]["steps"], json!(2));
    let hidden = body(&ask(all, "/api/plugins.json?with_config=no", 0).await.0);
    assert!(hidden["plugins"][0].get("config").is_none());
    let asked = json!({ "listen": "127.0.0.1:0" });
    let refused = body(&ask(asked, "/api/plugins.json?with_config=yes", 0).await.0);
    assert!(refused["plugins"][0].get("config").is_none());
}

#[tokio::test]
async fn the_other_pages_are_lines_and_the_process() {
    let listen = json!({ "listen": "127.0.0.1:0" });
    let (lines, _) = ask(listen.clone(), "/api/plugins", 0).await;
    assert!(
        lines.contains("plugin_id:in\tplugin_category:input\ttype:forward"),
        "{lines}"
    );
    let process = body(&ask(listen.clone(), "/api/config.json", 0).await.0);
    assert_eq!(process["config_path"], json!("/etc/weir.toml"));
    assert_eq!(process["pid"], json!(std::process::id()));
    let (line, _) = ask(listen.clone(), "/api/config", 0).await;
    assert!(line.contains("\tconfig_path:/etc/weir.toml\t"), "{line}");
    assert!(
        ask(listen, "/nothing", 0)
            .await
            .0
            .starts_with("HTTP/1.1 404")
    );
}

#[tokio::test]
async fn events_are_made_of_every_plugin() {
    let params = json!({ "listen": "127.0.0.1:0", "tag": "monitor", "emit_interval": "10ms" });
    let (_, emitted) = ask(params, "/api/config", 1).await;
    assert_eq!(emitted[0]["plugin_id"], json!("in"));
    assert_eq!(emitted[1]["type"], json!("elasticsearch"));
}

#[test]
fn an_address_is_written_once() {
    assert!(made(json!({ "listen": "127.0.0.1:1", "port": 2 })).is_err());
    assert!(made(json!({ "bind": "localhost" })).is_err());
    assert!(made(json!({ "emit_interval": 0 })).is_err());
    assert!(made(json!({})).is_ok());
}
