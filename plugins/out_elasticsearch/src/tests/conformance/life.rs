//! A delivery that ends early, and what the log, the metrics and the dead letter show.

use std::fmt::Write as _;

use sdk::testing::Logbook;
use tracing::Level;

use super::*;

#[tokio::test]
async fn e46_what_was_not_answered_at_the_end_is_sent_again_with_the_same_ids() {
    let server = Server::start().await;
    server.then(silence());
    let (before, _) = build(&[server.url()], json!({}));
    let frames = [numbers(4)];
    {
        let mut delivery = Box::pin(write(&before, &frames));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while server.requests().is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "no request came");
            let turn = tokio::time::timeout(Duration::from_millis(5), &mut delivery).await;
            assert!(turn.is_err(), "nobody answered");
        }
    }
    drop(before);
    let (after, _) = build(&[server.url()], json!({}));
    server.then(items(&[
        (409, CONFLICT),
        (409, CONFLICT),
        (201, ""),
        (201, ""),
    ]));
    deliver(&after, &frames).await.all_arrived(1);
    let [first, second] = server.requests().try_into().unwrap();
    assert_eq!(first.ids(), second.ids());
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn e49_secrets_are_shown_nowhere() {
    const SECRET: &str = "geheim";
    let (logbook, _guard) = Logbook::open(Level::TRACE);
    let server = Server::start().await;
    let down = Server::start().await;
    let [url, down_url] =
        [&server, &down].map(|server| format!("http://user:{SECRET}@127.0.0.1:{}", server.port));
    drop(down);
    let mut seen = String::new();
    for (host, more) in [
        (url.clone(), json!({})),
        (down_url, json!({})),
        (server.url(), json!({ "user": "user", "password": SECRET })),
        (server.url(), json!({ "api_key": format!("id:{SECRET}") })),
        (
            server.url(),
            json!({ "custom_headers": { "x-token": SECRET } }),
        ),
    ] {
        let (output, metrics) = build(&[host], more);
        for reply in [
            refused(
                401,
                "security_exception",
                &format!("unable to authenticate [{SECRET}]: \"{SECRET}\""),
            ),
            plain(401, SECRET),
            plain(502, SECRET),
            plain(200, SECRET),
            items(&[
                (403, "security_exception"),
                (400, MAPPING),
                (201, ""),
                (500, ""),
            ]),
            hang_up(),
        ] {
            let is_down = server.requests().len();
            server.then(reply);
            let outcome = write(&output, &[numbers(4)]).await;
            writeln!(seen, "{outcome:?}").unwrap();
            if server.requests().len() == is_down {
                // Nobody was there to take the step.
                server.skip();
            }
        }
        seen.push_str(&metrics.encode());
    }
    seen.push_str(&logbook.lines("").join("\n"));
    assert!(
        seen.contains("security_exception") && seen.contains("refused for good"),
        "{seen}"
    );
    let lines = seen
        .lines()
        .filter(|line| line.contains(SECRET))
        .collect::<Vec<_>>();
    assert_eq!(lines, [""; 0]);
}

fn hang_up() -> Reply {
    Reply {
        closes: true,
        ..silence()
    }
}

#[tokio::test]
async fn a_new_reason_is_said_once_with_the_first_id_and_no_content() {
    let (logbook, _guard) = Logbook::open(Level::TRACE);
    let site = Site::new(json!({})).await;
    let words = "failed to parse field [n] of type [long] in document with id 'x'. Preview of field's value: 'geheim'";
    let bad = failed("create", 400, MAPPING, words);
    let busy = failed("create", 429, BUSY, "rejected execution");
    for _ in 0..3 {
        site.server.then(answer(&[
            done("create"),
            bad.clone(),
            bad.clone(),
            busy.clone(),
        ]));
        site.write(&[numbers(4)]).await;
    }
    let ids = site.server.requests()[0].ids();
    let expected = [
        format!(
            "WARN output=\"es\" kind=\"mapping\" records=2 unsaid=0 first_id=\"{}\" refused for good: {MAPPING}: failed \
             to parse field [n] of type [long]",
            ids[1]
        ),
        format!(
            "WARN output=\"es\" kind=\"http_429\" records=1 unsaid=0 first_id=\"{}\" to be sent again: {BUSY}: rejected \
             execution",
            ids[3]
        ),
    ];
    assert_eq!(logbook.lines("output="), expected);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    tokio::time::resume();
    site.server.then(answer(&[
        done("create"),
        bad.clone(),
        done("create"),
        done("create"),
    ]));
    site.write(&[numbers(4)]).await;
    let lines = logbook.lines("records=1 unsaid=4 ");
    assert!(
        lines.len() == 1 && lines[0].contains("[n] of type [long]"),
        "{lines:?}"
    );
    assert_eq!(logbook.lines("geheim"), [""; 0]);
}

#[tokio::test]
async fn reasons_that_senders_make_up_do_not_fill_the_memory() {
    let (logbook, _guard) = Logbook::open(Level::TRACE);
    let site = Site::new(json!({})).await;
    for round in 0..5 {
        let reason = |n: i64| {
            format!(
                "failed to parse field [f{}] of type [long]",
                round * 1000 + n
            )
        };
        let list: Vec<Value> = (0..200)
            .map(|n| failed("create", 400, MAPPING, &reason(n)))
            .collect();
        site.server.then(answer(&list));
        assert_eq!(site.deliver(&[numbers(200)]).await.dead.len(), 200);
    }
    assert_eq!(logbook.lines("output=").len(), 101);
    assert_eq!(logbook.lines("one of many more reasons").len(), 1);
}
