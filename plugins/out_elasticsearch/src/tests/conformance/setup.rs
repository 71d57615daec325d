//! What has to be at the server before documents come.

use std::io::Write as _;

use sdk::{stop::Stopper, testing::Logbook};
use tempfile::NamedTempFile;
use tracing::Level;

use super::*;

const ALREADY: &str = "resource_already_exists_exception";

/// A template in a file.
fn file(template: &Value) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    write!(file, "{template}").unwrap();
    file
}

fn composable() -> Value {
    json!({ "index_patterns": ["{{prefix}}-*"], "template": { "settings": { "number_of_replicas": 0 } } })
}

/// An output with a template, and the server as it is described by pages.
async fn with_template(more: Value, pages: &[(&str, Reply)]) -> (Site, NamedTempFile) {
    let template = file(&composable());
    let mut params = json!({ "template_name": "logs", "template_file": template.path() });
    let Value::Object(more) = more else {
        panic!("parameters")
    };
    params.as_object_mut().unwrap().extend(more);
    let site = Site::new(params).await;
    for (line, reply) in pages {
        site.server.page(line, reply.clone());
    }
    (site, template)
}

impl Site {
    /// Methods and paths of what came besides bulk requests.
    fn asked(&self) -> Vec<String> {
        let lines = self.server.visits();
        let path = |line: &String| line.rsplit_once(' ').unwrap().0.to_owned();
        lines.iter().map(path).collect()
    }

    fn steps(&self, result: &str) -> u64 {
        self.count(&format!("setup_steps_total{{result=\"{result}\"}}"))
    }
}

const GET: &str = "GET /_index_template/logs";
const PUT: &str = "PUT /_index_template/logs";

fn missing() -> Reply {
    refused(
        404,
        "resource_not_found_exception",
        "index template matching [logs] not found",
    )
}

