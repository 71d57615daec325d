//! Requests that are divided: what is too large, and what spoils the others.

use super::{
    deliveries::{BUSY, error},
    server::{items, plain},
    *,
};

#[tokio::test]
async fn too_large_a_request_is_divided_and_later_ones_are_smaller() {
    let server = Server::start().await;
    let limit = |request: &server::Request| match request.body.len() {
        0..700 => items(&vec![(201, ""); request.actions.len()]),
        _ => plain(413, ""),
    };
    for _ in 0..50 {
        server.then_with(limit);
    }
    let output = output(&[server.url()], &json!({}));
    assert_eq!(write(&output, &[numbers(16)]).await, Outcome::Delivered);
    let requests = server.requests();
    let taken: Vec<i64> = requests
        .iter()
        .filter(|r| r.body.len() < 700)
        .flat_map(server::Request::numbers)
        .collect();
    assert_eq!(taken, (0..16).collect::<Vec<_>>());
    let whole: Vec<u8> = requests
        .iter()
        .filter(|r| r.body.len() < 700)
        .flat_map(|r| r.body.clone())
        .collect();
    assert_eq!(whole, requests[0].body, "divided, not written again");
    let before = requests.len();
    assert_eq!(write(&output, &[numbers(16)]).await, Outcome::Delivered);
    let refused = server.requests()[before..]
        .iter()
        .filter(|r| r.body.len() >= 700)
        .count();
    assert!(refused <= 1, "{refused} refused, though the size is known");
}

#[tokio::test]
async fn a_single_record_that_is_too_large_is_refused_alone() {
    let server = Server::start().await;
    for _ in 0..50 {
        server.then_with(|request| {
            if request.numbers().contains(&5) {
                plain(413, "<html>Request Entity Too Large</html>")
            } else {
                items(&vec![(201, ""); request.actions.len()])
            }
        });
    }
    let output = output(&[server.url()], &json!({}));
    let outcome = write(&output, &[numbers(16)]).await;
    assert_eq!(exceptions(&outcome), [(5, false, FailureKind::TooLarge)]);
}

#[tokio::test]
async fn a_record_that_the_servers_memory_never_fits_is_found() {
    // Elasticsearch refuses all items of a shard with the same words when one of them is too large.
    let reason =
        "rejected execution of operation of size [9000], which exceeds the maximum allowed size";
    let server = Server::start().await;
    for _ in 0..50 {
        server.then_with(move |request| {
            let poisoned = request.numbers().contains(&5);
            let item = |n: &i64| match (poisoned, n % 2) {
                (true, 1) => json!({ "create": { "status": 429, "error": { "type": BUSY, "reason": reason } } }),
                _ => json!({ "create": { "status": 201 } }),
            };
            let all: Vec<Value> = request.numbers().iter().map(item).collect();
            plain(200, json!({ "errors": poisoned, "took": 1, "items": all }).to_string())
        });
    }
    let output = output(&[server.url()], &json!({}));
    let outcome = write(&output, &[numbers(16)]).await;
    assert_eq!(exceptions(&outcome), [(5, false, FailureKind::TooLarge)]);
}

#[tokio::test]
async fn a_document_that_spoils_the_request_is_found() {
    let server = Server::start().await;
    for _ in 0..50 {
        server.then_with(|request| {
            if request.numbers().contains(&11) {
                plain(
                    400,
                    error(
                        "illegal_argument_exception",
                        "Malformed action/metadata line [3]",
                    ),
                )
            } else {
                items(&vec![(201, ""); request.actions.len()])
            }
        });
    }
    let output = output(&[server.url()], &json!({}));
    let outcome = write(&output, &[numbers(64)]).await;
    assert_eq!(exceptions(&outcome), [(11, false, FailureKind::Rejected)]);
    assert!(
        server.requests().len() <= 2 * 6 + 1,
        "{} requests",
        server.requests().len()
    );
}
