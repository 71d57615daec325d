//! Whole deliveries: what is sent, sent again, and what is said of it.

use std::time::Duration;

use super::{
    server::{items, plain},
    *,
};

pub(super) const BUSY: &str = "es_rejected_execution_exception";
const MAPPING: &str = "document_parsing_exception";

pub(super) fn error(kind: &str, reason: &str) -> String {
    json!({ "error": { "type": kind, "reason": reason }, "status": 400 }).to_string()
}

#[tokio::test]
async fn all_good_is_one_request_and_the_connection_stays() {
    let server = Server::start().await;
    let output = output(&[server.url()], &json!({}));
    for _ in 0..3 {
        assert_eq!(write(&output, &[numbers(4)]).await, Outcome::Delivered);
    }
    let requests = server.requests();
    assert_eq!((requests.len(), server.connections()), (3, 1));
    let first = &requests[0];
    assert_eq!(
        first.line,
        "POST /_bulk?filter_path=took,errors,items.*.status,items.*.failure_store,items.*.error HTTP/1.1"
    );
    assert_eq!(first.header("content-type"), Some("application/x-ndjson"));
    assert!(first.header("user-agent").unwrap().starts_with("weir/"));
    assert_eq!(first.header("authorization"), None);
    assert_eq!(first.numbers(), [0, 1, 2, 3]);
    // Byte for byte the same when it is sent again: nothing depends on the clock.
    assert_eq!(first.body, requests[2].body);
}

#[tokio::test]
async fn every_item_has_its_own_verdict() {
    let server = Server::start().await;
    server.then(items(&[
        (201, ""),
        (409, "version_conflict_engine_exception"),
        (400, MAPPING),
        (429, BUSY),
    ]));
    let output = output(&[server.url()], &json!({}));
    let outcome = write(&output, &[numbers(4)]).await;
    assert_eq!(
        exceptions(&outcome),
        [
            (2, false, FailureKind::Mapping),
            (3, true, FailureKind::Http429)
        ]
    );
    let Outcome::Except(all) = &outcome else {
        panic!()
    };
    let Verdict::Reject(failure) = &all[0].1 else {
        panic!()
    };
    let id = &server.requests()[0].ids()[2];
    assert_eq!(
        failure.message,
        format!("{MAPPING}: because (status 400, id {id})")
    );
}

#[tokio::test]
async fn what_is_sent_again_is_the_same() {
    let server = Server::start().await;
    server.then(items(&[
        (201, ""),
        (429, BUSY),
        (201, ""),
        (503, "unavailable_shards_exception"),
        (201, ""),
    ]));
    let output = output(&[server.url()], &json!({}));
    let frames = [numbers(3), numbers(2)];
    let outcome = write(&output, &frames).await;
    assert_eq!(
        exceptions(&outcome),
        [
            (1, true, FailureKind::Http429),
            (3, true, FailureKind::Http5xx)
        ]
    );
    let mut live = Bitmap::empty(5);
    live.set(1, true);
    live.set(3, true);
    assert_eq!(
        write_live(&output, &frames, Some(&live)).await,
        Outcome::Delivered
    );
    let [first, second] = server.requests().try_into().unwrap();
    let pick = |ids: Vec<String>| vec![ids[1].clone(), ids[3].clone()];
    assert_eq!(second.ids(), pick(first.ids()));
    assert_eq!(second.numbers(), [1, 0]);
    let lines =
        |body: &[u8]| -> Vec<Vec<u8>> { body.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect() };
    assert_eq!(lines(&second.body)[..2], lines(&first.body)[2..4]);
}

#[tokio::test]
async fn conflicts_on_our_ids_are_success_and_on_index_are_not() {
    let conflict = (409, "version_conflict_engine_exception");
    let server = Server::start().await;
    server
        .then(items(&[conflict; 3]))
        .then(items(&[conflict; 3]));
    let create = output(&[server.url()], &json!({}));
    assert_eq!(write(&create, &[numbers(3)]).await, Outcome::Delivered);
    let index = output(&[server.url()], &json!({ "op_type": "index" }));
    assert_eq!(exceptions(&write(&index, &[numbers(3)]).await).len(), 3);
}