fn done_so() -> Reply {
    plain(200, r#"{"acknowledged":true}"#)
}

#[tokio::test]
async fn e44_a_template_that_is_missing_is_put_there_once() {
    let pages = [(GET, missing()), (PUT, done_so())];
    let (site, _file) = with_template(
        json!({ "customize_template": { "{{prefix}}": "App" } }),
        &pages,
    )
    .await;
    for _ in 0..2 {
        site.deliver(&[numbers(4)]).await.all_arrived(1);
    }
    assert_eq!(site.asked(), [GET, PUT]);
    let sent = site.server.body_for(PUT);
    assert_eq!(sent["index_patterns"], json!(["app-*"]));
    assert_eq!((site.steps("made"), site.steps("there")), (1, 0));
}

#[tokio::test]
async fn e44_a_template_that_is_there_stays_unless_it_is_to_be_replaced() {
    let pages = [(GET, done_so()), (PUT, done_so())];
    for (more, asked) in [
        (json!({}), &[GET][..]),
        (json!({ "template_overwrite": true }), &[GET, PUT]),
    ] {
        let (site, _file) = with_template(more, &pages).await;
        site.deliver(&[numbers(4)]).await.all_arrived(1);
        assert_eq!(site.asked(), asked);
    }
}

#[tokio::test]
async fn e44_what_the_server_refuses_is_an_alarm_and_documents_go_on() {
    let (logbook, _guard) = Logbook::open(Level::ERROR);
    let clash = refused(
        400,
        "illegal_argument_exception",
        "has the same priority [0] as template [other]",
    );
    let (site, _file) = with_template(json!({}), &[(GET, missing()), (PUT, clash)]).await;
    for _ in 0..3 {
        site.deliver(&[numbers(4)]).await.all_arrived(1);
    }
    assert_eq!(site.asked(), [GET, PUT]);
    assert_eq!(site.steps("refused"), 1);
    let said =
        logbook.lines("does not take the index template \"logs\": 400 illegal_argument_exception");
    assert_eq!(said.len(), 1, "{said:?}");
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    tokio::time::resume();
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    assert_eq!(site.asked(), [GET, PUT, GET, PUT]);
}

#[tokio::test]
async fn e44_two_that_do_the_same_at_once_both_go_on() {
    let (first, _file) = with_template(json!({}), &[(GET, missing()), (PUT, done_so())]).await;
    let again = refused(400, ALREADY, "index template [logs] already exists");
    let (second, _file) = with_template(json!({}), &[(GET, missing()), (PUT, again)]).await;
    for site in [&first, &second] {
        site.deliver(&[numbers(4)]).await.all_arrived(1);
    }
    assert_eq!((first.steps("made"), second.steps("there")), (1, 1));
    // Of two threads of one output, one asks.
    let (site, _file) = with_template(json!({}), &[(GET, missing()), (PUT, done_so())]).await;
    let frames = [numbers(4)];
    let (one, other) = tokio::join!(site.write(&frames), site.write(&frames));
    assert_eq!([one, other], [Outcome::Delivered, Outcome::Delivered]);
    assert_eq!(site.asked(), [GET, PUT]);
}

#[tokio::test]
async fn e44_documents_wait_while_nobody_knows_whether_the_template_is_there() {
    for (status, kind) in [(503, FailureKind::Http5xx), (401, FailureKind::Auth)] {
        let (site, _file) = with_template(json!({}), &[(GET, plain(status, ""))]).await;
        assert_eq!(retried(site.write(&[numbers(4)]).await).kind, kind);
        assert_eq!((site.sent().len(), site.steps("failed")), (0, 1));
    }
    let (output, _) = build(
        &["http://127.0.0.1:1".to_owned()],
        json!({ "template_name": "a", "template_file": "/nowhere" }),
    );
    let failure = retried(write(&output, &[numbers(4)]).await);
    assert!(
        failure.message.contains("/nowhere cannot be read"),
        "{failure}"
    );
}

#[tokio::test]
async fn what_is_known_is_put_there_before_the_first_document() {
    let (site, _file) = with_template(json!({}), &[(GET, missing()), (PUT, done_so())]).await;
    let (stopper, stop) = Stopper::new();
    let running = site.output.run(stop);
    let ends = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while site.asked().len() < 2 {
            assert!(tokio::time::Instant::now() < deadline, "nobody came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stopper.stop();
    };
    let (ran, ()) = tokio::join!(running, ends);
    assert!(ran.is_ok() && site.sent().is_empty());
}

/// An output that rolls over, and the answers about its alias and its first index.
async fn rolling(more: Value, alias: Reply, index: Reply) -> Site {
    let template = json!({ "rollover_index": true });
    let mut params = template.as_object().unwrap().clone();
    params.extend(more.as_object().unwrap().clone());
    let site = Site::new(params.into()).await;
    site.server.page("GET /_alias/logs-default", alias);
    site.server.page(FIRST, index);
    site
}

const FIRST: &str = "PUT /%3Clogs-default-%7Bnow%2Fd%7D-000001%3E";

#[tokio::test]
async fn e45_an_alias_is_made_with_its_first_index_and_only_once() {
    let there = || {
        plain(
            200,
            r#"{"logs-default-000007":{"aliases":{"logs-default":{}}}}"#,
        )
    };
    let gone = || {
        plain(
            404,
            r#"{"error":"alias [logs-default] missing","status":404}"#,
        )
    };
    let ahead = || {
        refused(
            400,
            ALREADY,
            "index [logs-default-2026.11.30-000001/x] already exists",
        )
    };
    for (alias, index, results) in [
        (there(), plain(500, ""), (1, 0)),
        (gone(), done_so(), (0, 1)),
        (gone(), ahead(), (1, 0)),
    ] {
        let site = rolling(json!({}), alias, index).await;
        for _ in 0..2 {
            site.deliver(&[numbers(4)]).await.all_arrived(1);
        }
        assert_eq!((site.steps("there"), site.steps("made")), results);
        let requests = site.server.requests();
        assert_eq!(requests[0].actions[0].1["_index"], "logs-default");
        assert!(
            requests[0].line.contains("&require_alias=true "),
            "{}",
            requests[0].line
        );
    }
    let site = rolling(json!({}), gone(), done_so()).await;
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    let expected = json!({ "aliases": { "logs-default": { "is_write_index": true } } });
    assert_eq!(site.server.body_for(FIRST), expected);
}

#[tokio::test]
async fn a_life_cycle_is_a_policy_a_template_and_an_alias() {
    let site = rolling(json!({ "enable_ilm": true }), missing(), done_so()).await;
    let version = json!({ "version": { "number": "8.19.21" } });
    let template = "PUT /_index_template/logs-default";
    let pages = [
        ("GET /", plain(200, version.to_string())),
        ("GET /_ilm/policy/logstash-policy", missing()),
        ("PUT /_ilm/policy/logstash-policy", done_so()),
        ("GET /_index_template/logs-default", missing()),
        (template, done_so()),
    ];
    for (line, reply) in pages {
        site.server.page(line, reply);
    }
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    let sent = site.server.body_for(template);
    assert_eq!(sent["index_patterns"], json!(["logs-default-*"]));
    let settings = json!({
        "index.lifecycle.name": "logstash-policy", "index.lifecycle.rollover_alias": "logs-default"
    });
    assert_eq!(sent["template"]["settings"], settings);
    assert_eq!(site.steps("made"), 3);
}

/// An output that ships to data streams by tag, at a server of this kind.
async fn streaming(root: Value, more: Value) -> Site {
    let server = Server::start().await;
    let cx = BuildCx::detached("es");
    let mut params = json!({ "hosts": [server.url()], "data_stream_name": "logs-${tag}" });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let output = crate::build(params, &cx).expect("parameters");
    server.page("GET /", plain(200, root.to_string()));
    for (line, reply) in [
        ("GET /_index_template/logs-app_template", missing()),
        (STREAM_TEMPLATE, done_so()),
        ("GET /_data_stream/logs-app", missing()),
        ("PUT /_data_stream/logs-app", done_so()),
    ] {
        server.page(line, reply);
    }
    Site {
        server,
        output,
        metrics: cx.metrics,
    }
}

const STREAM_TEMPLATE: &str = "PUT /_index_template/logs-app_template";

#[tokio::test]
async fn a_data_stream_gets_its_policy_and_its_template() {
    let root = json!({ "version": { "number": "9.5.3" } });
    let site = streaming(root, json!({})).await;
    site.server
        .page("GET /_ilm/policy/logs-app_policy", missing());
    site.server
        .page("PUT /_ilm/policy/logs-app_policy", done_so());
    for _ in 0..2 {
        site.deliver(&[numbers(4)]).await.all_arrived(1);
    }
    assert_eq!(site.steps("made"), 3);
    let sent = site.server.body_for(STREAM_TEMPLATE);
    let expected = json!({
        "index_patterns": ["logs-app*"], "priority": 110, "data_stream": {},
        "template": { "settings": { "index.lifecycle.name": "logs-app_policy" } },
    });
    assert_eq!(sent, expected);
    let requests = site.server.requests();
    let (action, meta, document) = &requests[0].actions[0];
    assert_eq!(
        (action.as_str(), &meta["_index"]),
        ("create", &json!("logs-app"))
    );
    assert!(document["@timestamp"].is_string());
}

#[tokio::test]
async fn a_data_stream_needs_no_policy_where_there_are_none() {
    let (logbook, _guard) = Logbook::open(Level::ERROR);
    let root = json!({ "version": { "number": "3.8.0", "distribution": "opensearch" } });
    let opensearch = streaming(root, json!({})).await;
    let root = json!({ "version": { "number": "8.11.0", "build_flavor": "serverless" } });
    let serverless = streaming(root, json!({})).await;
    serverless
        .server
        .page("GET /_ilm/policy/logs-app_policy", missing());
    let gone = refused(
        410,
        "api_not_available_exception",
        "not available in serverless mode",
    );
    serverless
        .server
        .page("PUT /_ilm/policy/logs-app_policy", gone);
    for site in [&opensearch, &serverless] {
        site.deliver(&[numbers(4)]).await.all_arrived(1);
        let sent = site.server.body_for(STREAM_TEMPLATE);
        assert!(sent.get("template").is_none(), "{sent}");
    }
    assert_eq!(logbook.lines(""), [""; 0]);
}
