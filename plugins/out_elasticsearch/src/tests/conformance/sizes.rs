//! Requests and records that are too large, for the server, for what stands in front of it, or for its memory.

use super::*;

/// Records of about this size.
fn records(count: i64, len: usize) -> Frame {
    let padding = "x".repeat(len);
    let record = |n| json!({ "n": n, "padding": padding });
    frame(7, "app", &(0..count).map(record).collect::<Vec<_>>())
}

#[tokio::test]
async fn e25_what_is_too_large_is_halved_and_later_requests_are_smaller() {
    const LIMIT: usize = 2 << 20;
    let site = Site::new(json!({})).await;
    site.server.later(|request| {
        if request.body.len() > LIMIT {
            plain(413, "")
        } else {
            all(request)
        }
    });
    let chunk = || [records(100, 60_000)];
    let mut seen = 0;
    let mut last_refused = usize::MAX;
    for batch in 0..8 {
        site.deliver(&chunk()).await.all_arrived(1);
        let requests = site.server.requests();
        let (too_large, taken): (Vec<_>, Vec<_>) = requests[seen..]
            .iter()
            .partition(|request| request.body.len() > LIMIT);
        for request in &too_large {
            let len = request.body.len();
            assert!(
                len <= last_refused / 10 * 9,
                "{len} was tried after {last_refused} was too large"
            );
            last_refused = len;
        }
        let numbers: Vec<i64> = taken.iter().flat_map(|request| request.numbers()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        // Not more than one a chunk, and none once the limit is known.
        let expected = if batch == 0 { 2 } else { 1 };
        assert!(
            too_large.len() <= expected,
            "{} in batch {batch}",
            too_large.len()
        );
        assert!(batch < 6 || too_large.is_empty(), "nothing was learned");
        seen = requests.len();
    }
    assert_eq!(site.items("created"), 800);
    assert!(site.count("splits_total{reason=\"size\"}") > 2);
}

#[tokio::test]
async fn e26_a_record_that_is_too_large_even_alone_is_refused() {
    let site = Site::new(json!({})).await;
    site.server.later(|request| {
        if request.numbers().contains(&2) {
            plain(413, "<html><h1>413 Request Entity Too Large</h1></html>")
        } else {
            all(request)
        }
    });
    let end = site.deliver(&[numbers(4)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(2, FailureKind::TooLarge)])
    );
    let message = &end.dead[0].1.message;
    assert!(
        message.starts_with("the server answered 413 (alone, id "),
        "{message}"
    );
    assert_eq!((site.items("created"), site.items("too_large")), (3, 1));
}

#[tokio::test]
async fn e29_a_record_that_the_memory_of_the_server_never_fits_is_found() {
    let words = "rejected execution of primary operation [primary_bytes=0, max_primary_bytes=9]: operation of size \
                 [52428800] exceeds the maximum allowed limit";
    let site = Site::new(json!({})).await;
    site.server.later(move |request| {
        let numbers = request.numbers();
        let is_in_the_way = numbers.contains(&9);
        // All that go to the shard of the one that is too large.
        let item = |n: &i64| {
            if is_in_the_way && n % 2 == 1 {
                failed("create", 429, BUSY, words)
            } else {
                done("create")
            }
        };
        answer(&numbers.iter().map(item).collect::<Vec<_>>())
    });
    let end = site.deliver(&[numbers(16)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(9, FailureKind::TooLarge)])
    );
    assert_eq!((site.items("created"), site.items("too_large")), (15, 1));
    assert_eq!(site.count("splits_total{reason=\"memory\"}"), 3);
    // The size of requests has nothing to do with it.
    site.deliver(&[numbers(9)]).await.all_arrived(1);
    assert_eq!(site.sent().last().unwrap().len(), 9);
}

#[tokio::test]
async fn a_request_that_the_memory_of_the_server_never_fits_is_divided() {
    let site = Site::new(json!({})).await;
    let words = "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, \
                 all_bytes=0, coordinating_operation_bytes=2000, max_coordinating_and_primary_bytes=1000]";
    site.server.then(refused(429, BUSY, words));
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    assert_eq!(site.sent(), [vec![0, 1, 2, 3], vec![0, 1], vec![2, 3]]);
}