#[tokio::test]
async fn refusals_that_are_not_about_documents_keep_the_records() {
    let cases = [
        (
            400,
            error(
                "illegal_argument_exception",
                "Action/metadata line [1] contains an unknown parameter [_type]",
            ),
            FailureKind::Http4xx,
        ),
        (
            400,
            "<html>plain HTTP to an HTTPS port</html>".into(),
            FailureKind::Http4xx,
        ),
        (401, "Unauthorized".into(), FailureKind::Auth),
        (
            403,
            error(
                "security_exception",
                "action [indices:data/write/bulk] is unauthorized",
            ),
            FailureKind::Auth,
        ),
        (404, "no".into(), FailureKind::Http4xx),
        (
            429,
            error("circuit_breaking_exception", "data too large"),
            FailureKind::Http429,
        ),
        (503, String::new(), FailureKind::Http5xx),
        (302, String::new(), FailureKind::Http4xx),
    ];
    for (status, body, kind) in cases {
        let server = Server::start().await;
        server.then(plain(status, body));
        let output = output(&[server.url()], &json!({}));
        let failure = retried(write(&output, &[numbers(4)]).await);
        assert_eq!(failure.kind, kind, "{status}: {failure}");
        assert!(failure.message.contains(&status.to_string()), "{failure}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    for status in [429, 503] {
        let server = Server::start().await;
        let headers = "retry-after: 17\r\n".to_owned();
        server.then(server::Reply {
            headers,
            ..plain(status, "")
        });
        let output = output(&[server.url()], &json!({}));
        let Outcome::RetryChunk(after, _) = write(&output, &[numbers(1)]).await else {
            panic!()
        };
        assert_eq!(after, Some(Duration::from_secs(17)), "{status}");
    }
}

#[tokio::test]
async fn a_content_type_that_is_not_known_is_changed_once() {
    let server = Server::start().await;
    server.then(plain(415, "")).then_with(|request| {
        assert_eq!(request.header("content-type"), Some("application/json"));
        items(&[(201, "")])
    });
    let output = output(&[server.url()], &json!({}));
    assert_eq!(write(&output, &[numbers(1)]).await, Outcome::Delivered);
    server.then(plain(415, ""));
    assert_eq!(
        retried(write(&output, &[numbers(1)]).await).kind,
        FailureKind::Http4xx
    );
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_no_success() {
    let good = items(&[(201, ""), (201, ""), (201, ""), (201, "")]);
    let cut = server::Reply {
        cut: Some(40),
        ..good.clone()
    };
    for reply in [
        items(&[(201, ""), (201, ""), (201, "")]),
        items(&[(201, ""); 5]),
        plain(200, ""),
        plain(200, "{}"),
        plain(200, "[]"),
        plain(200, "<html>please log in</html>"),
        plain(200, r#"{"errors":true}"#),
        plain(200, good.body.trim_end_matches('}')),
        cut,
    ] {
        let server = Server::start().await;
        server.then(reply.clone());
        let output = output(&[server.url()], &json!({}));
        let kind = match write(&output, &[numbers(4)]).await {
            Outcome::RetryChunk(None, failure) | Outcome::DestinationDown(failure) => failure.kind,
            other => panic!("{reply:?}: {other:?}"),
        };
        let expected = if reply.cut.is_some() {
            FailureKind::Connect
        } else {
            FailureKind::Protocol
        };
        assert_eq!(kind, expected, "{reply:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_down_is_passed_over_and_left_out() {
    let gone = Server::start().await;
    let gone_url = gone.url();
    drop(gone);
    let server = Server::start().await;
    let url = server.url();
    let output = output(&[gone_url.clone(), url.clone()], &json!({}));
    for _ in 0..4 {
        assert_eq!(write(&output, &[numbers(2)]).await, Outcome::Delivered);
    }
    assert_eq!(server.requests().len(), 4);
    drop(server);
    let Outcome::DestinationDown(failure) = write(&output, &[numbers(2)]).await else {
        panic!()
    };
    assert_eq!(failure.kind, FailureKind::Connect);
    let both = [gone_url, url].map(|url| failure.message.contains(&url));
    assert_eq!(both, [true, true], "{failure}");
}

#[tokio::test]
async fn a_host_with_an_error_of_its_own_is_passed_over() {
    let (bad, good) = (Server::start().await, Server::start().await);
    for _ in 0..10 {
        bad.then(plain(503, ""));
    }
    let output = output(&[bad.url(), good.url()], &json!({}));
    for _ in 0..6 {
        assert_eq!(write(&output, &[numbers(2)]).await, Outcome::Delivered);
    }
    assert_eq!((bad.requests().len(), good.requests().len()), (1, 6));
}

#[tokio::test]
async fn hosts_take_turns() {
    let servers = [
        Server::start().await,
        Server::start().await,
        Server::start().await,
    ];
    let output = output(&servers.each_ref().map(Server::url), &json!({}));
    for _ in 0..6 {
        assert_eq!(write(&output, &[numbers(1)]).await, Outcome::Delivered);
    }
    assert_eq!(
        servers.each_ref().map(|server| server.requests().len()),
        [2, 2, 2]
    );
}

#[tokio::test]
async fn what_was_settled_before_the_end_stays_settled() {
    let server = Server::start().await;
    server
        .then(items(&[(201, ""), (400, MAPPING)]))
        .then(plain(503, ""));
    let output = output(&[server.url()], &json!({ "bulk_max_bytes": 300 }));
    let outcome = write(&output, &[numbers(5)]).await;
    let rest = |index| (index, true, FailureKind::Http5xx);
    assert_eq!(
        exceptions(&outcome),
        [(1, false, FailureKind::Mapping), rest(2), rest(3), rest(4)]
    );
    assert_eq!(server.requests()[1].numbers(), [2, 3]);
}

#[tokio::test]
async fn a_slow_answer_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let output = output(&[url], &json!({ "request_timeout": "300ms" }));
    let failure = retried(write(&output, &[numbers(1)]).await);
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(
        failure.message.ends_with("no answer within 0.3 s"),
        "{failure}"
    );
}

#[tokio::test]
async fn requests_are_compressed_and_counted() {
    let server = Server::start().await;
    let cx = BuildCx::detached("es");
    let params = json!({ "hosts": server.url(), "compression": "gzip" });
    let output = crate::build(params, &cx).unwrap();
    assert_eq!(write(&output, &[numbers(1000)]).await, Outcome::Delivered);
    let request = &server.requests()[0];
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let wire: u64 = request.header("content-length").unwrap().parse().unwrap();
    assert!(wire * 4 < request.body.len() as u64);
    assert_eq!(request.numbers().len(), 1000);
    let metrics = cx.metrics.encode();
    for line in [
        format!(r#"weir_elasticsearch_bulk_bytes_total{{stage="wire"}} {wire}"#),
        format!(
            r#"weir_elasticsearch_bulk_bytes_total{{stage="body"}} {}"#,
            request.body.len()
        ),
        r#"weir_elasticsearch_items_total{result="created"} 1000"#.into(),
        format!(
            r#"weir_elasticsearch_host_up{{host="http://127.0.0.1:{}/"}} 1"#,
            server.port
        ),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}
