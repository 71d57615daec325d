//! Requests that are refused as a whole: what is tried again, what is divided, and what leads elsewhere.

use super::*;

#[tokio::test]
async fn e22_a_server_that_is_busy_says_when_to_come_back() {
    let site = Site::new(json!({})).await;
    site.server.then(Reply {
        headers: "retry-after: 2\r\n".into(),
        ..refused(429, BUSY, "rejected execution")
    });
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(
        (end.again[0].0, end.again()),
        (Some(Duration::from_secs(2)), vec![FailureKind::Http429])
    );
    let [first, second] = site.server.requests().try_into().unwrap();
    assert_eq!(first.body, second.body);
    assert_eq!(site.limit_bytes(), 8 << 20, "half of it at a time");
}

#[tokio::test]
async fn e23_a_server_that_is_short_of_memory_is_not_sent_halves() {
    let site = Site::new(json!({})).await;
    site.server.then(refused(
        429,
        "circuit_breaking_exception",
        "[parent] Data too large",
    ));
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(end.again(), [FailureKind::Http429]);
    assert_eq!(site.sent(), [[0, 1, 2, 3]; 2]);
    let splits = ["size", "memory", "document"]
        .map(|reason| site.count(&format!("splits_total{{reason=\"{reason}\"}}")));
    assert_eq!(splits, [0; 3]);
}

#[tokio::test]
async fn e27_the_one_document_that_spoils_a_request_is_found() {
    // The first, the last, and one for each way that halves can go in between.
    for poison in [0, 1, 31, 32, 42, 63] {
        let site = Site::new(json!({})).await;
        site.server.later(move |request| {
            let words = "Malformed action/metadata line [3]";
            if request.numbers().contains(&poison) {
                refused(400, "illegal_argument_exception", words)
            } else {
                all(request)
            }
        });
        let end = site.deliver(&[lopsided(64)]).await;
        let expected = (u32::try_from(poison).unwrap(), FailureKind::Rejected);
        assert_eq!((end.tries, end.dead()), (1, vec![expected]));
        assert!(
            end.dead[0]
                .1
                .message
                .contains("Malformed action/metadata line [3] (alone, id ")
        );
        let requests = site.server.requests().len();
        assert!(
            requests <= 2 * 6 + 1,
            "{requests} requests to find {poison}"
        );
        assert_eq!(
            (
                site.items("created"),
                site.count("splits_total{reason=\"document\"}")
            ),
            (63, 6)
        );
    }
}

/// Records of very different sizes, so that halves by size are not halves by number.
fn lopsided(count: usize) -> Frame {
    let record = |n: usize| json!({ "n": n, "padding": "x".repeat(1 << (n % 12)) });
    frame(7, "app", &(0..count).map(record).collect::<Vec<_>>())
}

#[tokio::test]
async fn e28_a_parameter_that_the_server_does_not_know_is_no_fault_of_documents() {
    for reason in [
        "Action/metadata line [1] contains an unknown parameter [_type]",
        "request [/_bulk] contains unrecognized parameter: [pipeline]",
    ] {
        let site = Site::new(json!({})).await;
        site.server
            .then(refused(400, "illegal_argument_exception", reason));
        let end = site.deliver(&[numbers(64)]).await;
        end.all_arrived(2);
        let (_, failure) = &end.again[0];
        assert_eq!(failure.kind, FailureKind::Http4xx);
        assert!(
            failure
                .message
                .starts_with("the server answered 400 illegal_argument_exception: "),
            "{failure}"
        );
        assert_eq!(site.server.requests().len(), 2);
    }
}

#[tokio::test]
async fn e35_a_page_to_log_in_is_no_success() {
    for status in [301, 302, 303, 307, 308] {
        let site = Site::new(json!({})).await;
        let login = plain(200, items(&[(201, ""); 4]).body);
        // Even a page that looks like an answer to the request.
        for method in ["GET", "POST"] {
            site.server
                .page(&format!("{method} /login?token=geheim"), login.clone());
        }
        site.server.then(Reply {
            headers: "location: /login?token=geheim\r\n".into(),
            ..plain(status, "")
        });
        let end = site.deliver(&[numbers(4)]).await;
        end.all_arrived(2);
        let (_, failure) = &end.again[0];
        assert_eq!(failure.kind, FailureKind::Http4xx);
        let elsewhere = format!("leads to {}/login, ", site.server.url());
        assert!(failure.message.contains(&elsewhere), "{status}: {failure}");
        assert!(!failure.message.contains("geheim"), "{failure}");
        assert_eq!((site.items("created"), site.server.visits()), (4, vec![]));
    }
    let lost = Site::new(json!({})).await;
    lost.server.then(plain(302, ""));
    assert_eq!(
        lost.deliver(&[numbers(4)]).await.again(),
        [FailureKind::Http4xx]
    );
    // Round and round.
    let round = Site::new(json!({})).await;
    let around = Reply {
        headers: "location: /around\r\n".into(),
        ..plain(302, "")
    };
    round
        .server
        .page("GET /around", around.clone())
        .then(around);
    let end = round.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(end.again(), [FailureKind::Http4xx]);
}

#[tokio::test]
async fn e38_nobody_is_asked_what_it_is_before_records_are_sent() {
    let version = |number: &str, more: Value| {
        let mut version = json!({ "number": number });
        version
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        plain(200, json!({ "version": version }).to_string())
    };
    for about in [
        version("2.19.6", json!({ "distribution": "opensearch" })),
        version("7.10.2", json!({})),
        version("9.5.3", json!({ "build_flavor": "default" })),
        version("8.11.0", json!({ "build_flavor": "serverless" })),
        plain(403, ""),
        plain(404, ""),
        plain(405, ""),
        plain(200, "<html>"),
        silence(),
    ] {
        let site = Site::new(json!({})).await;
        site.server
            .page("GET /", about.clone())
            .page("HEAD /", about);
        // The server refuses `_type`, as it refuses every request that is not for every product.
        tokio::time::timeout(Duration::from_secs(5), site.deliver(&[numbers(4)]))
            .await
            .expect("sending starts at once")
            .all_arrived(1);
        assert_eq!(site.server.visits(), [""; 0]);
    }
}

#[tokio::test]
async fn e39_a_content_type_that_is_not_known_is_changed_once_and_for_all() {
    for status in [406, 415] {
        let site = Site::new(json!({})).await;
        site.server
            .later(move |request| match request.header("content-type") {
                Some("application/json") => all(request),
                _ => plain(status, ""),
            });
        site.deliver(&[numbers(4)]).await.all_arrived(1);
        site.deliver(&[numbers(4)]).await.all_arrived(1);
        let requests = site.server.requests();
        let kinds: Vec<_> = requests
            .iter()
            .filter_map(|request| request.header("content-type"))
            .collect();
        // Never one of the vendor's, which OpenSearch answers with 406.
        assert_eq!(
            kinds,
            [
                "application/x-ndjson",
                "application/json",
                "application/json"
            ]
        );
        let accepted: Vec<_> = requests
            .iter()
            .filter_map(|request| request.header("accept"))
            .collect();
        assert!(
            accepted.iter().all(|kind| !kind.contains("vnd.")),
            "{accepted:?}"
        );
    }
    let stubborn = Site::new(json!({})).await;
    stubborn.server.then(plain(415, "")).then(plain(415, ""));
    let end = stubborn.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(
        (end.again(), stubborn.server.requests().len()),
        (vec![FailureKind::Http4xx], 3)
    );
}
