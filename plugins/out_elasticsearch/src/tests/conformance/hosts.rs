//! Several hosts, and connections that break at every point.

use super::*;

/// Closes the connection without a word.
fn hang_up() -> Reply {
    Reply {
        closes: true,
        ..silence()
    }
}

#[tokio::test]
async fn e24_a_host_that_fails_is_passed_over_left_out_and_tried_again() {
    const ROUNDS: usize = 7;
    let (bad, good) = (Server::start().await, Server::start().await);
    for _ in 0..ROUNDS {
        bad.then(plain(503, ""));
    }
    let (output, metrics) = build(&[bad.url(), good.url()], json!({}));
    let up = || {
        let ports = [bad.port, good.port];
        ports.map(|port| {
            count(
                &metrics,
                &format!("host_up{{host=\"http://127.0.0.1:{port}/\"}}"),
            )
        })
    };
    assert_eq!(up(), [1, 1]);
    // Each failure leaves it out for longer, up to a minute.
    while bad.requests().len() < ROUNDS {
        deliver(&output, &[numbers(4)]).await.all_arrived(1);
        deliver(&output, &[numbers(4)]).await.all_arrived(1);
        assert_eq!(up(), [0, 1]);
        if bad.requests().len() < ROUNDS {
            pass(Duration::from_secs(61)).await;
        }
    }
    for _ in 0..4 {
        deliver(&output, &[numbers(4)]).await.all_arrived(1);
    }
    assert_eq!(
        (bad.requests().len(), good.requests().len()),
        (ROUNDS, 2 * ROUNDS + 4)
    );
    assert_eq!(up(), [0, 1]);
    pass(Duration::from_secs(61)).await;
    deliver(&output, &[numbers(4)]).await.all_arrived(1);
    deliver(&output, &[numbers(4)]).await.all_arrived(1);
    assert_eq!((bad.requests().len(), up()), (ROUNDS + 1, [1, 1]));
}

/// Lets time pass for the plugin.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn e33_what_came_too_late_to_be_heard_is_not_there_twice() {
    let (slow, other) = (Server::start().await, Server::start().await);
    // It stores the records and is too slow to say so.
    slow.then(silence()).then(items(&[(409, CONFLICT); 4]));
    let hosts = [slow.url(), other.url()];
    let (output, metrics) = build(&hosts, json!({ "request_timeout": "500ms" }));
    let Outcome::RetryChunk(None, failure) = write(&output, &[numbers(4)]).await else {
        panic!("no answer is no answer")
    };
    assert_eq!(failure.kind, FailureKind::Timeout);
    // Nobody else was asked to do the same at the same time.
    assert_eq!((slow.requests().len(), other.requests().len()), (1, 0));
    drop(other);
    deliver(&output, &[numbers(4)]).await.all_arrived(1);
    let [first, second] = slow.requests().try_into().unwrap();
    assert_eq!(first.body, second.body);
    let items = |result: &str| count(&metrics, &format!("items_total{{result=\"{result}\"}}"));
    assert_eq!((items("created"), items("conflict")), (0, 4));
    assert_eq!(count(&metrics, "ambiguous_retries_total"), 1);
}

#[tokio::test]
async fn e34_a_connection_that_was_closed_while_idle_costs_nothing() {
    // Sometimes the end of the connection is seen in time, sometimes the request is on its way.
    let site = Site::new(json!({})).await;
    for _ in 0..20 {
        site.server.then_with(|request| Reply {
            closes: true,
            ..all(request)
        });
        site.deliver(&[numbers(4)]).await.all_arrived(1);
    }
    assert_eq!(site.items("created"), 80);
    // It is always on its way here, and that is made good at once where ids make it safe.
    let site = Site::new(json!({})).await;
    site.server.then_with(all).then(hang_up());
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    let [_, second, third] = site.server.requests().try_into().unwrap();
    assert_eq!(second.body, third.body);
    assert_eq!(site.count("ambiguous_retries_total"), 1);
    // Elsewhere it is a try of its own, and nothing is lost.
    let site = Site::new(json!({ "document_id": "none" })).await;
    site.server.then_with(all).then(hang_up());
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(end.again(), [FailureKind::Connect]);
    assert_eq!(
        (site.sent().len(), site.count("ambiguous_retries_total")),
        (3, 1)
    );
}

#[tokio::test]
async fn a_host_that_hangs_up_without_end_is_not_taken_for_one_that_is_not_there() {
    let site = Site::new(json!({})).await;
    for _ in 0..3 {
        site.server.then(hang_up());
    }
    let outcome = site.write(&[numbers(4)]).await;
    let Outcome::RetryChunk(None, failure) = outcome else {
        panic!("the chunk may be to blame: {outcome:?}")
    };
    assert_eq!((failure.kind, site.sent().len()), (FailureKind::Connect, 1));
    assert_eq!(site.count("ambiguous_retries_total"), 1);
}
